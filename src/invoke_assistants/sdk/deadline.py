"""The deadline of a turn."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

__all__ = ["Deadline"]

EARLY = 0.05  # seconds by which a timer may fire early


@dataclass(frozen=True)
class Deadline:
    """The time by which a turn must end: so many seconds after it began."""

    seconds: float
    begun: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds until the deadline, 0 after it."""
        return max(0.0, self.begun + self.seconds - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether the deadline has passed."""
        return self.left < EARLY
