"""What an app declares: a frozen value. Making one touches no network and no file."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from types import MappingProxyType, NoneType
from typing import TYPE_CHECKING, Any, Generic

from ..errors import DeclarationError
from ..text import did_you_mean
from ..types import SLUG
from .tags import RESERVED

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from .evals import Evals

    Output = TypeVar("Output", covariant=True, default=str)
else:
    from typing import TypeVar

    Output = TypeVar("Output", covariant=True)

__all__ = ["OVERRIDES", "SLUG_RULE", "USER_PAIRS", "Declaration", "Output", "plain"]

OVERRIDES = ("model", "instructions", "tools", "reasoning", "verbosity", "service_tier", "metadata")
USER_PAIRS = 11  # of the API's 16 metadata pairs, 5 are our tags
SLUG_RULE = "1 to 64 of a-z, 0-9, '_', '.', '-', beginning with a letter or digit"

# The types that a field may have, and what an error calls them.
FIELD_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "model": ((str,), "a string"),
    "instructions": ((str,), "a string"),
    "reasoning": ((Mapping, NoneType), "a mapping"),
    "verbosity": ((str, NoneType), "a string"),
    "service_tier": ((str, NoneType), "a string"),
    "metadata": ((Mapping,), "a mapping of strings"),
    "tools": ((list, tuple), "a list of functions and JSON objects"),
}


def frozen(value: Any) -> Any:
    """A deep copy of JSON-like data that cannot be changed: dicts behind proxies, lists as tuples."""
    if isinstance(value, Mapping):
        return MappingProxyType({key: frozen(item) for key, item in value.items()})
    return tuple(frozen(item) for item in value) if isinstance(value, list | tuple) else value


def plain(value: Any) -> Any:
    """The reverse of ``frozen``: a deep copy in plain dicts and lists."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def find_non_json(value: Any, path: str) -> str | None:
    """Say where and why a value is not JSON; return None where it is."""
    if isinstance(value, Mapping):
        if odd := next((key for key in value if not isinstance(key, str)), None):
            return f"{path} has the key {odd!r:.80}, which is not a string"
        return next((found for key, item in value.items() if (found := find_non_json(item, f"{path}.{key}"))), None)
    if isinstance(value, list | tuple):
        return next((found for index, item in enumerate(value) if (found := find_non_json(item, f"{path}[{index}]"))), None)
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return None
    return f"{path} is {value!r:.80}, which is not JSON"


def is_output_model(output: Any) -> bool:
    """Whether a class is a Pydantic model or a dataclass (stdlib or Pydantic), without importing pydantic."""
    return isinstance(output, type) and (
        hasattr(output, "__pydantic_core_schema__") or hasattr(output, "model_json_schema") or dataclasses.is_dataclass(output)
    )


@dataclass(frozen=True, eq=False)
class Declaration(Generic[Output]):
    """An assistant as the app declares it.

    Args:
        name: a slug, ``[a-z0-9][a-z0-9_.-]{0,63}``; remotely the instance is called ``{name}_{environment}``.
        output: the Pydantic model or dataclass that every answer must fit; None means text.
        model: any model name that the platform knows; it is not checked against a list.
        instructions: what the model is told, at most 1,048,576 characters.
        description: for people; it is part of no payload and no digest.
        tools: Python functions with annotated parameters, and the platform's tools as JSON objects.
        reasoning: ``{"effort": …, "summary": …}``, as the platform takes it.
        verbosity: ``low``, ``medium`` or ``high``.
        service_tier: the platform's service tier.
        metadata: at most 11 pairs of strings; no key begins with ``asst.``.
        evals: how it is evaluated; part of no payload and no digest.
        environments: by environment, the fields that differ there; each replaces the general one whole.

    Raises:
        DeclarationError: a value is of a kind that can't be right, whatever the platform.
    """

    name: str
    _: KW_ONLY
    output: type[Output] | None = None
    model: str
    instructions: str = ""
    description: str = ""
    tools: Sequence[Mapping[str, Any] | Callable[..., Any]] = ()
    reasoning: Mapping[str, Any] | None = None
    verbosity: str | None = None
    service_tier: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    evals: Evals | None = None
    environments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not SLUG.fullmatch(self.name):
            raise DeclarationError(f"assistant name {self.name!r:.80} is not a slug: {SLUG_RULE}")
        if self.output is not None and not is_output_model(self.output):
            raise DeclarationError(
                f"assistant {self.name}: output is {self.output!r:.80}, which is neither a Pydantic model nor a dataclass"
            )
        if self.evals is not None:
            from .evals import Evals

            if not isinstance(self.evals, Evals):
                raise DeclarationError(f"assistant {self.name}: evals must be Evals(…), not {type(self.evals).__name__}")
        _check_fields({key: getattr(self, key) for key in OVERRIDES}, self.name)
        if not isinstance(self.environments, Mapping) or not all(
            isinstance(each, Mapping) for each in self.environments.values()
        ):
            raise DeclarationError(f"assistant {self.name}: environments must map a name to the fields that differ there")
        for environment, override in self.environments.items():
            where = f"{self.name} in {environment}"
            if odd := [key for key in override if key not in OVERRIDES]:
                known = f"{', '.join(OVERRIDES)}{did_you_mean(str(odd[0]), OVERRIDES)}"
                raise DeclarationError(f"assistant {where}: {odd[0]!r:.80} cannot differ; these can: {known}")
            _check_fields(override, where)
        for key in ("tools", "reasoning", "metadata", "environments"):
            object.__setattr__(self, key, frozen(getattr(self, key)))

    def __getstate__(self) -> dict[str, Any]:
        """The fields as plain data, which can be pickled and copied; mapping proxies cannot."""
        return {each.name: plain(getattr(self, each.name)) for each in dataclasses.fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the fields, frozen again."""
        for key, value in state.items():
            object.__setattr__(self, key, frozen(value))

    def fields(self, environment: str) -> Mapping[str, Any]:
        """The configured fields in one environment, its overrides applied."""
        return {**{key: getattr(self, key) for key in OVERRIDES}, **self.environments.get(environment, {})}


def _check_fields(fields: Mapping[str, Any], where: str) -> None:
    if problem := next(_field_problems(fields), None):
        raise DeclarationError(f"assistant {where}: {problem}")


def _field_problems(fields: Mapping[str, Any]) -> Iterator[str]:
    """Yield what no platform would take; a check may rely on those before it."""
    for key, (types, name) in FIELD_TYPES.items():
        if key in fields and not isinstance(fields[key], types):
            yield f"{key} must be {name}, not {type(fields[key]).__name__}"
    if "model" in fields and not fields["model"].strip():
        yield "model is empty"
    if problem := find_non_json(fields.get("reasoning"), "reasoning"):
        yield problem
    yield from _tool_problems(fields.get("tools", ()))
    yield from _metadata_problems(fields.get("metadata", {}))


def _tool_problems(tools: Sequence[Any]) -> Iterator[str]:
    for index, tool in enumerate(tools):
        if callable(tool):
            continue  # its schema is made with the payload: a declaration stays cheap
        if not isinstance(tool, Mapping):
            yield f"tools[{index}] must be a function or a JSON object, not {type(tool).__name__}"
        elif problem := find_non_json(tool, f"tools[{index}]"):
            yield problem


def _metadata_problems(metadata: Mapping[Any, Any]) -> Iterator[str]:
    for key, value in metadata.items():
        if not isinstance(key, str) or not isinstance(value, str):
            yield f"metadata[{key!r:.80}] must map a string to a string"
        elif key.startswith(RESERVED):
            yield f"metadata[{key!r:.80}]: keys that begin with {RESERVED!r} are ours"
    if len(metadata) > USER_PAIRS:
        yield f"metadata has more than {USER_PAIRS} pairs; 5 of the API's 16 are ours"
