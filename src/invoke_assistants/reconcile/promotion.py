"""The promotion order: an environment starts only when the one before it is whole. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from .plan import Plan

__all__ = ["in_promotion_order", "incomplete_before"]


def in_promotion_order(plan: Plan) -> list[str]:
    """The environments of a plan, first to last."""
    return [name for _, name in sorted({(step.target.position, step.environment) for step in plan})]


def incomplete_before(environment: str, order: Iterable[str], plan: Plan) -> str | None:
    """The first environment before this one in which a step of the plan failed, if there is one."""
    for name in order:
        if name == environment:
            return None
        if any(step.error for step in plan if step.environment == name):
            return name
    return None
