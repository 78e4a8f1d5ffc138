"""What an evaluator is, as text: a change of it is another evaluator, and what the old one passed is not known of the new one."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator
from types import CellType
from typing import Any

from ..errors import SettingsError

__all__ = ["evaluator_source"]


def evaluator_source(evaluator: Callable[..., Any]) -> str:
    """The source of an evaluator, and the values that it holds beside it: defaults, and what a factory closed it over.

    Functions that it calls, and globals, are not part of it.

    Raises:
        SettingsError: there is no source, or it holds what is no plain JSON value.
    """
    name = evaluator.__name__
    try:
        if inspect.getfile(inspect.unwrap(evaluator)) == "<string>":  # which from Python 3.13 on is the text behind python -c
            raise OSError
        source = inspect.getsource(evaluator)
    except (OSError, TypeError):
        raise SettingsError(f"the source of the evaluator {name} cannot be read: define it in a file") from None
    made = "<locals>" in getattr(evaluator, "__qualname__", "")  # by a factory, of which the source tells nothing
    if isinstance(evaluator, type):
        if made:
            raise SettingsError(f"the evaluator {name} is a class inside of a function: define it outside")
        fields = dataclasses.fields(evaluator) if dataclasses.is_dataclass(evaluator) else ()
        held = [(field.name, field.default, False) for field in fields if field.default is not dataclasses.MISSING]
    else:
        held = list(_held(evaluator, made))
    for key, value, needed in held:
        if needed and not _is_plain(value):
            raise SettingsError(f"the evaluator {name} holds {key}, which is no plain JSON value: make it a plain function")
    values = [f"{key} = {value!r}\n" for key, value, _ in held if _is_plain(value)]
    return "".join([source, *values])


def _held(evaluator: Callable[..., Any], made: bool) -> Iterator[tuple[str, Any, bool]]:
    """The values that a function holds: name, value, and whether nothing else tells of it."""
    if inspect.ismethod(evaluator):
        yield "self", evaluator.__self__, not isinstance(evaluator.__self__, type)
    inner = inspect.unwrap(evaluator)
    for each in dict.fromkeys((evaluator, inner)):
        for key, cell in zip(*_closure(each), strict=True):
            yield key, cell.cell_contents if cell != CellType() else cell, True
    for number, default in enumerate(getattr(inner, "__defaults__", None) or (), 1):
        yield f"default {number}", default, made
    for key, default in (getattr(inner, "__kwdefaults__", None) or {}).items():
        yield key, default, made


def _closure(function: Any) -> tuple[tuple[str, ...], tuple[CellType, ...]]:
    """The names and the cells of what a function is closed over."""
    cells = getattr(function, "__closure__", None)
    return (function.__code__.co_freevars, cells) if cells else ((), ())


def _is_plain(value: Any) -> bool:
    """Whether it is a JSON value, whose ``repr`` tells all of it."""
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return value is None or type(value) in (str, int, float, bool)
