"""When a turn must have ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

__all__ = ["Deadline"]

EARLY = 0.05  # seconds by which a timer may strike early


@dataclass(frozen=True)
class Deadline:
    """When a turn must have ended: so many seconds after it began."""

    seconds: float
    begun: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds until then; 0 from then on."""
        return max(0.0, self.begun + self.seconds - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether it is there."""
        return self.left < EARLY
