"""A changed output schema against the models that read its answers, both ways. Pure.

``comparison`` walks two schemas in one direction; here both directions become one list, and the order to ship in.
"""

from __future__ import annotations

import json
from dataclasses import replace

from ..types import Compatibility, JSONObject, Order, Reader, SchemaChange, Verdict
from .comparison import Comparison, TooLarge
from .judgement import Finding
from .reading import ROOT, Reading
from .schema_graph import Schema, identical
from .sentences import DEPLOY_FIRST, FINE, NEW_APP, OLD_APP, sentence

__all__ = ["compare_schemas"]

Findings = dict[tuple[str, str], Finding]

PAIRS = (  # what is one in one direction is the other in the other one
    ("field_added", "field_removed"),
    ("nullable_added", "nullable_removed"),
    ("enum_widened", "enum_narrowed"),
    ("bound_loosened", "bound_tightened"),
    ("union_widened", "union_narrowed"),
)
MIRROR = {**dict(PAIRS), **{other: one for one, other in PAIRS}}
TEXT = "An answer in plain text."


def compare_schemas(
    old: JSONObject | None, old_reader: Reader | None, new: JSONObject | None, new_reader: Reader
) -> Compatibility | None:
    """What a changed output schema does to the app that runs now and to the one that comes; None where nothing changed.

    Args:
        old: the strict schema that an environment has; None means text.
        old_reader: what it does not say of its reader; None where nothing is recorded.
        new, new_reader: the declared ones.
    """
    if old is new or json.dumps(old) == json.dumps(new) or identical(old, new):  # the walk is the slow one
        return None
    if old is None or new is None:
        return _text_and_json(to_text=new is None)
    before, after = Schema(old), Schema(new)
    forward = Comparison(Reading(before, old_reader, new_reader), after)
    backward = Comparison(Reading(after, new_reader, new_reader), before)
    try:
        ahead, back = forward.run(), backward.run()
    except (TooLarge, RecursionError):
        return _undecided("reads a schema that is too large to be compared")
    return _both_ways(ahead, {_mirrored(found): found for found in back.values()})


def _mirrored(finding: Finding) -> tuple[str, str]:
    return finding.path, MIRROR.get(finding.kind, finding.kind)


def _both_ways(forward: Findings, backward: Findings) -> Compatibility:
    changes = []
    for key in dict.fromkeys((*forward, *backward)):
        ahead, back = (side.get(key) or Finding(*key, "compatible", "") for side in (forward, backward))
        changes.append(SchemaChange(*key, ahead.verdict, _why(ahead, back), ahead.example))
    if not changes:  # as where a definition has another name
        changes = [SchemaChange(ROOT, "description_changed", "compatible", FINE["description_changed"])]
    order = _order(*(all(found.verdict == "compatible" for found in side.values()) for side in (forward, backward)))
    return Compatibility(_worst(changes), order, tuple(changes))


def _why(ahead: Finding, back: Finding) -> str:
    if ahead.verdict != "compatible":
        return sentence(OLD_APP, ahead.phrase)
    if back.verdict != "compatible":
        return sentence(NEW_APP, back.phrase, DEPLOY_FIRST)
    return FINE[ahead.kind]


def _worst(changes: list[SchemaChange]) -> Verdict:
    found = {change.verdict for change in changes}
    return "breaking" if "breaking" in found else "unknown" if "unknown" in found else "compatible"


def _order(old_app_reads: bool, new_app_reads: bool) -> Order:
    if old_app_reads:
        return "either" if new_app_reads else "deploy_first"
    return "ship_app_first" if new_app_reads else "both_break"


def _undecided(phrase: str) -> Compatibility:
    change = SchemaChange(ROOT, "type_changed", "unknown", sentence(OLD_APP, phrase))
    return Compatibility("unknown", "both_break", (change,))


def _text_and_json(*, to_text: bool) -> Compatibility:
    """JSON is also text, but who reads text expects other answers; text is no JSON."""
    undecided = _undecided("reads plain text, and what it makes of JSON is not known")
    if not to_text:
        return undecided
    why = sentence(OLD_APP, "reads JSON, not plain text")
    changes = tuple(replace(change, verdict="breaking", why=why, example=TEXT) for change in undecided.changes)
    return Compatibility("breaking", "both_break", changes)
