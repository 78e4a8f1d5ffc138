"""Invoke tasks that create, update and deploy AI assistants with typed output.

PYTEST_DONT_REWRITE: pytest would warn of modules that the tasks have imported before it starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .ask.reply import Reply, Usage
    from .assistant import Assistant, ReplyStream
    from .declare.evals import Evals
    from .errors import (
        AnswerError,
        AnswerIncomplete,
        AnswerInvalid,
        AnswerRefused,
        AsstError,
        DeclarationError,
        EvalsFailed,
        NotCreated,
        PlatformError,
        Refused,
        RowsFailed,
        SchemaWarning,
        SettingsError,
        StoreError,
    )
    from .text import printable

__all__ = [
    "AnswerError",
    "AnswerIncomplete",
    "AnswerInvalid",
    "AnswerRefused",
    "Assistant",
    "AsstError",
    "DeclarationError",
    "Evals",
    "EvalsFailed",
    "NotCreated",
    "PlatformError",
    "Refused",
    "Reply",
    "ReplyStream",
    "RowsFailed",
    "SchemaWarning",
    "SettingsError",
    "StoreError",
    "Usage",
    "printable",
]

if not TYPE_CHECKING:  # each name is loaded when it is first asked for: inv --list needs none of them
    _MODULES = {
        "Assistant": "assistant",
        "Evals": "declare.evals",
        "Reply": "ask.reply",
        "ReplyStream": "assistant",
        "Usage": "ask.reply",
        "printable": "text",
    }  # of all others: errors

    def __getattr__(name):
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(f".{_MODULES.get(name, 'errors')}", __name__), name)
        return value

    def __dir__():
        return sorted({*globals(), *__all__})
