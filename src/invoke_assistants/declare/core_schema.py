"""Questions to pydantic's own schema of a part of a model: what it does that the JSON schema does not say. Pure."""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = [
    "Core",
    "inner_config",
    "is_by_hand",
    "is_changed",
    "is_pydantics",
    "is_valid_default",
    "looked_into",
    "runs_after",
    "says_otherwise",
    "schema_name",
    "takes_missing",
]

WORDS = frozenset({"title", "description", "examples", "example", "deprecated", "default", "readOnly", "writeOnly", "$comment"})
OWN_MODULES = ("pydantic._internal._validators", "pydantic._internal._known_annotated_metadata", "ipaddress")
OWN_FUNCTIONS = frozenset({"EmailStr._validate"})

Core = Mapping[str, Any]


def takes_missing(core: Core) -> bool:
    """Whether an enum takes values that it does not list."""
    method = getattr(core.get("cls"), "_missing_", None)
    return getattr(method, "__func__", None) is not getattr(enum.Enum._missing_, "__func__", None) if method else False


def is_changed(core: Core, config: Core) -> bool:
    """Whether a reader takes numbers as texts, or checks another text than the answer holds, or by a pattern with flags."""
    changes = [core.get(name, config.get(f"str_{name}")) for name in ("strip_whitespace", "to_lower", "to_upper")]
    checks = core.keys() & {"min_length", "max_length", "pattern"}
    coerces = core.get("coerce_numbers_to_str", config.get("coerce_numbers_to_str"))
    flags = getattr(core.get("pattern"), "flags", re.UNICODE) != re.UNICODE
    return bool(coerces or flags or (any(changes) and checks))


def schema_name(name: str, alias: Any) -> str:
    """The name that the JSON schema has for a field: of several aliases, the first that is no path."""
    if isinstance(alias, str):
        return alias
    paths = alias if alias and isinstance(alias[0], list) else [alias]
    return next((str(path[0]) for path in paths if len(path) == 1), name)


def looked_into(alias: Any) -> set[str]:
    """The fields of which only a part is read, as another field."""
    if isinstance(alias, str):
        return set()
    paths = alias if alias and isinstance(alias[0], list) else [alias]
    return {str(path[0]) for path in paths if len(path) > 1}


def inner_config(core: Core, config: Core) -> Core:
    """The configuration inside of a definition that is used in another one, without words."""
    own = core.get("config", {})
    inside = own if own and core["type"] in ("model", "dataclass") else {**config, **own}
    return {key: value for key, value in inside.items() if key != "title"}


def is_pydantics(function: Any) -> bool:
    """Whether a function of a schema only checks what the JSON schema says as well."""
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    if isinstance(function, functools.partial):
        return is_pydantics(function.func)
    return module in OWN_MODULES or (module.startswith("pydantic.") and name in OWN_FUNCTIONS)


def runs_after(cls: type[Any], post_init: Any) -> bool:
    """Whether an object runs code of the app's own when it is made; private attributes are no such code."""
    method = getattr(cls, post_init, None) if isinstance(post_init, str) else None
    return bool(post_init) and getattr(method, "__name__", "") != "init_private_attributes"


def says_otherwise(core: Core) -> bool:
    """Whether the JSON schema of a part was made by hand, so that it need not say what the part reads."""
    metadata = core.get("metadata") or {}
    if is_by_hand(metadata.get("pydantic_js_extra")) or is_by_hand(metadata.get("pydantic_js_updates")):
        return True
    return any(not _describes(function) for function in _schema_functions(metadata))


def is_by_hand(extra: Any) -> bool:
    """Whether something else than words is put into a JSON schema."""
    return callable(extra) or bool(extra and extra.keys() - WORDS)


def _schema_functions(metadata: Core) -> Iterator[Any]:
    yield from metadata.get("pydantic_js_functions", ())
    yield from metadata.get("pydantic_js_annotation_functions", ())


def _describes(function: Any) -> bool:
    owner = getattr(function, "__self__", None)
    name = type(owner).__name__ if owner is not None and not isinstance(owner, type) else ""
    return str(getattr(function, "__module__", "")).startswith("pydantic.") and name not in ("WithJsonSchema", "SkipJsonSchema")


def is_valid_default(core: Core) -> bool:
    """Whether a default that is validated is taken."""
    from pydantic_core import SchemaError, SchemaValidator, ValidationError

    try:
        SchemaValidator(core["schema"]).validate_python(core["default"])
    except (KeyError, SchemaError, ValidationError):
        return False
    return True
