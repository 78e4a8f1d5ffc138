"""What is said of a changed output schema, against what models do with answers of it."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable

import pytest
import schema_hard_readers
import schema_truth
from conftest import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schema_answers import Answers, validator
from schema_models import HEADER, loaded, pair
from schema_truth import judge, reported

from docs import compatibility
from invoke_assistants.ask.parsing import ParseError, parse_answer
from invoke_assistants.declare.compatibility import compare_schemas
from invoke_assistants.declare.reader import read_model
from invoke_assistants.declare.strict_schema import output_schema
from invoke_assistants.types import Compatibility, SchemaChange

randoms = st.randoms(use_true_random=False)
tried = settings(max_examples=examples(240), deadline=None, suppress_health_check=[HealthCheck.too_slow])


@tried
@given(randoms)
def test_a_verdict_holds(r: random.Random) -> None:
    """A compatible change breaks no answer, a breaking one shows a refused answer, and the order keeps every app going."""
    old, new = pair(r)
    judged = judge(old, new, r, answers=12)
    assert not judged.faults, reported(old, new, judged.faults)


def test_the_judge_sees_what_is_wrong() -> None:
    """Whoever calls everything compatible is found out on most pairs that break, and so is whoever breaks without an answer."""

    def careless(old: object, old_reader: object, new: object, new_reader: object) -> Compatibility | None:
        return (
            None
            if json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)
            else Compatibility("compatible", "either", (change,))
        )

    found = Counter[bool]()
    for seed in range(25):
        r = random.Random(seed)
        change = SchemaChange("$", "type_changed", "compatible", "It is said without a look.")
        found[bool(judge(*pair(r), r, 20, careless).faults)] += 1
    assert found[True] > 15, found


@settings(tried, max_examples=examples(80))
@given(randoms)
def test_answers_are_of_their_schema(r: random.Random) -> None:
    """Every answer that is made up is valid, formats included."""
    source, _ = pair(r)
    with loaded(source) as module:
        schema = output_schema(module.Output)
        for answer in Answers(schema, r).many(5):
            validator(schema).validate(answer)


def test_nearly_every_schema_has_answers() -> None:
    """Answers are found for all models but a few, of which none exists, as no multiple of 5 is between 1 and 4."""
    found = Counter[bool]()
    for seed in range(100):
        with loaded(pair(random.Random(seed))[0]) as module:
            found[len(list(Answers(output_schema(module.Output), random.Random(seed)).many(5))) == 5] += 1
    assert found[True] >= 97, found


@pytest.mark.parametrize("title", schema_hard_readers.pairs())
def test_a_verdict_holds_for_a_reader_with_ways_of_its_own(title: str) -> None:
    """The same for aliases, conversions, hooks and odd unions, which random models do not have; both ways."""
    sources = [HEADER + text for text in schema_hard_readers.pairs()[title]]
    for old, new in (sources, sources[::-1]):
        judged = judge(old, new, random.Random(title), examples(40))
        assert not judged.faults, reported(old, new, judged.faults)


@pytest.mark.skipif(schema_truth.jsoncompat is None, reason="jsoncompat 0.5 needs Python 3.12; older releases are wrong at times")
def test_a_second_oracle_agrees() -> None:
    """Where jsoncompat decides, we never call compatible what it has a refused answer for, nor breaking what it calls compatible.

    It compares schemas, so it is asked with the reader's own one: objects are open where the model ignores extra fields, and
    fields with a default may be absent. It knows nothing of strict values, of conversions and of rules of the app's own.
    """
    figures = Counter[str]()
    for seed in range(examples(300)):
        r = random.Random(seed)
        old, new = pair(r)
        judged = judge(old, new, r, 1)
        assert not judged.faults, reported(old, new, judged.faults)
        figures += judged.figures
    assert figures["jsoncompat compatible, we compatible"] + figures["jsoncompat incompatible, we breaking"] > 30, figures
    assert not figures["jsoncompat compatible, we breaking"], figures


def test_a_reader_that_is_not_recorded_is_taken_for_the_declared_one() -> None:
    """Where the store says nothing of the old reader, a field more is unknown if the declared model forbids extras."""
    with loaded(HEADER + "class Output(BaseModel, extra='ignore'):\n    a: int\n") as module:
        old = output_schema(module.Output)
    for extra, verdict in (("ignore", "compatible"), ("forbid", "unknown")):
        with loaded(HEADER + f"class Output(BaseModel, extra={extra!r}):\n    a: int\n    b: int\n") as module:
            found = compare_schemas(old, None, output_schema(module.Output), read_model(module.Output))
        assert found is not None
        assert [(change.path, change.kind, change.verdict) for change in found.changes] == [("b", "field_added", verdict)]
        assert found.verdict == verdict


@pytest.mark.parametrize(
    ("edits", "holds"),
    [
        (compatibility.COMPATIBLE, lambda found: found.verdict == "compatible"),
        (compatibility.BREAKING, lambda found: (found.verdict, found.order) == ("breaking", "ship_app_first")),
        (compatibility.EITHER_WAY, lambda found: found.verdict == "unknown" or found.order == "both_break"),
    ],
    ids=["compatible", "breaking", "either way"],
)
def test_an_edit_stands_in_the_right_table(edits: str, holds: Callable[[Compatibility], bool]) -> None:
    """Each table of the page has a dozen edits; they are what its title says, and their examples are refused."""
    found = compatibility.edits(edits)
    assert len(found) == 12
    for edit in found:
        assert holds(edit.compared()), edit
        old, new = edit.models()
        for change in edit.compared().changes:
            if change.verdict == "breaking":
                validator(output_schema(new)).validate(change.example)
                with pytest.raises(ParseError):
                    parse_answer(old, json.dumps(change.example))


def test_the_page_is_current() -> None:
    """Its tables are what ``python docs/compatibility.py`` makes of the code."""
    assert compatibility.PAGE.read_text() == compatibility.page()
