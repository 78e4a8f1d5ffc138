"""Datasets: what can be wrong with one, what its evaluators can be, and what its SHA-256 covers."""

from __future__ import annotations

import dataclasses
import functools
import os
import pickle
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_evals.evaluators import Evaluator, EvaluatorContext

from invoke_assistants import Assistant, DeclarationError, Evals, SettingsError
from invoke_assistants.evals.dataset import _check_cases, load_dataset, make_schema
from invoke_assistants.evals.gate import read_files


class Verdict(BaseModel):
    good: bool
    why: str | None = None


def good(output: Verdict) -> bool:
    """It is good."""
    return output.good


def says(output: Verdict, word: str, times: int = 1) -> tuple[bool, str]:
    """It says why."""
    return (output.why or "").count(word) >= times, f"why: {output.why}"


def positional(output: Verdict, *words: str) -> bool:
    return bool(words)


class Plain:
    """No evaluator."""


@dataclasses.dataclass
class Same(Evaluator[Any, Any, Any]):
    """An evaluator of pydantic-evals."""

    def evaluate(self, ctx: EvaluatorContext[Any, Any, Any]) -> bool:
        return bool(ctx.output == ctx.expected_output)


EVALS = Evals("judge.yaml", evaluators=[good, says, Same])


def evals_sha(evals: Evals, folder: Path, repeat: int | None = None) -> str:
    return read_files(evals, folder, repeat).sha


def judge(evals: Evals = EVALS) -> Assistant[Verdict]:
    return Assistant("judge", output=Verdict, model="gpt-6-luna", evals=evals)


def load(folder: Path, text: str | bytes, evals: Evals = EVALS) -> Any:
    (folder / "judge.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
    return load_dataset(judge(evals), evals, folder)


def test_a_dataset_is_read_with_all_that_it_may_hold(tmp_path: Path) -> None:
    """Expected outputs are objects of the output model; cases without a name get one; arguments reach the evaluators."""
    text = """
        evaluators: [good, {says: because}, {says: {word: so, times: 2}}, Same, EqualsExpected, {MaxDuration: 10}]
        cases:
          - inputs: Is it?
            expected_output: {good: true}
            metadata: {kind: easy}
          - name: two
            inputs: Is it not?
    """
    dataset = load(tmp_path, text)
    assert [(case.name, case.inputs) for case in dataset.cases] == [("Case 1", "Is it?"), ("two", "Is it not?")]
    assert dataset.cases[0].expected_output == Verdict(good=True)
    assert [(each.word, each.times) for each in dataset.evaluators[1:3]] == [("because", 1), ("so", 2)]


def bomb() -> str:
    """Nine levels, each of which names the one below ten times."""
    levels = [f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 10)}]" for number in range(1, 10)]
    return "\n".join(["a0: &a0 [x]", *levels, "evaluators: [good]", "cases: [{inputs: x, metadata: *a9}]"])


BAD: dict[str, tuple[str | bytes, str]] = {
    "not YAML": ("cases: [", "the dataset judge.yaml, line 1: not YAML: "),
    "a tab": ("cases:\n\t- inputs: x", "the dataset judge.yaml, line 2: not YAML: "),
    "not UTF-8": (b"cases: \xff", r"the dataset judge.yaml is not UTF-8 \(byte 7\)"),
    "a control character": ("cases: \x01", "the dataset judge.yaml: not YAML: "),
    "a list": ("- inputs: x", "the dataset judge.yaml has no cases"),
    "empty": ("", "the dataset judge.yaml has no cases"),
    "no cases": ("evaluators: [good]\ncases: []", "the dataset judge.yaml has no cases: give it a list"),
    "an unknown evaluator": ("evaluators: [goood]\ncases: [{inputs: x}]", "no evaluator 'goood'; did you mean 'good'?"),
    "an unknown one of a case": ("cases: [{inputs: x, evaluators: [{sayz: x}]}]", "no evaluator 'sayz'; did you mean 'says'?"),
    "far from any": ("evaluators: [q]\ncases: [{inputs: x}]", "no evaluator 'q'; known: good, says, Same, "),
    "no evaluator": ("cases: [{name: one, inputs: x}]", "case 'one': no evaluator judges it"),
    "one name twice": (
        "evaluators: [good]\ncases: [{name: a, inputs: x}, {name: a, inputs: y}]",
        "two cases are called 'a': give each a name of its own",
    ),
    "a name that another gets": ("evaluators: [good]\ncases: [{inputs: x}, {name: Case 1, inputs: y}]", "called 'Case 1'"),
    "another output": (
        "evaluators: [good]\ncases: [{name: a, inputs: x, expected_output: {good: maybe}}]",
        "the dataset judge.yaml: case 'a': expected_output.good: Input should be a valid boolean",
    ),
    "no prompt": ("evaluators: [good]\ncases: [{name: a}]", "case 'a': inputs: Field required"),
    "an empty prompt": ("evaluators: [good]\ncases: [{name: a, inputs: ' '}]", "case 'a': inputs is empty: it is the prompt"),
    "a prompt that is none": (
        "evaluators: [good]\ncases: [{name: a, inputs: 3}]",
        "case 'a': inputs: Input should be a valid string",
    ),
    "an unknown key": ("evaluators: [good]\ncases: [{name: a, inputs: x, input: y}]", "case 'a': input: Extra inputs"),
    "a case that is none": ("evaluators: [good]\ncases: [x]", "case 'Case 1': Input should be "),
    "an unknown argument": (
        "evaluators: [{says: {wort: x}}]\ncases: [{inputs: x}]",
        "Failed to instantiate evaluator 'says'",
    ),
    "a missing argument": ("evaluators: [says]\ncases: [{inputs: x}]", "Failed to instantiate evaluator 'says'"),
    "an argument too many in a case without a name": (
        "cases: [{inputs: x, evaluators: [{good: 3}]}]",
        "Failed to instantiate evaluator 'good' for case 'Case 1': ",
    ),
    "report evaluators": (
        "evaluators: [good]\nreport_evaluators: [ConfusionMatrixEvaluator]\ncases: [{inputs: x}]",
        "report_evaluators judge no case and are not run: remove them",
    ),
    "a key that is no text": ("evaluators: [good]\ncases: [{inputs: x, metadata: {2026-01-01: x}}]", "cannot be read as JSON"),
    "a key twice": (
        "evaluators: [good]\ncases:\n- name: a\n  inputs: x\n  inputs: y",
        "the dataset judge.yaml, line 5: not YAML: the key 'inputs' is given twice",
    ),
    "aliases that unfold": (bomb(), "the dataset judge.yaml is too large: it holds more than 100000 values, each alias"),
    "long aliases": (f"a: &a {'x' * 100_000}\ncases: [{', '.join(['*a'] * 1000)}]", "the dataset judge.yaml is too large"),
    "an alias of itself": ("evaluators: [good]\ncases: &a [*a]", "the dataset judge.yaml is too large"),
    "infinity": ("evaluators: [good]\ncases: [{inputs: x, metadata: .inf}]", "cannot be read as JSON"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_dataset_is_one_clear_error(name: str, tmp_path: Path) -> None:
    """It names the file, what is wrong, and where, on one line."""
    text, message = BAD[name]
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, text)
    assert re.search(message if name == "not UTF-8" else re.escape(message), str(raised.value)), raised.value
    assert "\n" not in str(raised.value)


def test_many_cases_are_checked_in_proportion() -> None:
    """As many cases as a dataset can hold are no work: each name is looked at once."""
    before = time.process_time()
    _check_cases({"cases": [{"inputs": "x"}] * 33_000}, "the dataset")
    assert time.process_time() - before < 3  # looked at by each other, it is ten


def test_a_missing_dataset_and_a_folder(tmp_path: Path) -> None:
    """The error says how to begin one."""
    with pytest.raises(SettingsError, match=r"^the dataset judge.yaml does not exist: make it; inv asst.eval --schema writes"):
        load_dataset(judge(), EVALS, tmp_path)
    (tmp_path / "judge.yaml").mkdir()
    with pytest.raises(SettingsError, match=r"^the dataset judge.yaml cannot be read: Is a directory"):
        load_dataset(judge(), EVALS, tmp_path)


def test_merge_keys_that_unfold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are bounded before they are written out: some versions of PyYAML repeat what they merge."""
    monkeypatch.setattr("invoke_assistants.evals.dataset_yaml.MOST_VALUES", 5)
    with pytest.raises(SettingsError, match=r"^the dataset judge.yaml, line 2: not YAML: its merge keys unfold to too many"):
        load(tmp_path, "a: &a {a: 1, b: 2, c: 3}\nb: {d: 4, e: 5, f: 6, <<: *a}")


def test_what_is_no_file_to_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A FIFO, which never ends, and a file that is too large are one error each."""
    os.mkfifo(tmp_path / "judge.yaml")
    with pytest.raises(SettingsError, match=r"^the dataset judge.yaml cannot be read: it is no regular file$"):
        load_dataset(judge(), EVALS, tmp_path)
    (tmp_path / "judge.yaml").unlink()
    with (tmp_path / "judge.yaml").open("wb") as file:
        file.truncate(2**26 + 1)
    with pytest.raises(SettingsError, match=r"^the dataset judge.yaml cannot be read: it has more than 64 MiB$"):
        load_dataset(judge(), EVALS, tmp_path)


@pytest.mark.parametrize(
    ("evaluator", "message"),
    [
        (positional, "the evaluator positional takes 'words' without its name"),
        (Plain, "the evaluator Plain is a class, but not a dataclass that extends pydantic-evals' Evaluator"),
    ],
)
def test_what_is_no_evaluator(evaluator: Callable[..., Any], message: str, tmp_path: Path) -> None:
    """It is named when the dataset is read."""
    with pytest.raises(SettingsError, match=message):
        load(tmp_path, "evaluators: [good]\ncases: [{inputs: x}]", Evals("judge.yaml", evaluators=[good, evaluator]))


@pytest.mark.parametrize(
    ("evaluators", "message"),
    [
        (good, "evaluators must be a list, not function"),
        (["good"], "an evaluator must be a function or a class with a name, not 'good'"),
        ([lambda output: True], "an evaluator must be a function or a class with a name"),
        ([good, good], "two evaluators are called good"),
    ],
)
def test_a_declaration_takes_functions_and_classes_with_names(evaluators: Any, message: str) -> None:
    """Everything else is refused where it is declared."""
    with pytest.raises(DeclarationError, match=f"^evals: {message}"):
        Evals("judge.yaml", evaluators=evaluators)


def test_a_declaration_with_evals_can_be_pickled() -> None:
    """As every declaration."""
    assert pickle.loads(pickle.dumps(judge())).evals == EVALS


def test_the_schema_knows_the_output_model_and_the_evaluators() -> None:
    """An editor completes both by it."""
    schema = make_schema(judge(), EVALS)
    assert set(schema["$defs"]["Verdict"]["properties"]) == {"good", "why"}
    assert schema["$defs"]["short_spec_says"]["properties"]["says"]["type"] == "string"
    assert {"word", "times"} == set(schema["$defs"]["spec_params_says"]["properties"])


SOURCES = ["def check(output):\n    return True\n", "def check(output):\n    return output.good\n"]


def test_what_the_sha_covers(tmp_path: Path) -> None:
    """The dataset's bytes, the source of each evaluator, ``repeat`` and ``rule``; not the minimum, and not the order."""
    path = tmp_path / "judge.yaml"
    path.write_bytes(b"cases: []\n")
    first = evals_sha(EVALS, tmp_path)
    assert re.fullmatch("sha256:[0-9a-f]{64}", first)
    same = [
        dataclasses.replace(EVALS, minimum=0.1, required=True),
        dataclasses.replace(EVALS, evaluators=[Same, says, good]),
    ]
    assert {evals_sha(each, tmp_path) for each in same} == {first}
    other = [
        evals_sha(dataclasses.replace(EVALS, evaluators=[good, says]), tmp_path),
        evals_sha(dataclasses.replace(EVALS, repeat=2), tmp_path),
        evals_sha(dataclasses.replace(EVALS, rule="all"), tmp_path),
        evals_sha(EVALS, tmp_path, repeat=3),
    ]
    path.write_bytes(b"cases: [] \n")
    assert len({first, *other, evals_sha(EVALS, tmp_path)}) == 6
    shas = []
    for number, source in enumerate(SOURCES):
        space: dict[str, Any] = {}
        file = tmp_path / f"evaluators{number}.py"
        file.write_text(source)
        exec(compile(source, str(file), "exec", dont_inherit=True), space)
        shas.append(evals_sha(Evals("judge.yaml", evaluators=[space["check"]]), tmp_path))
    assert shas[0] != shas[1]
    exec("def typed(output): ...", space)
    with pytest.raises(SettingsError, match="^the source of the evaluator typed cannot be read: define it in a file"):
        evals_sha(Evals("judge.yaml", evaluators=[space["typed"]]), tmp_path)


def at_most(limit: Any) -> Callable[..., Any]:
    def short(output: Verdict) -> bool:
        return len(output.why or "") <= limit

    return short


def with_default(limit: Any) -> Callable[..., Any]:
    def short(output: Verdict, limit: Any = limit) -> bool:
        return len(output.why or "") <= limit

    return short


def with_keyword(limit: Any) -> Callable[..., Any]:
    def short(output: Verdict, *, limit: Any = limit) -> bool:
        return len(output.why or "") <= limit

    return short


def cached(limit: Any) -> Callable[..., Any]:
    return functools.lru_cache(at_most(limit))


def unset(limit: Any) -> Callable[..., Any]:
    def short(output: Verdict) -> bool:
        return len(output.why or "") <= later

    if limit:
        return short
    later = limit
    return short


def local_class(limit: Any) -> type:
    @dataclasses.dataclass
    class short(Evaluator[Any, Any, Any]):  # noqa: N801 - as the others are called
        def evaluate(self, ctx: EvaluatorContext[Any, Any, Any]) -> bool:
            return bool(limit)

    return short


class Checker:
    def short(self, output: Verdict) -> bool:
        return output.good


@pytest.mark.parametrize("make", [at_most, with_default, with_keyword, cached])
def test_the_sha_covers_what_an_evaluator_holds(make: Callable[[Any], Any], tmp_path: Path) -> None:
    """Plain values that a factory gives it count as its source does; others are refused, as nothing tells whether they change."""
    (tmp_path / "judge.yaml").write_text("cases: []\n")

    def sha(evaluator: Any) -> str:
        return evals_sha(Evals("judge.yaml", evaluators=[evaluator]), tmp_path)

    assert sha(make(100)) == sha(make(100)) != sha(make(5))
    assert sha(make({"a": [1, None]})) != sha(make({"a": [2, None]}))
    for odd in (Checker(), {1}, {1: 2}, [good]):
        with pytest.raises(SettingsError, match=r"^the evaluator short holds .*, which is no plain JSON value: make it a plain"):
            sha(make(odd))


@pytest.mark.parametrize(
    ("evaluator", "message"),
    [
        (unset(1), "holds later, which is no plain JSON value"),
        (Checker().short, "holds self, which is no plain JSON value: make it a plain function"),
        (local_class(1), "is a class inside of a function: define it outside"),
    ],
)
def test_evaluators_that_hold_what_nothing_tells(evaluator: Any, message: str, tmp_path: Path) -> None:
    """They are refused with one line."""
    (tmp_path / "judge.yaml").write_text("cases: []\n")
    with pytest.raises(SettingsError, match=f"^the evaluator short {message}"):
        evals_sha(Evals("judge.yaml", evaluators=[evaluator]), tmp_path)
