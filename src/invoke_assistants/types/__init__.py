"""The values that rooms pass to each other: what is desired, recorded, pending, and planned.

May import: no other room.
"""

from __future__ import annotations

from .basic import (
    DIGEST,
    HISTORY,
    ID,
    IDENTITY_TAGS,
    LOCAL,
    NONCE,
    PINNED,
    SLUG,
    JSONObject,
    Key,
    LocalModel,
    Location,
    Tables,
    identity_tags,
    short,
)
from .desired import Desired, Held
from .planned import Action, Change, Status, Step
from .recorded import (
    Edits,
    EvalCase,
    EvalLabel,
    EvalResult,
    Evaluations,
    PendingOperation,
    Record,
    State,
    label_case,
)
from .schema import Compatibility, Order, Reader, SchemaChange, Verdict

__all__ = [
    "DIGEST",
    "HISTORY",
    "ID",
    "IDENTITY_TAGS",
    "LOCAL",
    "NONCE",
    "PINNED",
    "SLUG",
    "Action",
    "Change",
    "Compatibility",
    "Desired",
    "Edits",
    "EvalCase",
    "EvalLabel",
    "EvalResult",
    "Evaluations",
    "Held",
    "JSONObject",
    "Key",
    "LocalModel",
    "Location",
    "Order",
    "PendingOperation",
    "Reader",
    "Record",
    "SchemaChange",
    "State",
    "Status",
    "Step",
    "Tables",
    "Verdict",
    "identity_tags",
    "label_case",
    "short",
]
