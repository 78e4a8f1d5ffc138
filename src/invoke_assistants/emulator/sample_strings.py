"""Sample strings: of the format, the pattern and the length that their schema asks for. Pure.

Strings of a pattern are made by rstr. Nothing maintained makes whole values of a schema in its place: jsf ignores lengths
beside a pattern, Faker knows no schema, polyfactory no schema without its model, hypothesis gives other values each time.
"""

from __future__ import annotations

import datetime as dt
import math
import random
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import rstr

__all__ = ["has_allowed_length", "sample_string"]

TRIES = 100  # strings made from a pattern, in search of one that can be given an allowed length
STEPS = 60  # strings made for a format, in search of one that matches a pattern as well
REPEATS = 8  # the most for a pattern's `*` or `+`, unless a length asks for more
PART = 8  # characters that are repeated or left out at once, where the whole difference in length cannot be
NOON = dt.datetime(2030, 1, 1, 12, tzinfo=dt.UTC)


def sample_string(schema: Mapping[str, Any], plain: str, number: int, source: random.Random) -> str:
    """Make a string that has the format, matches the pattern and has an allowed length.

    Where no string of the format is found that matches the pattern, the pattern counts; where none is found that does, the
    string is the plain one, or one of the format.

    Args:
        plain: what the string is if it has no format, and matches the pattern.
        number: makes strings of a format differ.
        source: makes strings of a pattern differ.
    """
    form, fits = str(schema.get("format")), _string_check(schema)
    texts = [FORMATS[form](number + step) for step in range(STEPS)] if form in FORMATS else [plain]
    text = next((text for text in texts if fits(text)), None)
    if text is None and form in FREE_FORMATS:
        fitted = _fit_length(texts[0], schema, lambda text: bool(FREE_FORMATS[form].fullmatch(text)))
        text = fitted if fitted is not None and fits(fitted) else None
    if text is None and "pattern" in schema:
        text = _match_pattern(schema, source)
    return texts[0] if text is None else text


def has_allowed_length(text: str, schema: Mapping[str, Any]) -> bool:
    """Whether a string is as long as its schema asks for."""
    return bool(schema.get("minLength", 0) <= len(text) <= schema.get("maxLength", len(text)))


def _string_check(schema: Mapping[str, Any]) -> Callable[[str], bool]:
    """What says whether a string has an allowed length and matches the pattern, if ``re`` can read it."""
    try:
        search = re.compile(schema.get("pattern", "")).search
    except re.error:
        return lambda text: has_allowed_length(text, schema)
    return lambda text: has_allowed_length(text, schema) and bool(search(text))


def _match_pattern(schema: Mapping[str, Any], source: random.Random) -> str | None:
    """Make a string from the pattern, with an allowed length.

    Return None if ``re`` cannot read the pattern, or no string is found.
    """
    pattern = schema["pattern"]
    most = max(REPEATS, 2 * schema.get("minLength", 0))
    bounded = REPETITION.sub(lambda match: match[1] or f"{{{int(match[2] == '+')},{most}}}", pattern)
    try:
        search, strings = re.compile(pattern).search, rstr.Rstr(source)
        made = (text for text in (strings.xeger(bounded) for _ in range(TRIES)) if search(text))
        fitted = (_fit_length(text, schema, lambda text: bool(search(text))) for text in made)
        return next((text for text in fitted if text is not None), None)
    except (re.error, LookupError, ValueError, TypeError, OverflowError):
        return None


def _fit_length(text: str, schema: Mapping[str, Any], matches: Callable[[str], bool]) -> str | None:
    """Repeat or leave out parts of a text that matches, until it has an allowed length; None if that cannot be done."""
    while not has_allowed_length(text, schema):
        following = next((each for each in _nearer_texts(text, schema) if matches(each)), None)
        if following is None:
            return None
        text = following
    return text


def _nearer_texts(text: str, schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield texts whose length is nearer to an allowed one, the nearest first."""
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength", math.inf)
    short = len(text) < shortest
    gap, room = (shortest - len(text), longest - len(text)) if short else (len(text) - longest, len(text) - shortest)
    for size in dict.fromkeys([*(gap >> halvings for halvings in range(gap.bit_length())), *range(PART, 0, -1)]):
        for end in range(len(text), size - 1 if size <= room else len(text), -1):
            start = end - size
            yield text[:end] + text[start:] if short else text[:start] + text[end:]


REPETITION = re.compile(r"(\\.|\[\^?\]?(?:\\.|[^\]\\])*\])|([*+])")  # group 1: an escape or a class, which stays; 2: * or +


def _uuid(number: int, version: int) -> str:
    return str(uuid.UUID(int=uuid.UUID(int=number, version=4).int & ~(0xF << 76) | version << 76))


FORMATS: dict[str, Callable[[int], str]] = {
    "date": lambda number: (NOON + dt.timedelta(days=number)).date().isoformat(),
    "date-time": lambda number: (NOON + dt.timedelta(hours=number)).isoformat().replace("+00:00", "Z"),
    "time": lambda number: f"{number % 24:02}:{number // 24 % 60:02}:00Z",
    "duration": lambda number: f"PT{number}M",
    "email": lambda number: f"sample{number}@example.com",
    "hostname": lambda number: f"sample{number}.example.com",
    "ipv4": lambda number: f"192.0.2.{number % 256}",
    "ipv6": lambda number: f"2001:db8::{number % 65536:x}",
    "uri": lambda number: f"https://sample{number}.example.com/",
    "uuid": lambda number: str(uuid.UUID(int=number, version=4)),
    # A function's parameters may have any format; these are the others of JSON Schema, and those of pydantic.
    "ipv4interface": lambda number: f"192.0.2.{number % 256}/24",
    "ipv4network": lambda number: f"192.0.{number % 256}.0/24",
    "ipv6interface": lambda number: f"2001:db8::{number % 65536:x}/64",
    "ipv6network": lambda number: f"2001:db8:0:{number % 65536:x}::/64",
    "json-pointer": lambda number: f"/sample{number}",
    "json-string": lambda number: f'"sample {number}"',
    "regex": lambda number: f"^sample {number}$",
    "relative-json-pointer": lambda number: f"1/sample{number}",
    **{f"uuid{version}": partial(_uuid, version=version) for version in range(1, 9)},
}
for _alias, _name in {
    "idn-email": "email", "idn-hostname": "hostname", "ipvanyaddress": "ipv4", "ipvanyinterface": "ipv4interface",
    "ipvanynetwork": "ipv4network", "iri": "uri", "iri-reference": "uri", "uri-reference": "uri", "uri-template": "uri",
}.items():  # fmt: skip
    FORMATS[_alias] = FORMATS[_name]

# The strings of a format whose length is free; the digits make them differ.
FREE_FORMATS = {
    name: re.compile(pattern)
    for name, pattern in {
        "email": r"[a-z]{1,40}[0-9]{3,}@[a-z]{1,50}\.com",
        "hostname": r"[a-z]{1,50}[0-9]{3,}\.[a-z]{1,50}\.com",
        "uri": r"https://[a-z]{1,50}[0-9]{3,}\.[a-z]{1,50}\.com/[a-z]*",
    }.items()
}
