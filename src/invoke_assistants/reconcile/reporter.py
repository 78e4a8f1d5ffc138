"""Who is told how a run goes on, and who is asked before it goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ..types import Step

__all__ = ["QUIET", "Confirm", "Reporter"]

Confirm = Callable[[str, Sequence[Step]], bool]  # takes a question and the plan that it is about; returns the answer


class Reporter(Protocol):
    """Who is told how a run goes on."""

    def say(self, message: str) -> None:
        """Take one line for people."""
        ...

    def start(self, label: str, total: int) -> None:
        """Begin a stage of so many parts."""
        ...

    def advance(self) -> None:
        """Count one part of the stage as done."""
        ...


class _Quiet:
    def say(self, message: str) -> None:
        pass

    def start(self, label: str, total: int) -> None:
        pass

    def advance(self) -> None:
        pass


QUIET: Reporter = _Quiet()
