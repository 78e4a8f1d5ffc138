"""The times that a run waits: for lists, for answers, for other runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["TIMING", "Timing"]


@dataclass(frozen=True)
class Timing:
    """How long a run waits, in seconds; tests that act out slow clones make it shorter."""

    grace: float = 10.0  # for a list that lags, and for an election that is under way
    unknown: float = 4.0  # for an instance whose create was not answered
    again: float = 2.0  # before a pending create of which nothing is listed is posted again
    interrupt: float = 2.0  # for requests in flight when the run is interrupted
    flush: float = 0.3  # between two transactions that record results

    def delays(self) -> Iterable[float]:
        """The pauses between two looks: a quarter of a second, then doubling up to two, within the grace."""
        spent, pause = 0.0, min(0.25, self.grace / 4)
        while spent < self.grace:
            yield pause
            spent, pause = spent + pause, min(2.0, pause * 2)


TIMING = Timing()
