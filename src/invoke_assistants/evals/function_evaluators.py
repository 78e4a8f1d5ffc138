"""The app's plain functions as evaluators of pydantic-evals."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable
from typing import Any

from pydantic_evals.evaluators import EvaluationReason, Evaluator, EvaluatorContext

from ..errors import SettingsError

__all__ = ["as_evaluator"]

CONTEXT = ("output", "expected_output", "inputs", "metadata")  # parameters that every case has a value for


def as_evaluator(evaluator: Callable[..., Any]) -> type[Evaluator[Any, Any, Any]]:
    """The evaluator class for a function, with a field for each parameter that the dataset gives; a class stays as it is.

    Raises:
        SettingsError: it is no function with named parameters, and no class of pydantic-evals.
    """
    name = evaluator.__name__
    if isinstance(evaluator, type):
        if not issubclass(evaluator, Evaluator) or "__dataclass_fields__" not in vars(evaluator):
            raise SettingsError(f"the evaluator {name} is a class, but not a dataclass that extends pydantic-evals' Evaluator")
        return evaluator
    try:
        parameters = inspect.signature(evaluator).parameters.values()
        hints = typing.get_type_hints(evaluator)
    except (NameError, TypeError, ValueError) as error:
        raise SettingsError(f"the evaluator {name} has a signature that cannot be read: {error}") from None
    if odd := [each.name for each in parameters if each.kind not in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]:
        raise SettingsError(f"the evaluator {name} takes {odd[0]!r} without its name: give each parameter a plain name")
    given = [each.name for each in parameters if each.name in CONTEXT]
    fields = [
        (each.name, hints.get(each.name, Any), dataclasses.field(**_default(each)))
        for each in sorted(parameters, key=lambda each: each.default is not each.empty)
        if each.name not in CONTEXT
    ]
    summary = (inspect.getdoc(evaluator) or "").split("\n")[0]

    async def evaluate(self: Any, ctx: EvaluatorContext[Any, Any, Any]) -> Any:
        values = {name: getattr(ctx, name) for name in given} | {each[0]: getattr(self, each[0]) for each in fields}
        found = evaluator(**values)
        return _with_reason(await found if inspect.isawaitable(found) else found, summary)

    made = dataclasses.make_dataclass(name, fields, bases=(Evaluator,), namespace={"evaluate": evaluate}, repr=False)
    return typing.cast("type[Evaluator[Any, Any, Any]]", made)


def _default(parameter: inspect.Parameter) -> dict[str, Any]:
    """The keywords of a dataclass's field; a mutable default is shared, as the function shares it."""
    if parameter.default is parameter.empty:
        return {}
    return {"default_factory": lambda: parameter.default}


def _with_reason(found: Any, summary: str) -> Any:
    """What a function found: ``(value, reason)`` as pydantic-evals has it, and for a plain False what the function checks."""
    if isinstance(found, tuple) and len(found) == 2:
        return EvaluationReason(*found)
    return EvaluationReason(False, summary) if found is False and summary else found
