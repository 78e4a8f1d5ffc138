"""The help of every command: short, whole, in the terms of its user, with an example that works."""

from __future__ import annotations

import contextlib
import io
import re
import shlex

import pytest
from conftest import Host
from invoke.collection import Collection
from invoke.parser import Parser
from invoke.program import Program

from invoke_assistants import tasks

LINES, COLUMNS = 24, 80
NAMES = sorted(tasks.ns.tasks)


def namespace() -> Collection:
    """A host project's tasks with ours, fresh: the first parse takes the help off a task."""
    return Collection(Collection.from_module(tasks))


def help_of(name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What ``inv --help asst.NAME`` prints on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    with contextlib.redirect_stdout(io.StringIO()) as out, pytest.raises(SystemExit) as ended:
        Program(namespace=namespace(), name="inv", binary="inv[oke]").run(["inv", "--help", f"asst.{name}"])
    assert not ended.value.code, out.getvalue()
    return out.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_the_help_fits_a_screen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has at most 24 lines of 80 columns."""
    lines = help_of(name, monkeypatch).rstrip("\n").splitlines()
    assert len(lines) <= LINES
    assert [line for line in lines if len(line) > COLUMNS] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_flag_and_argument_has_help(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each option is described, and the first line of the help is a sentence."""
    text = help_of(name, monkeypatch)
    options = re.findall(r"^  (--[\w-]+)(?:=\w+)?(.*)$", text.partition("Options:")[2], re.M)
    arguments = Collection.from_module(tasks).tasks[name].get_arguments()
    assert {option for option, _ in options} == {f"--{argument.name.replace('_', '-')}" for argument in arguments}
    assert [option for option, description in options if not description.strip()] == []
    assert re.search(r"^Docstring:\n  [A-Z].*[.]\n", text, re.M)


@pytest.mark.parametrize("name", NAMES)
def test_the_help_ends_in_an_example_that_invoke_takes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The description's last line is a command line of this command, with flags that exist and values for all that need one."""
    description = help_of(name, monkeypatch).partition("\nOptions:")[0].rstrip()
    found = re.fullmatch(r"  Example: ((?:[A-Z_]+=\w+ )*)inv (.+)", description.splitlines()[-1])
    assert found, description
    parsed = Parser(contexts=namespace().to_contexts()).parse_argv(shlex.split(found[2]))
    assert [context.name for context in parsed] == [f"asst.{name}"]
    assert bool(found[1]) == (name == "admin")  # its action is a variable


def test_help_behind_a_command_with_arguments_names_the_way(local_host: Host) -> None:
    """``inv asst.run --help`` says how the help is shown; the flag is no assistant's name and no prompt."""
    for args in (("asst.run", "--help"), ("asst.run", "judge", "-h"), ("asst.migrate", "--help"), ("asst.adopt", "--help")):
        asked = local_host.inv(*args)
        assert asked.code == 1
        assert asked.err == f"inv {args[0]} takes arguments before its flags: inv --help {args[0]} shows its help\n"
