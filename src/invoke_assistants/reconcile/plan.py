"""Desired, recorded and remote become a plan: one step for each instance. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from ..errors import RowsFailed
from ..text import join_errors
from ..types import Action, Key, Step

__all__ = ["NOT_STARTED", "Plan"]

NOT_STARTED = "not started, since"  # how the error of a step begins that another one's error kept from being done


@dataclass(frozen=True)
class Plan:
    """What a command would do, or did: its steps in the order declared by environment."""

    steps: tuple[Step, ...]

    @cached_property
    def _by_key(self) -> dict[Key, Step]:
        return {step.key: step for step in self.steps}

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def step(self, key: Key) -> Step:
        """The step of an assistant in an environment."""
        return self._by_key[key]

    def to_do(self, *actions: Action) -> list[Step]:
        """The steps with one of these actions; those with any, where none is named."""
        return [step for step in self.steps if (step.action in actions if actions else step.action != "none")]

    def updated(self, steps: Iterable[Step]) -> Plan:
        """The plan with these steps in the place of those of the same assistant and environment; new ones at its end."""
        return Plan(tuple((self._by_key | {step.key: step for step in steps}).values()))

    @property
    def to_confirm(self) -> list[Step]:
        """The steps that must not be done without their flag, or an answer."""
        return [step for step in self.steps if step.needs_confirmation]

    def errors(self) -> str:
        """The errors of all steps, on one line: first those that others were not started for."""
        errors = [step.error for step in self.steps if step.error]
        errors.sort(key=lambda error: f": {NOT_STARTED} " in error)
        return join_errors(errors)

    def raise_if_failed(self) -> Plan:
        """The plan itself, unless a step failed.

        Raises:
            RowsFailed: each failed step is named.
        """
        if errors := self.errors():
            raise RowsFailed(errors, self.steps)
        return self
