"""What the model that reads an answer does beyond its strict schema, read from the schema that pydantic validates by. Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Hashable, Mapping
from typing import Any, cast

from ..types import Reader
from .core_schema import (
    Core,
    inner_config,
    is_by_hand,
    is_changed,
    is_pydantics,
    is_valid_default,
    looked_into,
    runs_after,
    says_otherwise,
    schema_name,
    takes_missing,
)
from .reading import ROOT, below

__all__ = ["read_model"]

MOST = 5_000  # facts; a model that has more is not looked into
CONTAINERS = ("list", "set", "frozenset")
WRAPPERS = ("default", "nullable", "custom-error")
SCALARS = frozenset([
    "bool", "bytes", "date", "datetime", "decimal", "enum", "float", "int", "literal", "none", "str", "time", "timedelta", "uuid",
])  # fmt: skip
CONVERTED = ("bool", "float", "int")

PATH_SIGNS = re.compile(r"[.\[\]]|^\$?$")  # in a name: its path may be that of another field
STRICTEST = {"strict": True, "coerce_numbers_to_str": True, "str_strip_whitespace": True}

Outer = Mapping[Hashable, Any]


def read_model(output: type[Any] | None) -> Reader:
    """What a strict schema cannot say of an output model; nothing of text."""
    return Reader() if output is None or output is str else _read_model(cast("Any", output))


@functools.lru_cache(maxsize=256)
def _read_model(output: Any) -> Reader:
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    try:
        return _Walk(TypeAdapter(output).core_schema).reader()
    except (PydanticUserError, _TooManyError, RecursionError):
        return Reader(validators=(ROOT,))


class _TooManyError(Exception):
    """A model says more than is kept."""


class _Walk:
    """A walk through pydantic's own schema of a model; ``facts`` holds pairs of a kind and a path.

    The arguments of a step: the schema, its path, the configuration around it, and what it is inside of: references, each
    with its path and the configuration around it, and the names of the fields of objects.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._definitions: dict[str, Core] = {}
        self.facts: set[tuple[str, str]] = set()
        self._loose: set[str] = set()  # paths of values that are converted
        self._at = ""  # the definition that is looked at alone
        self._seen: set[str] | None = None  # the references of one definition, while it is looked at alone
        self._telling: set[str] | None = None  # the definitions of which there is something to say
        self._named: dict[Hashable, dict[int, str]] = {}  # by the names of its fields, each object and the definition it is in

    def reader(self) -> Reader:
        """What was found, each list sorted."""
        if self._core["type"] == "definitions":
            self._definitions = {each["ref"]: each for each in self._core["definitions"]}
            self._telling = self._find_telling()
        self._visit(self._core, ROOT, {}, {})
        for path in [path for kind, path in self.facts if kind == "strict" and path in self._loose]:
            self._note("validators", path)  # two branches of a union; it is not said which of them is strict
        paths: dict[str, list[str]] = {}
        for kind, path in sorted(self.facts):
            paths.setdefault(kind, []).append(path)
        return Reader(**{kind: tuple(found) for kind, found in paths.items()})

    def _find_telling(self) -> set[str]:
        """The definitions of which there is something to say, themselves or by reference."""
        telling, using = set(), {}
        for reference, core in (*self._definitions.items(), ("", self._core["schema"])):
            self.facts, self._seen, self._at = set(), set(), reference
            for config in ({}, STRICTEST):  # what is no model has the configuration of those that use it
                self._visit(core, ROOT, config, {})
            using[reference] = self._seen
            if self.facts:
                telling.add(reference)
        for objects in self._named.values():
            telling |= set(objects.values()) if len(objects) > 1 else set()
        self.facts, self._loose, self._seen = set(), set(), None
        while more := {reference for reference, used in using.items() if reference not in telling and used & telling}:
            telling |= more
        return telling

    def _note(self, kind: str, path: str) -> None:
        self.facts.add((kind, path))
        if len(self.facts) > MOST:
            raise _TooManyError

    def _visit(self, core: Core, path: str, config: Core, outer: Outer) -> None:
        if reference := core.get("ref"):
            around = inner_config(core, config)
            if reference in outer:  # what is recursive is described once
                described, ways = outer[reference]
                if ways != around:
                    self._note("validators", described)
                return
            outer = {**outer, reference: (path, around)}
        if says_otherwise(core):
            self._note("validators", path)
        kind = core["type"]
        if kind in SCALARS:
            self._scalar(core, path, config)
        elif kind.startswith("function-"):
            self._function(core, path, config, outer)
        else:
            step = STEPS.get(kind)
            if step is None:
                self._note("validators", path)
            else:
                step(self, core, path, config, outer)

    def _scalar(self, core: Core, path: str, config: Core) -> None:
        if core.get("strict", config.get("strict")):
            self._note("strict", path)
        elif core["type"] in CONVERTED:
            self._loose.add(path)
        odd = core["type"] == "decimal"  # its schema allows every text
        if odd or (core["type"] == "str" and is_changed(core, config)) or takes_missing(core):
            self._note("validators", path)

    def _function(self, core: Core, path: str, config: Core, outer: Outer) -> None:
        if not is_pydantics(core["function"]["function"]):
            self._note("validators", path)
        if "schema" in core:
            self._visit(core["schema"], path, config, outer)

    def _reference(self, core: Core, path: str, config: Core, outer: Outer) -> None:
        reference = core["schema_ref"]
        if self._seen is not None:
            self._seen.add(reference)
        elif self._telling is None or reference in self._telling:
            self._visit(self._definitions[reference], path, config, outer)

    def _definition_table(self, core: Core, path: str, config: Core, outer: Outer) -> None:
        self._visit(core["schema"], path, config, outer)

    def _wrapper(self, core: Core, path: str, config: Core, outer: Outer) -> None:
        if core.get("on_error", "raise") != "raise":
            self._note("validators", path)
        self._visit(core["schema"], path, config, outer)

    def _container(self, core: Core, path: str, config: Core, outer: Outer) -> None:
        if "items_schema" in core:
            self._visit(core["items_schema"], below(path, "[]"), config, outer)

    def _union(self, core: Core, path: str, config: Core, outer: Outer) -> None:
        choices = core["choices"]
        if callable(core.get("discriminator")):
            self._note("validators", path)
        for choice in choices.values() if isinstance(choices, dict) else choices:
            self._visit(choice[0] if isinstance(choice, tuple) else choice, path, config, outer)

    def _lax_or_strict(self, core: Core, path: str, config: Core, outer: Outer) -> None:
        strict = core.get("strict", config.get("strict"))
        if strict:
            self._note("strict", path)
        self._visit(core["strict_schema" if strict else "lax_schema"], path, config, outer)

    def _json_or_python(self, core: Core, path: str, config: Core, outer: Outer) -> None:
        self._visit(core["json_schema"], path, config, outer)

    def _class(self, core: Core, path: str, config: Core, outer: Outer) -> None:
        """A model or a dataclass."""
        config, cls = core.get("config", config), core["cls"]
        by_hand = is_by_hand(getattr(cls, "model_config", getattr(cls, "__pydantic_config__", {})).get("json_schema_extra"))
        if core.get("custom_init") or runs_after(cls, core.get("post_init")) or by_hand:
            self._note("validators", path)
        self._visit(core["schema"], path, config, outer)

    def _fields(self, core: Core, path: str, config: Core, outer: Outer) -> None:
        config = {**config, **core.get("config", {})}
        if core.get("extra_behavior", config.get("extra_fields_behavior")) == "forbid":
            self._note("forbids_extras", path)
        fields = core["fields"]
        named = dict(fields if isinstance(fields, dict) else [(field["name"], field) for field in fields])
        names = frozenset(schema_name(name, field.get("validation_alias", name)) for name, field in named.items())
        if self._seen is not None:
            self._named.setdefault(names, {})[id(core)] = self._at
        if names in outer or any(map(PATH_SIGNS.search, names)):
            self._note("validators", path)  # by its schema it may be the object around it once more, and by its path a field
            return
        for name, field in named.items():
            self._field(core, name, field, path, config, {**outer, names: None})

    def _field(self, core: Core, name: str, field: Core, path: str, config: Core, outer: Outer) -> None:
        alias = field.get("validation_alias", name)
        inside = below(path, schema_name(name, alias))
        by_alias, by_name = config.get("validate_by_alias", True), config.get("validate_by_name", config.get("populate_by_name"))
        if not isinstance(alias, str) or (alias != name and not by_alias) or says_otherwise(field):
            self._note("validators", inside)
        also = {name} if alias != name and by_name else set()
        for place in also | looked_into(alias):
            self._note("validators", below(path, place))
        if not field.get("init", True):
            self._note("validators", inside)
        inner = field["schema"]
        required = field.get("required", core.get("total", True)) if core["type"] == "typed-dict" else True
        if inner["type"] == "default" or not required:
            self._note("defaults", inside)
            checked = inner.get("validate_default", config.get("validate_default"))
            if inner.get("default_factory_takes_data") or (checked and not is_valid_default(inner)):
                self._note("validators", inside)  # made from what is there, it may miss what the answer lacks as well
        self._visit(inner, inside, config, outer)


Step = Callable[[_Walk, Core, str, Core, Outer], None]
STEPS: dict[str, Step] = {
    "definition-ref": _Walk._reference,
    "definitions": _Walk._definition_table,
    **dict.fromkeys(WRAPPERS, _Walk._wrapper),
    **dict.fromkeys(CONTAINERS, _Walk._container),
    **dict.fromkeys(("union", "tagged-union"), _Walk._union),
    "lax-or-strict": _Walk._lax_or_strict,
    "json-or-python": _Walk._json_or_python,
    **dict.fromkeys(("model", "dataclass"), _Walk._class),
    **dict.fromkeys(("model-fields", "dataclass-args", "typed-dict"), _Walk._fields),
}
