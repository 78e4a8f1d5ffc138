"""The task that prints a shell's completion script."""

from __future__ import annotations

from pathlib import Path

from invoke.context import Context
from invoke.parser.argument import Argument

from ..errors import SettingsError
from ..text import did_you_mean
from . import ns
from ._task import task

__all__ = ["completion", "make_script"]

SHELLS = ("bash", "zsh", "fish")
KINDS = {  # of a parameter's value; every other is text, which nothing completes
    "only": "assistant",
    "name": "assistant",
    "env": "environment",
    "against": "environment",
    "ours": "record",
    "theirs": "record",
    "file": "file",
    "to": "file",
    "copy_to": "file",
    "recover": "file",
    "junit": "file",
}


@task(help={"shell": f"one of {', '.join(SHELLS)}"})
def completion(c: Context, shell: str) -> None:
    """Print the script that completes tasks, flags and names of inv in a shell.

    Example, in bash: eval "$(python -m invoke_assistants completion bash)"
    Example, in zsh:  eval "$(python -m invoke_assistants completion zsh)"
    Example, in fish: python -m invoke_assistants completion fish | source
    """
    if shell not in SHELLS:
        raise SettingsError(f"no completion for {shell!r:.80}; known: {', '.join(SHELLS)}{did_you_mean(shell, SHELLS)}")
    print(make_script(shell), end="", flush=True)


def make_script(shell: str) -> str:
    """The completion script of a shell: it knows the parameters of our tasks, and asks Invoke for the rest."""
    make_case = _fish_case if shell == "fish" else _posix_case
    names = {f"asst.{name}": name for name in ns.task_names} | {"asst": ns.default or ""}
    cases = [make_case(name, *_parameters(ns[verb].get_arguments())) for name, verb in sorted(names.items())]
    return _read(shell).replace("@functions@\n", _read("sh")).replace("@parameters@", "\n".join(cases))


def _read(shell: str) -> str:
    return Path(__file__).with_suffix(f".{shell}").read_text(encoding="ascii")


def _parameters(arguments: list[Argument]) -> tuple[list[str], list[str]]:
    """Those that take a value, each as ``NAME:KIND``: the positional ones in their order, and every one as a flag."""
    valued = [(each.name or "", each.positional) for each in arguments if each.takes_value]
    named = [(f"{name.replace('_', '-')}:{KINDS.get(name, 'text')}", positional) for name, positional in valued]
    return [each for each, positional in named if positional], [f"--{each}" for each, _ in named]


def _posix_case(task_name: str, positional: list[str], flags: list[str]) -> str:
    in_order = "".join(f"{each} " for each in positional)
    return f"    {task_name}) positional='{in_order}' flags=' {' '.join(flags)} ' ;;"


def _fish_case(task_name: str, positional: list[str], flags: list[str]) -> str:
    return f"        case {task_name}\n            printf '%s\\n' {' '.join([*positional, *flags])}"
