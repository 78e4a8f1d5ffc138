"""Judges ``compare_schemas`` by what models do: ``python tests/schema_truth.py 10000`` counts its errors.

What a model refuses although its own schema allows it (a rule of the app's own that no schema tells) is no matter of a change,
and does not count: the answer, as the reader sees it, was possible before.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import schema_models
from pydantic import TypeAdapter
from schema_answers import Answers, seen_by, validator

from invoke_assistants.ask.parsing import ParseError, parse_answer
from invoke_assistants.declare.compatibility import compare_schemas
from invoke_assistants.declare.reader import read_model
from invoke_assistants.declare.strict_schema import lint, output_schema
from invoke_assistants.errors import DeclarationError
from invoke_assistants.types import Compatibility, JSONObject, Reader

if sys.version_info >= (3, 12):
    try:
        import jsoncompat
    except ImportError:
        jsoncompat = None
else:
    jsoncompat = None  # 0.5, the first that is right, needs Python 3.12

WORST = ("compatible", "unknown", "breaking")


class App:
    """An app with an output model, in a module of ``schema_models``."""

    def __init__(self, module: Any) -> None:
        self.module, self.output = module, module.Output
        self.adapter = TypeAdapter(self.output)
        self.schema: JSONObject = output_schema(self.output)
        self.own: JSONObject = self.adapter.json_schema()  # open, and with fields that may be absent
        self.reader = read_model(self.output)
        self.valid = validator(self.schema).is_valid

    def refuses(self, answer: Any) -> bool:
        """Whether this app cannot read an answer."""
        try:
            parse_answer(self.output, json.dumps(answer))
        except ParseError:
            return True
        return False

    def refuses_anew(self, answer: Any) -> bool:
        """Whether this app cannot read an answer, and its own assistant could not have said the same to it."""
        if not self.refuses(answer):
            return False
        return not any(self.valid(seen) and self.refuses(seen) for seen in (seen_by(answer, self.own), self._read(answer)))

    def _read(self, answer: Any) -> Any:
        """What the model makes of an answer, as ``true`` of ``1``, its rules aside; the answer if it makes nothing of it."""
        self.module.rules = False
        try:
            value = parse_answer(self.output, json.dumps(answer))
        except ParseError:
            return answer
        finally:
            self.module.rules = True
        return self.adapter.dump_python(value, mode="json", by_alias=True, round_trip=True, warnings="none")


@dataclass
class Judged:
    """What was found of one pair of models."""

    faults: list[str] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)


Compare = Callable[[JSONObject | None, Reader | None, JSONObject | None, Reader], Compatibility | None]


def judge(old_source: str, new_source: str, r: random.Random, answers: int, compare: Compare = compare_schemas) -> Judged:
    """Compare two models by their schemas, and by this many answers each way."""
    out = Judged()
    with schema_models.loaded(old_source) as before, schema_models.loaded(new_source) as after:
        try:
            old, new = App(before), App(after)
        except DeclarationError:
            return Judged(figures=Counter({"not strict": 1}))
        if lint(old.schema) or lint(new.schema):
            return Judged(figures=Counter({"not strict": 1}))
        told = old.reader if old.reader or r.random() < 0.5 else None
        given = copy.deepcopy((old.schema, told, new.schema, new.reader))
        found = compare(*given)
        if given != (old.schema, told, new.schema, new.reader):
            out.faults.append("it changed what it was given")
        if json.dumps(old.schema, sort_keys=True) == json.dumps(new.schema, sort_keys=True):
            out.figures["same schema"] += 1
            if found is not None:
                out.faults.append(f"the schemas are the same: {found}")
            return out
        if found is None:
            out.faults.append("the schemas differ, and it says nothing")
            return out
        out.faults += _inconsistent(found)
        back = compare(new.schema, new.reader, old.schema, old.reader)
        _judge_directions(found, back, old, new, out, (r, answers))
        _judge_examples(found, old, new, out)
        if jsoncompat:
            _ask_jsoncompat(found, old, new, out)
    return out


def _inconsistent(found: Compatibility) -> Iterator[str]:
    verdict = max((change.verdict for change in found.changes), key=WORST.index, default=None)
    if verdict != found.verdict:
        yield f"the verdict is {found.verdict}, and the worst change {verdict}"
    if (found.verdict == "compatible") != (found.order in ("either", "deploy_first")):
        yield f"the verdict is {found.verdict}, and the order {found.order}"
    if twice := [key for key, times in Counter((change.path, change.kind) for change in found.changes).items() if times > 1]:
        yield f"told twice: {twice}"


def _judge_directions(
    found: Compatibility, back: Compatibility | None, old: App, new: App, out: Judged, tries: tuple[random.Random, int]
) -> None:
    r, answers = tries
    forward = next(filter(old.refuses_anew, Answers(new.schema, r, old.schema).many(answers)), None)
    backward = next(filter(new.refuses_anew, Answers(old.schema, r, new.schema).many(answers)), None)
    out.figures[f"verdict {found.verdict}"] += 1
    out.figures[f"order {found.order}"] += 1
    if found.verdict == "compatible" and forward is not None:
        out.faults.append(f"compatible, and the old app refuses {json.dumps(forward)}")
    if found.order in ("either", "ship_app_first") and backward is not None:
        out.faults.append(f"{found.order}, and the new app refuses {json.dumps(backward)} of the old schema")
    if back is None or (back.verdict == "compatible") != (found.order in ("either", "ship_app_first")):
        out.faults.append(f"the order is {found.order}, and the other way round the verdict is {back and back.verdict}")
    shown = any(change.example is not None and old.refuses(change.example) for change in found.changes)
    if found.verdict != "compatible" and forward is None and not shown:
        out.figures[f"{found.verdict} without need"] += 1
        kinds = sorted({change.kind for change in found.changes if change.verdict == found.verdict})
        out.figures[f"  {found.verdict} without need: {', '.join(kinds)}"] += 1
    if found.order in ("deploy_first", "both_break") and backward is None and back and back.verdict != "compatible":
        out.figures[f"backward {back.verdict}"] += 1
        if not any(change.example is not None and new.refuses(change.example) for change in back.changes):
            out.figures[f"backward {back.verdict} without need"] += 1


def _judge_examples(found: Compatibility, old: App, new: App, out: Judged) -> None:
    for change in found.changes:
        out.figures[f"change {change.verdict}"] += 1
        where = f"{change.path} {change.kind}: {change.why}"
        if change.verdict != "breaking":
            if change.example is not None:
                out.faults.append(f"{change.verdict} with an example: {where}")
        elif change.example is None:
            out.faults.append(f"no example: {where}")
        elif not new.valid(change.example):
            out.faults.append(f"{json.dumps(change.example)} is no answer of the new schema: {where}")
        elif not old.refuses(change.example):
            out.faults.append(f"the old app reads {json.dumps(change.example)}: {where}")
        elif not old.refuses_anew(change.example):
            out.figures["example refused for another reason"] += 1


def _ask_jsoncompat(found: Compatibility, old: App, new: App, out: Judged) -> None:
    """Ask the second oracle whether the reader's own schema, open where the reader is, takes all of the new one."""
    try:
        answer = jsoncompat.analyze_compat(
            json.dumps(old.own), json.dumps(new.schema), "serializer", options={"assert_formats": True}
        )
    except ValueError:  # a pattern that Rust cannot read, as that of Decimal
        answer = {"status": "unknown"}
    status = answer["status"]
    out.figures[f"jsoncompat {status}, we {found.verdict}"] += 1
    if status == "incompatible" and found.verdict == "compatible":
        example = answer["counterexample"]
        if new.valid(example) and old.refuses_anew(example):
            out.faults.append(f"compatible, and jsoncompat has {json.dumps(example)}, which the old app refuses")


def reported(old: str, new: str, faults: list[str]) -> str:
    """A pair of models and what is wrong with the verdict, for whoever repairs it."""
    header = len(schema_models.HEADER)
    return "\n".join(["-- old", old[header:].strip(), "-- new", new[header:].strip(), *(f"** {fault}" for fault in faults)])


def main() -> int:
    """Judge many pairs and print what was found; 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("pairs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--answers", type=int, default=40)
    parser.add_argument("--show", type=int, default=5, help="faults to show")
    given = parser.parse_args()
    figures: Counter[str] = Counter()
    wrong, start = 0, time.monotonic()
    for seed in range(given.seed, given.seed + given.pairs):
        r = random.Random(seed)
        old, new = schema_models.pair(r)
        try:
            judged = judge(old, new, r, given.answers)
        except Exception as error:
            judged = Judged([f"raised {error!r}"])
        figures += judged.figures
        for fault in judged.faults:
            figures["FAULT " + fault.split(":")[0].split("{")[0][:60]] += 1
        wrong += bool(judged.faults)
        if judged.faults and wrong <= given.show:
            print(f"== pair {seed}", reported(old, new, judged.faults), sep="\n", flush=True)
    for name, count in sorted(figures.items()):
        print(f"{count:8} {name}")
    print(f"{wrong} wrong in {given.pairs} pairs, {time.monotonic() - start:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
