"""How a changed output schema meets the apps that read its answers, and what a schema cannot say of a reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Compatibility", "Order", "Reader", "SchemaChange", "Verdict"]

Verdict = Literal["compatible", "breaking", "unknown"]
Order = Literal["either", "deploy_first", "ship_app_first", "both_break"]


@dataclass(frozen=True)
class Reader:
    """What the strict schema cannot say of the model that reads the answers: paths in an answer, ``$`` for its root.

    Args:
        forbids_extras: the objects that refuse a field which they do not declare.
        strict: the values that are not converted, as ``"3"`` to ``3``.
        defaults: the fields that may be absent.
        validators: the values that run code of the app's own.
    """

    forbids_extras: tuple[str, ...] = ()
    strict: tuple[str, ...] = ()
    defaults: tuple[str, ...] = ()
    validators: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any((self.forbids_extras, self.strict, self.defaults, self.validators))

    def stricter(self, other: Reader) -> Reader:
        """A reader that takes only what both take."""
        return Reader(
            forbids_extras=tuple(sorted({*self.forbids_extras, *other.forbids_extras})),
            strict=tuple(sorted({*self.strict, *other.strict})),
            defaults=tuple(sorted({*self.defaults} & {*other.defaults})),
            validators=tuple(sorted({*self.validators, *other.validators})),
        )


@dataclass(frozen=True)
class SchemaChange:
    """One change of an output schema.

    Args:
        path: where in an answer: ``questions[].difficulty``, ``$`` for the root.
        kind: ``field_added``, ``enum_widened`` and so on.
        verdict: what the app that runs now meets.
        why: one sentence.
        example: an answer that the app refuses, where the change is breaking; else None.
    """

    path: str
    kind: str
    verdict: Verdict
    why: str
    example: Any = None


@dataclass(frozen=True)
class Compatibility:
    """What a changed output schema does to the apps that read it.

    Args:
        verdict: what the app that runs now, with the old model, meets in answers of the new schema.
        order: what to do first, so that no app meets an answer that it cannot read.
    """

    verdict: Verdict
    order: Order
    changes: tuple[SchemaChange, ...]

    @property
    def unsafe(self) -> tuple[SchemaChange, ...]:
        """The changes that the app that runs now may not survive."""
        return tuple(change for change in self.changes if change.verdict != "compatible")
