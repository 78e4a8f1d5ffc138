"""What the store keeps of a digest beside its payload: what its schema cannot say of readers, and what evals found. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..types import DIGEST, EvalCase, EvalResult, Evaluations, JSONObject, Reader, label_case
from .entries import InvalidEntry

__all__ = ["add_evals", "dump_evals", "dump_reader", "parse_evals", "parse_reader"]

_READER = ("default", "extra_forbidden", "strict", "validators")
_RESULT, _CASE = {"cases", "minimum", "passed", "rate"}, {"label", "name", "runs"}
_RUNS = ("pass", "fail", "error")
_LOCATION = re.compile(r"\S+ \S+")


def dump_reader(reader: Reader) -> JSONObject:
    """A reader as JSON, without the lists that are empty."""
    lists = (reader.defaults, reader.forbids_extras, reader.strict, reader.validators)
    return {key: list(paths) for key, paths in zip(_READER, lists, strict=True) if paths}


def parse_reader(digest: str, value: Any) -> Reader:
    """Check a reader's JSON and return the reader.

    Raises:
        InvalidEntry: it is not a reader of this package.
    """
    lists: list[Any] = [None]
    if DIGEST.fullmatch(digest) and isinstance(value, dict) and not value.keys() - {*_READER}:
        lists = [value.get(key, []) for key in _READER]
    if not all(isinstance(paths, list) and all(isinstance(path, str) for path in paths) for paths in lists):
        raise InvalidEntry(digest, f"the reader of {digest!r:.80} is not ours", table="readers")
    defaults, forbids_extras, strict, validators = (tuple(paths) for paths in lists)
    return Reader(forbids_extras, strict, defaults, validators)


def dump_evals(by_location: Mapping[str, Mapping[str, EvalResult]]) -> JSONObject:
    """What evals found of one digest, as JSON."""
    return {location: {sha: _dump_result(result) for sha, result in found.items()} for location, found in by_location.items()}


def _dump_result(result: EvalResult) -> JSONObject:
    cases = [{"label": case.label, "name": case.name, "runs": list(case.runs)} for case in result.cases]
    return {"cases": cases, "minimum": result.minimum, "passed": result.passed, "rate": result.rate}


def parse_evals(digest: str, value: Any) -> dict[str, dict[str, EvalResult]]:
    """Check the JSON of what evals found of one digest and return it, by location and by dataset.

    Raises:
        InvalidEntry: it is not what this package writes.
    """
    try:
        _require(DIGEST.fullmatch(digest))
        return {_location(location): _parse_results(found) for location, found in value.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InvalidEntry(digest, f"the evals of {digest!r:.80} are not ours", table="evals") from None


def _require(condition: object) -> None:
    if not condition:
        raise ValueError


def _location(text: str) -> str:
    _require(_LOCATION.fullmatch(text) and text.isprintable())
    return text


def _parse_results(value: JSONObject) -> dict[str, EvalResult]:
    _require(all(map(DIGEST.fullmatch, value)))
    return {sha: _parse_result(result) for sha, result in value.items()}


def _parse_result(value: JSONObject) -> EvalResult:
    """A result, whose parts must agree."""
    _require(value.keys() == _RESULT and isinstance(value["cases"], list))
    cases = tuple(map(_parse_case, value["cases"]))
    _require(len({case.name for case in cases}) == len(cases))
    rate, minimum, passed = value["rate"], value["minimum"], value["passed"]
    _require(all(type(each) in (int, float) and 0 <= each <= 1 for each in (rate, minimum)))
    sound = bool(cases) and not any(case.label == "error" for case in cases)
    _require(passed is (sound and rate >= minimum))
    return EvalResult(rate, minimum, passed, cases)


def _parse_case(value: JSONObject) -> EvalCase:
    name, runs = value["name"], value["runs"]
    _require(value.keys() == _CASE and isinstance(name, str) and isinstance(runs, list) and all(run in _RUNS for run in runs))
    case = label_case(name, runs)
    _require(case.label == value["label"])
    return case


def add_evals(before: Evaluations, new: Evaluations) -> dict[str, dict[str, dict[str, EvalResult]]]:
    """Both, the new result where both have one."""
    after = {digest: {where: dict(found) for where, found in places.items()} for digest, places in before.items()}
    for digest, places in new.items():
        for where, found in places.items():
            after.setdefault(digest, {}).setdefault(where, {}).update(found)
    return after
