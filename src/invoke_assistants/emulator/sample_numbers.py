"""Sample numbers: within the bounds of their schema, and a multiple of its step. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

__all__ = ["sample_number"]

BOUNDS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")


def sample_number(schema: Mapping[str, Any], wish: int, whole: bool) -> int | float:
    """Make a number within the bounds, the one that is wished for if it can be, and others for other wishes."""
    bounds = {key: Fraction(str(schema[key])) for key in BOUNDS if schema.get(key) is not None}
    step = Fraction(str(schema.get("multipleOf") or 1))
    step = Fraction(step.numerator) if whole else step
    firsts = [math.ceil(bounds["minimum"] / step)] if "minimum" in bounds else []
    firsts += [math.floor(bounds["exclusiveMinimum"] / step) + 1] if "exclusiveMinimum" in bounds else []
    lasts = [math.floor(bounds["maximum"] / step)] if "maximum" in bounds else []
    lasts += [math.ceil(bounds["exclusiveMaximum"] / step) - 1] if "exclusiveMaximum" in bounds else []
    times = _near(wish, max(firsts, default=None), min(lasts, default=None))
    if times is not None and whole:
        return int(times * step)
    number = None if times is None else float(times * step)
    return number if number is not None and _is_within(number, schema) else _between(bounds)


def _near(wish: int, first: int | None, last: int | None) -> int | None:
    """An integer between two, the same for no two small wishes if there are enough; None if there is none."""
    if first is not None and last is not None:
        return first + (wish - first) % (last - first + 1) if first <= last else None
    if first is not None:
        return max(first, 1) + wish - 1
    return wish if last is None or wish <= last else min(last, 0) - wish + max(last, 0) + 1


def _is_within(number: float, schema: Mapping[str, Any]) -> bool:
    least, above, most, below = (schema.get(key) for key in BOUNDS)
    return (
        (least is None or number >= least)
        and (above is None or number > above)
        and (most is None or number <= most)
        and (below is None or number < below)
    )


def _between(bounds: Mapping[str, Fraction]) -> float:
    """A number between bounds that have no multiple of the step between them, or are so far from zero that no float is one."""
    lower = max((bound for key, bound in bounds.items() if key.endswith("inimum")), default=None)
    upper = min((bound for key, bound in bounds.items() if key.endswith("aximum")), default=None)
    if lower is not None and upper is not None:
        return float((lower + upper) / 2)
    return math.nextafter(float(lower), math.inf) if lower is not None else math.nextafter(float(upper or 0), -math.inf)
