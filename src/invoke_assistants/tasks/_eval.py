"""The task that evaluates assistants."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.context import Context

from ..errors import SettingsError
from ._task import JSON, ONLY, find_root, is_dry_run, task

if TYPE_CHECKING:
    from ..evals.report import EvalReport

__all__ = ["evaluate"]


@task(
    name="eval",
    iterable=["only"],
    help={
        "only": ONLY,
        "env": "ask this environment's instances; default: the first",
        "against": "compare with this environment; exit with 3 if worse",
        "repeat": "ask each case this many times; only the declared number counts for deploy",
        "retry-errors": "ask only the cases that ended in an error; keep the other results",
        "junit": "write the results to this file, for CI",
        "schema": "write each dataset's JSON schema beside it; ask nothing",
        "json": JSON,
    },
)
def evaluate(
    c: Context,
    only: Iterable[str] | None = None,
    env: str | None = None,
    against: str | None = None,
    repeat: str | None = None,
    retry_errors: bool = False,
    junit: str | None = None,
    schema: bool = False,
    json: bool = False,
) -> EvalReport | None:
    """Ask assistants the cases of their datasets, and judge the answers.

    A pass is kept in the store and not asked again.

    Example: inv asst.eval --only judge_answer --against production
    """
    from .. import commands
    from .command_output import CommandOutput
    from .junit_file import junit_file
    from .plain_messages import plain_messages
    from .stdout_to_stderr import stdout_to_stderr

    with CommandOutput("eval", json) as output:
        output.more = {"evals": []}
        if is_dry_run(c):
            raise SettingsError("asst.eval asks assistants and keeps the results: inv asst.status shows what there is to ask")
        with junit_file(None if schema else junit) as write_junit:
            times = _times(repeat) if repeat is not None else None
            root = find_root(c)
            with plain_messages(), stdout_to_stderr():
                if schema:
                    from ..evals.report import NO_EVALS

                    output.lines = list(_schema_lines(commands.write_schemas(root, only or ()))) or [NO_EVALS]
                    return None
                report = commands.evaluate(
                    root, only or (), env, against=against, repeat=times, retry_errors=retry_errors, reporter=output.terminal
                )
            output.more, output.lines, output.steps = report.to_json(), list(report.lines()), list(report.steps)
            write_junit(report)
        report.raise_unless_passed()
    return report


def _times(repeat: str) -> int:
    """How often each case is asked; Invoke's own number would make 0 of no flag, and a traceback of a word."""
    if not repeat.isascii() or not repeat.isdigit() or len(repeat) > 3 or not 1 <= int(repeat) <= 100:
        raise SettingsError(f"--repeat must be a number from 1 to 100, not {repeat!r:.80}")
    return int(repeat)


def _schema_lines(files: Iterable[Path]) -> Iterator[str]:
    """Which files there are now, and how an editor finds them."""
    for path in files:
        yield f"written: {os.path.relpath(path)}"
        yield f"    the first line of its dataset: # yaml-language-server: $schema={path.name}"
