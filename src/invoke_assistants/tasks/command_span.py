"""The span of a command: how many steps of which kind, in which environments, and its exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from invoke.exceptions import Exit

from ..sdk.spans import describe, start_span
from .exit_codes import PENDING

if TYPE_CHECKING:
    from ..types import Step

__all__ = ["command_span", "describe_steps"]


@contextmanager
def command_span(name: str) -> Generator[None]:
    """A span around a command, which may end in ``Exit``; no span where the process does not trace."""
    command = start_span(f"asst.{name}", {})
    if command is None:
        yield
        return
    code = 0
    try:
        with command.current():
            yield
    except Exit as ended:
        code = ended.code
        if code not in (0, PENDING):
            cause = ended.__context__  # what the exit was made of
            command.fail(type(cause).__qualname__ if cause else "_OTHER")
        raise
    finally:
        command.set({"asst.exit_code": code})
        command.end()


def describe_steps(steps: Sequence[Step], *, planned: bool) -> None:
    """Say in the current span what a command did, or only planned."""
    counts = Counter(f"asst.steps.{step.action}" for step in steps)
    counts["asst.steps.failed"] = sum(step.error is not None for step in steps)
    environments = list(dict.fromkeys(step.environment for step in steps))
    describe({"asst.planned": planned, "asst.environments": environments, "asst.steps.total": len(steps), **counts})
