"""JSON read strictly, with the path and the line of what is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import StoreError

__all__ = ["line_number", "load_json"]


class _DuplicateKey(ValueError):
    pass


def load_json(path: Path | str, content: bytes, *, several: bool = False, shared: bool = False) -> Any:
    """Parse JSON as RFC 8259 has it: UTF-8, no NaN, no duplicate key, no nesting that exhausts the stack.

    Args:
        several: accept several values one after the other, as in JSON Lines, and return the list of them.
        shared: make one object of all schemas that are the same, which must not be changed: it takes a fraction of the memory.

    Raises:
        StoreError: the content is anything else; the message names the path and the line.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise StoreError(f"{path}, line {line}: not UTF-8") from None
    decoder = json.JSONDecoder(object_pairs_hook=_SharedSchemas() if shared else _unique, parse_constant=_refuse_constant)
    try:
        return list(_values(decoder, text)) if several else decoder.decode(text)
    except json.JSONDecodeError as error:
        line, problem = error.lineno, f"not valid JSON ({error.msg})"
    except _DuplicateKey as error:
        key = str(error)
        line, problem = line_number(text, key, last=True), f"the key {key!r:.80} stands there twice"
    except RecursionError:
        line, problem = 1, "nested too deep to be ours"
    except ValueError as error:  # NaN, or a number with too many digits
        line, problem = line_number(text, str(error).split()[0]), str(error)[:80]
    raise StoreError(f"{path}, line {line}: {problem}")


def line_number(text: str, needle: str, *, last: bool = False) -> int:
    """The number of the first (or last) line that contains ``needle``; 1 where none does."""
    lines = [number for number, line in enumerate(text.splitlines(), 1) if needle in line]
    return lines[-1 if last else 0] if lines else 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        keys = [key for key, _ in pairs]
        raise _DuplicateKey(next(key for key in keys if keys.count(key) > 1))
    return out


class _SharedSchemas:
    """Makes one object of all schemas that are the same, in the order of their keys too: assistants often share a model."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        out = _unique(pairs)
        if isinstance(schema := out.get("schema"), dict):
            out["schema"] = self._known.setdefault(json.dumps(schema), schema)
        return out


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _values(decoder: json.JSONDecoder, text: str) -> Iterator[Any]:
    def skip_blanks(at: int) -> int:
        return next((index for index in range(at, len(text)) if text[index] not in " \t\r\n"), len(text))

    at = skip_blanks(0)
    while True:
        value, at = decoder.raw_decode(text, at)
        yield value
        at = skip_blanks(at)
        if at == len(text):
            return
