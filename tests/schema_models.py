"""Random output models, and edits of them, as Python source: whoever reads a failure can run it.

``r`` is a ``random.Random``, or hypothesis' own, which it can shrink.
"""

from __future__ import annotations

import copy
import itertools
import random
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

FIELDS = ("a", "b", "c", "d", "e", "f")
WORDS = ("red", "blue", "green", "1", "2", "3", "true", "no", "", "2020-01-02", "cat", "dog", "ABC", "null")
PATTERNS = ("^[A-Z]{3}$", "^[a-z]+$", r"^\d{2,4}$", "x", "^(cat|dog)$", r"^\w+@\w+$", "[0-9]")
FORMS = ("date", "datetime", "time", "timedelta", "UUID", "Decimal", "IPv4Address", "IPv6Address")
HEADER = """\
from __future__ import annotations

import dataclasses
import enum
import re
import zlib
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Generic, Literal, Optional, TypeVar, Union
from uuid import UUID

import pydantic
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, field_validator, model_validator
from typing_extensions import NotRequired, TypeAliasType, TypedDict

rules = True  # whether the app's own rules apply


def picky(value):
    if rules and zlib.crc32(repr(value).encode()) % 3 == 0:
        raise ValueError("a rule of the app's own")
    return value


def known(keys):
    def check(cls, value):
        if rules and isinstance(value, dict) and set(value) - keys:
            raise ValueError("a rule of the app's own")
        return value
    return classmethod(check)
"""


@dataclass
class Node:
    """The type of a field."""

    strict: bool = False
    validator: str = ""  # BeforeValidator or AfterValidator


@dataclass
class Text(Node):
    least: int | None = None
    most: int | None = None
    pattern: str | None = None


@dataclass
class Number(Node):
    whole: bool = True
    bounds: dict[str, float] = field(default_factory=dict)


@dataclass
class Bool(Node):
    pass


@dataclass
class Form(Node):
    kind: str = "date"


@dataclass
class Choice(Node):
    values: list[Any] = field(default_factory=list)
    name: str = ""  # of an enum; a literal has none


@dataclass
class Maybe(Node):
    inner: Node = field(default_factory=Bool)


@dataclass
class Many(Node):
    inner: Node = field(default_factory=Bool)
    least: int | None = None
    most: int | None = None
    kind: str = "list"


@dataclass
class Either(Node):
    branches: list[Node] = field(default_factory=list)


@dataclass
class Tagged(Node):
    """A union of models that the field ``kind`` tells apart."""

    branches: list[Ref] = field(default_factory=list)


@dataclass
class Ref(Node):
    name: str = ""


@dataclass
class Member:
    """A field of a model."""

    name: str
    node: Node
    default: str = ""  # its source
    description: str = ""
    alias: str = ""
    validator: str = ""  # the mode of a field validator


@dataclass
class Model:
    name: str
    members: list[Member]
    kind: str = "model"  # or dataclass, pydantic_dataclass, typed_dict
    extra: str = "ignore"
    strict: bool = False
    validator: str = ""  # before, after, post_init


@dataclass
class World:
    """All the models that an output model needs; the first one is it."""

    models: list[Model]

    def model(self, name: str) -> Model:
        return next(each for each in self.models if each.name == name)


class Maker:
    """Makes a world, part by part."""

    def __init__(self, r: random.Random) -> None:
        self.r = r
        self.models: list[Model] = []
        self.count = itertools.count(1)

    def world(self) -> World:
        self.model(0, root=True)
        return World(self.models)

    def odds(self, of: float) -> bool:
        return self.r.random() < of

    def model(self, depth: int, tag: str = "", root: bool = False) -> Model:
        r = self.r
        kinds = ["model"] * 6 + ["dataclass", "pydantic_dataclass"] + ([] if root or tag else ["typed_dict"])
        model = Model(f"M{next(self.count)}", [], r.choice(kinds), "forbid" if self.odds(0.25) else "ignore")
        self.models.append(model)
        if model.kind == "model":
            model.strict = self.odds(0.1)
            model.validator = r.choice(["before", "after", "keys", "post_init"]) if self.odds(0.1) else ""
        elif model.kind != "typed_dict":
            model.validator = "post_init" if self.odds(0.1) else ""
        if tag:
            model.members.append(Member("kind", Choice(values=[tag])))
        names = r.sample(FIELDS, r.randrange(1, 4))
        for name in names:
            model.members.append(self.member(name, depth, model))
        return model

    def member(self, name: str, depth: int, model: Model) -> Member:
        r = self.r
        made = Member(name, self.node(depth, inside=True))
        if model.kind == "typed_dict":
            return made
        if self.odds(0.2):
            made.description = r.choice(["Described.", "Said otherwise."])
        if model.kind == "model":
            made.alias = r.choice(["alias", *FIELDS]) if self.odds(0.04) else ""
            made.validator = r.choice(["before", "after"]) if self.odds(0.06) else ""
        if isinstance(made.node, Maybe) and self.odds(0.5):
            made.default = "None"
        elif isinstance(made.node, Many) and self.odds(0.1):
            made.default = "factory"
        elif isinstance(made.node, Text) and self.odds(0.1):
            made.default = "'red'"
        return made

    def node(self, depth: int, inside: bool = False) -> Node:
        r = self.r
        ways: list[Callable[[], Node]] = [
            self.text,
            self.number,
            self.number,
            lambda: Bool(),
            self.form,
            self.choice,
            self.choice,
        ]
        if depth < 3:
            ways += [lambda: Maybe(inner=self.node(depth + 1)), lambda: self.many(depth), lambda: self.many(depth)]
            ways += [lambda: self.either(depth), lambda: self.tagged(depth), lambda: self.ref(depth), lambda: self.ref(depth)]
        made = r.choice(ways)()
        if self.odds(0.05) and not isinstance(made, Ref | Tagged | Either | Maybe | Choice):
            made.strict = True
        if self.odds(0.03):
            made.validator = r.choice(["BeforeValidator", "AfterValidator"])
        return made

    def text(self) -> Text:
        r, made = self.r, Text()
        if self.odds(0.4):
            made.pattern = r.choice(PATTERNS)
        if self.odds(0.3):
            made.least = r.randrange(0, 4)
        if self.odds(0.3):
            made.most = r.randrange(4, 9)
        return made

    def number(self) -> Number:
        r, made = self.r, Number(whole=self.odds(0.6))
        if self.odds(0.35):
            made.bounds[r.choice(["ge", "gt"])] = r.choice([-5, 0, 1, 2])
        if self.odds(0.35):
            made.bounds[r.choice(["le", "lt"])] = r.choice([4, 5, 10, 100])
        if self.odds(0.12):
            made.bounds["multiple_of"] = r.choice([1, 2, 3, 5, 6] if made.whole else [0.5, 1, 2, 0.25])
        return made

    def form(self) -> Form:
        return Form(kind=self.r.choice(FORMS))

    def choice(self) -> Choice:
        r = self.r
        pool: list[Any] = r.choice([list(WORDS), list(WORDS), [0, 1, 2, 3, 7], ["a", "b", 1, 2, True, None]])
        made = Choice(values=r.sample(pool, r.randrange(1, 5)))
        if self.odds(0.4) and all(type(each) in (str, int) for each in made.values):
            made.name = f"E{next(self.count)}"
        return made

    def many(self, depth: int) -> Many:
        r, made = self.r, Many(inner=self.node(depth + 1))
        made.kind = "tuple" if self.odds(0.1) else "list"
        if self.odds(0.25):
            made.least = r.randrange(0, 3)
        if self.odds(0.25):
            made.most = r.randrange(2, 5)
        return made

    def either(self, depth: int) -> Either:
        return Either(branches=[self.node(depth + 1) for _ in range(self.r.randrange(2, 4))])

    def tagged(self, depth: int) -> Tagged:
        tags = self.r.sample(["cat", "dog", "owl"], 2)
        return Tagged(branches=[Ref(name=self.model(depth + 1, tag).name) for tag in tags])

    def ref(self, depth: int) -> Node:
        r = self.r
        if self.odds(0.4):  # shared, or recursive; a list or a null ends it
            shared = Ref(name=r.choice(self.models).name)
            return r.choice([Maybe(inner=shared), Many(inner=shared), Either(branches=[shared, self.text()])])
        return Ref(name=self.model(depth + 1).name)


def nodes(world: World) -> Iterator[tuple[Node, Callable[[Node], None]]]:
    """Every node, with what puts another one in its place."""

    def below(node: Node, put: Callable[[Node], None]) -> Iterator[tuple[Node, Callable[[Node], None]]]:
        yield node, put
        if isinstance(node, Maybe | Many):
            yield from below(node.inner, lambda new: setattr(node, "inner", new))
        if isinstance(node, Either):
            for index, each in enumerate(node.branches):
                yield from below(each, lambda new, index=index: node.branches.__setitem__(index, new))  # type: ignore[misc]

    for model in world.models:
        for member in model.members:
            if member.name != "kind":
                yield from below(member.node, lambda new, member=member: setattr(member, "node", new))  # type: ignore[misc]


class Editor(Maker):
    """Changes a world as people do: one small thing, or a few."""

    def edited(self, world: World, times: int) -> World:
        out = copy.deepcopy(world)
        self.models = out.models
        self.count = itertools.count(1000)
        for _ in range(times):
            self.r.choice(
                [self.add, self.remove, self.rename, self.order, self.reader, self.describe, self.split, self.rename_model]
                + [self.change_node] * 10
            )(out)
        return out

    def a_model(self, world: World) -> Model:
        return self.r.choice(world.models)

    def add(self, world: World) -> None:
        model = self.a_model(world)
        if left := [name for name in FIELDS if name not in {each.name for each in model.members}]:
            model.members.insert(self.r.randrange(len(model.members) + 1), self.member(self.r.choice(left), 2, model))

    def remove(self, world: World) -> None:
        model = self.a_model(world)
        members = [each for each in model.members if each.name != "kind"]
        if len(model.members) > 1 and members:
            model.members.remove(self.r.choice(members))

    def rename(self, world: World) -> None:
        model = self.a_model(world)
        left = [name for name in FIELDS if name not in {each.name for each in model.members}]
        members = [each for each in model.members if each.name != "kind"]
        if left and members:
            self.r.choice(members).name = self.r.choice(left)

    def order(self, world: World) -> None:
        members = self.a_model(world).members
        members.append(members.pop(0))

    def describe(self, world: World) -> None:
        model = self.a_model(world)
        if model.kind != "typed_dict":
            self.r.choice(model.members).description = self.r.choice(["", "Anew."])

    def reader(self, world: World) -> None:
        model = self.a_model(world)
        model.extra = "forbid" if model.extra == "ignore" else "ignore"
        if model.kind == "model":
            model.strict = self.odds(0.3)
            member = self.r.choice(model.members)
            member.default = "" if member.default else ("None" if isinstance(member.node, Maybe) else "")

    def split(self, world: World) -> None:
        """One of the references to a shared model leads to a changed copy of it."""
        refs = [node for node, _ in nodes(world) if isinstance(node, Ref)]
        if refs:
            node = self.r.choice(refs)
            clone = copy.deepcopy(world.model(node.name))
            clone.name = node.name = f"M{next(self.count)}"
            world.models.append(clone)
            clone.members.append(Member("g", self.text()))

    def rename_model(self, world: World) -> None:
        model, name = self.a_model(world), f"M{next(self.count)}"
        for node, _ in nodes(world):
            for ref in [node, *(node.branches if isinstance(node, Tagged) else ())]:
                if isinstance(ref, Ref) and ref.name == model.name:
                    ref.name = name
        model.name = name

    def change_node(self, world: World) -> None:
        r = self.r
        found = list(nodes(world))
        if not found:
            return
        node, put = r.choice(found)
        way = r.randrange(10)
        if way == 0:
            put(self.node(2))
        elif way == 1:
            put(node.inner if isinstance(node, Maybe) else Maybe(inner=node))
        elif way == 2:
            put(node.inner if isinstance(node, Many) else Many(inner=node))
        elif way == 3:
            put(Either(branches=[node, self.node(2)] if self.odds(0.5) else [self.node(2), node]))
        else:
            self.tweak(node, put)

    def tweak(self, node: Node, put: Callable[[Node], None]) -> None:
        r = self.r
        if isinstance(node, Text):
            fresh = self.text()
            name = r.choice(["least", "most", "pattern", "pattern"])
            setattr(node, name, r.choice(PATTERNS) if name == "pattern" and self.odds(0.5) else getattr(fresh, name))
            if self.odds(0.2):
                put(r.choice([self.choice, self.form, self.number])())
        elif isinstance(node, Number):
            fresh_number = self.number()
            if self.odds(0.4):
                node.whole = not node.whole
                node.bounds.pop("multiple_of", None)
            else:
                node.bounds = fresh_number.bounds if fresh_number.whole == node.whole else {}
        elif isinstance(node, Choice):
            if len(node.values) > 1 and self.odds(0.4):
                node.values.pop()
            elif self.odds(0.2):
                put(r.choice([self.text, self.number, lambda: Bool()])())
            else:
                pool = [each for each in (*WORDS, 0, 1, 2) if each not in node.values and type(each) is type(node.values[0])]
                node.values += pool[: r.randrange(1, 3)]
        elif isinstance(node, Form):
            node.kind = r.choice(FORMS)
        elif isinstance(node, Many):
            fresh_list = self.many(2)
            node.least, node.most = fresh_list.least, fresh_list.most
        elif isinstance(node, Either):
            if len(node.branches) > 2 and self.odds(0.5):
                node.branches.pop(r.randrange(len(node.branches)))
            else:
                node.branches.insert(r.randrange(len(node.branches) + 1), self.node(2))
        elif isinstance(node, Tagged):
            if len(node.branches) > 1 and self.odds(0.4):
                node.branches.pop()
            elif self.odds(0.5):
                tags = {self.tag_of(ref.name) for ref in node.branches}
                if left := [tag for tag in ("cat", "dog", "owl") if tag not in tags]:
                    node.branches.append(Ref(name=self.model(2, left[0]).name))
            else:
                put(Either(branches=list(node.branches)))
        elif isinstance(node, Bool):
            put(r.choice([self.number, self.choice, self.text])())

    def tag_of(self, name: str) -> Any:
        model = next(each for each in self.models if each.name == name)
        return next(
            (each.node.values[0] for each in model.members if isinstance(each.node, Choice) and each.name == "kind"), None
        )


def source(world: World) -> str:
    """The Python module of a world; its output model is called ``Output``."""
    enums: dict[str, list[Any]] = {}
    classes = [_class(model, enums) for model in world.models]
    lines = [HEADER]
    for name, values in enums.items():
        base = "str, " if all(isinstance(each, str) for each in values) and name.endswith("2") else ""
        lines += [f"class {name}({base}enum.Enum):", *(f"    X{index} = {value!r}" for index, value in enumerate(values)), ""]
    lines += [*classes, *_rebuilt(world), f"Output = {world.models[0].name}"]
    return "\n".join(lines) + "\n"


def _rebuilt(world: World) -> Iterator[str]:
    for model in world.models:
        if model.kind == "model":
            yield f"{model.name}.model_rebuild()"
        elif model.kind == "pydantic_dataclass":
            yield f"pydantic.dataclasses.rebuild_dataclass({model.name})"


def _class(model: Model, enums: dict[str, list[Any]]) -> str:
    config = f"{{'extra': {model.extra!r}}}"
    head = {
        "model": [f"class {model.name}(BaseModel, extra={model.extra!r}{', strict=True' if model.strict else ''}):"],
        "dataclass": ["@dataclasses.dataclass(kw_only=True)", f"class {model.name}:", f"    __pydantic_config__ = {config}"],
        "pydantic_dataclass": [f"@pydantic.dataclasses.dataclass(config={config}, kw_only=True)", f"class {model.name}:"],
        "typed_dict": [f"class {model.name}(TypedDict):"],
    }[model.kind]  # fmt: skip
    lines = [*head, *(f"    {_member(each, model, enums)}" for each in model.members)]
    for member in model.members:
        if member.validator and model.kind == "model":
            lines.append(f"    _check_{member.name} = field_validator({member.name!r}, mode={member.validator!r})(picky)")
    keys = {each.alias or each.name for each in model.members}
    lines += {
        "before": ["    _check = model_validator(mode='before')(picky)"],
        "after": ["    _check = model_validator(mode='after')(picky)"],
        "keys": [f"    _check = model_validator(mode='before')(known({keys!r}))"],
        "post_init": [
            f"    def {'model_post_init(self, context)' if model.kind == 'model' else '__post_init__(self)'}:",
            "        picky(repr(self))",
        ],
    }.get(model.validator, [])  # fmt: skip
    if model.kind == "typed_dict":
        lines.append(f"{model.name}.__pydantic_config__ = {config}")
    return "\n".join([*lines, ""])


def _member(member: Member, model: Model, enums: dict[str, list[Any]]) -> str:
    said = []
    if not _has_fitting_default(member):
        member = replace(member, default="")
    if member.default == "factory":
        said.append(
            "default_factory=list" if not isinstance(member.node, Many) or member.node.kind == "list" else "default_factory=tuple"
        )
    elif member.default:
        said.append(f"default={member.default}")
    if member.description:
        said.append(f"description={member.description!r}")
    if member.alias:
        said.append(f"alias={member.alias!r}")
    kind = written(member.node, enums)
    if not said or model.kind == "typed_dict":
        return f"{member.name}: {kind}"
    if model.kind == "dataclass":
        described = f"Annotated[{kind}, Field(description={member.description!r})]" if member.description else kind
        value = {"": "", "factory": " = dataclasses.field(default_factory=list)"}.get(member.default, f" = {member.default}")
        return f"{member.name}: {described}{value}"
    return f"{member.name}: {kind} = Field({', '.join(said)})"


def _has_fitting_default(member: Member) -> bool:
    """Whether the default is a value of the field: an edit may have changed its type."""
    node = member.node
    if member.default == "None":
        return isinstance(node, Maybe)
    if member.default == "factory":
        return isinstance(node, Many) and not node.least
    return isinstance(node, Text) and node.pattern is None and (node.least or 0) <= 3 and (node.most or 3) >= 3


def written(node: Node, enums: dict[str, list[Any]]) -> str:
    """The source of a type."""
    said: dict[str, Any] = {"strict": True} if node.strict else {}
    if isinstance(node, Text):
        kind = "str"
        said |= {
            key: value
            for key, value in (("min_length", node.least), ("max_length", node.most), ("pattern", node.pattern))
            if value is not None
        }
    elif isinstance(node, Number):
        kind = "int" if node.whole else "float"
        said |= node.bounds
    elif isinstance(node, Bool):
        kind = "bool"
    elif isinstance(node, Form):
        kind = node.kind
    elif isinstance(node, Choice):
        kind = _enum(node, enums) if node.name else f"Literal[{', '.join(map(repr, node.values))}]"
    elif isinstance(node, Maybe):
        kind = f"Optional[{written(node.inner, enums)}]"
    elif isinstance(node, Many):
        kind = f"list[{written(node.inner, enums)}]" if node.kind == "list" else f"tuple[{written(node.inner, enums)}, ...]"
        said |= {key: value for key, value in (("min_length", node.least), ("max_length", node.most)) if value is not None}
    elif isinstance(node, Either):
        kind = f"Union[{', '.join(written(each, enums) for each in node.branches)}]"
    elif isinstance(node, Tagged):
        kind = f"Union[{', '.join(each.name for each in node.branches)}]"
        said |= {"discriminator": "kind"} if len({each.name for each in node.branches}) > 1 else {}
    else:
        assert isinstance(node, Ref)
        kind = node.name
    parts = [f"Field({', '.join(f'{key}={value!r}' for key, value in said.items())})"] if said else []
    parts += [f"{node.validator}(picky)"] if node.validator else []
    return f"Annotated[{', '.join([kind, *parts])}]" if parts else kind


def _enum(node: Choice, enums: dict[str, list[Any]]) -> str:
    name = node.name
    while enums.setdefault(name, node.values) != node.values:
        name += "_"
    return name


_numbers = itertools.count()


@contextmanager
def loaded(text: str) -> Iterator[Any]:
    """The module of a source, while it is looked at."""
    module = types.ModuleType(f"made_{next(_numbers)}")
    sys.modules[module.__name__] = module
    try:
        exec(compile(text, module.__name__, "exec"), module.__dict__)
        yield module
    finally:
        del sys.modules[module.__name__]


def pair(r: random.Random) -> tuple[str, str]:
    """The sources of an output model and of the one that follows it: an edit of it or a few, or nothing like it."""
    old = Maker(r).world()
    new = Maker(r).world() if r.random() < 0.1 else Editor(r).edited(old, r.choice([1, 1, 1, 2, 2, 3, 4]))
    return source(old), source(new)
