"""The sentences that say why a change of an output schema is fine or not. Pure.

A phrase says what a reader does, a verb first: "needs this field".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .schema_graph import Branch

__all__ = ["DEPLOY_FIRST", "FINE", "NEW_APP", "OLD_APP", "Phrases", "of_the_past", "sentence"]

DEPLOY_FIRST = ": deploy first"  # the advice where only the new app meets what it cannot read
OLD_APP, NEW_APP = "The app that runs now", "The new app"
PAST_APP = "The app that ran then"
LONGEST = 30  # characters of a value or a name inside a sentence

TYPES = {
    "object": "an object", "array": "an array", "string": "a string", "number": "a number", "integer": "an integer",
    "boolean": "a boolean", "null": "null", "other": "something else",
}  # fmt: skip
BOUNDS = {
    "minimum": "takes no number below {}", "maximum": "takes no number above {}", "multipleOf": "takes only multiples of {}",
    "minLength": "takes no text shorter than {}", "maxLength": "takes no text longer than {}",
    "minItems": "takes no list shorter than {}", "maxItems": "takes no list longer than {}",
}  # fmt: skip
FINE = {
    "field_added": "The app that runs now ignores this field, and the new app does without it.",
    "field_removed": "The app that runs now does without this field, and the new app ignores it.",
    "type_changed": "Both apps read both types.",
    "nullable_added": "Both apps read null.",
    "nullable_removed": "Both apps read null.",
    "enum_widened": "Both apps read all these values.",
    "enum_narrowed": "Both apps read all these values.",
    "bound_loosened": "Both apps read the values on either side of the bound.",
    "bound_tightened": "Both apps read the values on either side of the bound.",
    "pattern_changed": "Both apps read texts of any pattern.",
    "format_changed": "Both apps read texts of either format.",
    "union_widened": "Both apps have a branch that reads these values.",
    "union_narrowed": "Both apps have a branch that reads these values.",
    "description_changed": "Only words changed: both apps read the answers as before.",
    "order_changed": "Only the order changed: both apps read the answers as before.",
}


def sentence(app: str, phrase: str, advice: str = "") -> str:
    """A phrase about an app, as a sentence."""
    return f"{app} {phrase}{advice}."


def of_the_past(why: str) -> str:
    """A sentence about a change that was deployed: the app that it is about may run no more."""
    return why.replace(OLD_APP, PAST_APP)


def quoted(value: Any) -> str:
    """A value inside a sentence, not longer than is read at a glance."""
    text = repr(value) if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 2] + "…" + text[-1]


class Phrases:
    """What a reader does with answers of another schema."""

    checked = "checks this value with code of its own"
    needed = ("needs this field", "may need this field")
    forbids = ("forbids fields that it does not know", "may forbid fields that it does not know")
    no_null = "takes no null here"
    only_listed = "takes only the values of its list"
    two_patterns = "has another pattern, and texts of both are not compared"
    perhaps = "may refuse some values that are allowed here"
    not_understood = "has another schema here, with keywords that are not compared"
    too_deep = "reads this too deep inside the answer to be compared"

    @staticmethod
    def no_value(value: Any) -> str:
        """For a value outside of a list."""
        return f"has no value {quoted(value)} in its list"

    @staticmethod
    def refused(value: Any) -> str:
        """For a value of a list that does not fit."""
        return f"does not take {quoted(value)}"

    @staticmethod
    def other_type(one: Branch, other: Branch) -> str:
        """For a value of another type."""
        return f"reads {TYPES[one.kind]} here, not {TYPES[other.kind]}"

    @staticmethod
    def no_branch(branch: Branch) -> str:
        """For a branch of a union that the reader lacks."""
        title = branch.node.get("title")
        return f"has no branch for {title if title and len(title) <= LONGEST else TYPES[branch.kind]}"

    @staticmethod
    def bound(name: str, bound: Any) -> str:
        """For a value outside of a bound."""
        return BOUNDS[name].format(bound)

    @staticmethod
    def pattern(pattern: str | None) -> str:
        """For a text that does not match."""
        return f"takes only texts that match {quoted(pattern)}"

    @staticmethod
    def form(form: str | None) -> str:
        """For a text of another format, or of none."""
        return f"takes only texts of the format {form}"


Phrase = str | Callable[[Any], str]
