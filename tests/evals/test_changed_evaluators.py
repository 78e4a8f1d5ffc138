"""A result is kept under the source that judged: evaluators that are edited while, or since, they were imported."""

from __future__ import annotations

import importlib
import itertools
import os
import textwrap
from pathlib import Path
from types import ModuleType

import pytest
from conftest import MODELS, Host
from loopback import Loopback, Seen

from invoke_assistants import Evals, SettingsError, commands
from invoke_assistants.config.project import Project
from invoke_assistants.evals.gate import read_files

CHANGED = "^the file of the evaluator good was changed since it was imported: run it again, in a new process$"
SOURCE = '''import functools


def good(output, limit: int = 3) -> bool:
    """It is good."""
    return len(output) <= limit


def at_most(limit):
    @functools.cache
    def short(output):
        return len(output) <= limit

    return short
'''
CLASS = """import dataclasses

from pydantic_evals.evaluators import Evaluator


@dataclasses.dataclass
class good(Evaluator):
    most = 3

    def evaluate(self, ctx):
        return len(ctx.output) <= self.most
"""
EDITING = (
    MODELS
    + '''
from pathlib import Path
from invoke_assistants import Evals

def judged(output):
    """It edits its own file while it judges."""
    path = Path(__file__)
    text = path.read_text()
    path.write_text(EDITED)
    return True

ASSISTANTS = [Assistant("judge", output=Verdict, model="gpt-6-luna", instructions="Judge it.",
                        evals=Evals("judge.yaml", evaluators=[judged], required=True),
                        environments={"production": {"verbosity": "low"}})]
'''
)
_numbers = itertools.count()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "d.yaml").write_text("cases: []\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def imported(folder: Path, source: str = SOURCE) -> ModuleType:
    name = f"changed_{os.getpid()}_{next(_numbers)}"
    (folder / f"{name}.py").write_text(source)
    importlib.invalidate_caches()
    return importlib.import_module(name)


def path_of(module: ModuleType) -> Path:
    return Path(str(module.__file__))


def sha(folder: Path, evals: Evals) -> str:
    return read_files(evals, folder).sha


def declared(module: ModuleType) -> Evals:
    return Evals("d.yaml", evaluators=[module.good])


def test_the_sha_of_what_did_not_change_stays(folder: Path) -> None:
    """What was kept by earlier versions of this package stays known."""
    module = imported(folder)
    evals = Evals("d.yaml", evaluators=[module.good, module.at_most(5)])
    assert sha(folder, evals) == "sha256:d1a2890c9ad0232eb79ec0eaf3fc962c909d8e8110736569674ee113fb26317e"


@pytest.mark.parametrize("source", [SOURCE, CLASS])
@pytest.mark.parametrize("edit", ["other", "shifted", "shorter", "gone"])
def test_a_file_that_changed_since_it_was_declared(source: str, edit: str, folder: Path) -> None:
    """Its text is not that of what judges: another value, a comment above, or nothing at all. What is left alone stays known."""
    module = imported(folder, source)
    evals = declared(module)
    assert sha(folder, evals) == sha(folder, evals) == sha(folder, declared(module))
    path = path_of(module)
    texts = {"other": source.replace("3", "4"), "shifted": f"# a comment\n{source}", "shorter": source[:30]}
    path.unlink() if edit == "gone" else path.write_text(texts[edit])
    with pytest.raises(SettingsError, match=CHANGED):
        sha(folder, evals)


@pytest.mark.parametrize("edit", ["other", "shifted", "broken"])
@pytest.mark.parametrize("source", [SOURCE, CLASS])
def test_a_file_that_changed_before_it_was_declared(source: str, edit: str, folder: Path) -> None:
    """An edit between the import of the evaluator and its declaration is found, too: the code is not what the file has."""
    module = imported(folder, source)
    texts = {"other": source.replace("<=", "=="), "shifted": f"\n{source}", "broken": f"{source}\n)"}
    path_of(module).write_text(texts[edit])
    with pytest.raises(SettingsError, match=CHANGED):
        sha(folder, declared(module))


def test_code_that_another_tool_has_changed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old file is the one that was imported, whatever a tracer or a type checker has made of the code."""
    before = sha(folder, Evals("d.yaml", evaluators=[textwrap.indent]))
    traced = textwrap.indent.__code__.replace(co_consts=(*textwrap.indent.__code__.co_consts, "traced"))
    monkeypatch.setattr(textwrap.indent, "__code__", traced)
    assert sha(folder, Evals("d.yaml", evaluators=[textwrap.indent])) == before


@pytest.fixture
def editing(host: Host, request: pytest.FixtureRequest) -> Host:
    """A judge in both environments whose evaluator makes this text of its file while it judges."""
    host.declare(EDITING.replace("EDITED", request.param))
    (host.root / "judge.yaml").write_text("evaluators: [judged]\ncases:\n  - {name: one, inputs: Is it one}\n")
    host.create()
    return host


OTHER, ABOVE = 'text.replace("return " + "True", "return " + "False")', '"# above\\n" + text'


def shas(host: Host) -> list[str]:
    return [sha for places in host.store["evals"].values() for found in places.values() for sha in found]


@pytest.mark.parametrize("editing", [OTHER, ABOVE], indirect=True)
def test_an_edit_while_two_instances_are_compared(editing: Host) -> None:
    """Both results stand under the source that judged both; in this process, nothing is evaluated by another text any more."""
    [judge] = Project.load(editing.root, ()).declared.values()
    assert judge.evals
    by = read_files(judge.evals, editing.root).sha
    commands.evaluate(editing.root, against="production").raise_unless_passed()
    assert shas(editing) == [by, by]
    with pytest.raises(SettingsError, match="^the file of the evaluator judged was changed since it was imported: run it again"):
        commands.evaluate(editing.root)
    assert shas(editing) == [by, by]
    editing.declare(editing.source)
    assert "known, nothing was asked" in editing.inv("asst.eval", "--against", "production").out


@pytest.mark.parametrize(("editing", "code"), [(OTHER, 3), (ABOVE, 0)], indirect=["editing"])
def test_an_edit_while_a_deploy_evaluates(editing: Host, code: int) -> None:
    """Nobody knows what the new text would have said: production waits, what was paid for is kept under what judged."""
    editing.edit("Judge it.", "Judge it well.")
    source, before = editing.source, editing.store["assistants"]["judge"]["production"]
    with pytest.raises(SettingsError, match="^the file of the evaluator judged was changed since it was imported") as raised:
        commands.deploy(editing.root)
    assert [(row.environment, row.action, row.error) for row in raised.value.rows] == [("development", "update", None)]
    assert editing.store["assistants"]["judge"]["production"] == before
    assert len(shas(editing)) == 1
    assert editing.inv("asst.deploy", "--env", "production").code == code  # another process, which imports the new text
    editing.declare(source)
    assert editing.inv("asst.deploy", "--env", "production").code == 0


@pytest.mark.parametrize("editing", ["text"], indirect=True)
def test_a_dataset_that_changes_meanwhile(editing: Host, server: Loopback) -> None:
    """Both sides of a comparison are asked the cases that were read at the start, and known by them."""
    dataset = editing.root / "judge.yaml"
    before = dataset.read_text()

    def rename(seen: Seen) -> None:
        if "/sessions" in seen.path:
            dataset.write_text(before.replace("name: one", "name: other"))

    server.faults.append(rename)
    report = commands.evaluate(editing.root, against="production")
    report.raise_unless_passed()
    assert [[case["name"] for case in each["cases"]] for each in report.to_json()["evals"]] == [["one"], ["one"]]
    dataset.write_text(before)
    editing.declare(editing.source)
    server.seen.clear()
    commands.evaluate(editing.root, against="production").raise_unless_passed()
    assert server.seen == []
