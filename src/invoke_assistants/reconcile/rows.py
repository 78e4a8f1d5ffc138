"""A step as a row of JSON, as ``--json`` prints it and a saved plan keeps it. Pure."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from ..types import JSONObject, Step

__all__ = ["as_json", "json_value", "row_of"]


def row_of(step: Step) -> JSONObject:
    """A step as one of the ``rows`` of a JSON document."""
    return {
        "name": step.name,
        "environment": step.environment,
        "platform": step.platform,
        "id": step.id,
        "state": step.state,
        "action": step.action,
        "digest": step.digest,
        "changes": [{"field": each.field, "before": each.before, "after": each.after} for each in step.changes],
        "error": step.error,
        "schema": asdict(step.schema) if step.schema else None,
    }


def json_value(value: Any, indent: int | None = None) -> str:
    """A value as JSON in ASCII, on one line where there is no indent."""
    return json.dumps(as_json(value), indent=indent, allow_nan=False)


def as_json(value: Any) -> Any:
    """A value in which NaN and the infinities, which JSON does not have, are strings."""
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return json.dumps(value) if isinstance(value, float) and not math.isfinite(value) else value
