"""The verbs, as plain functions. Most find the project, plan, and apply or show the plan. None raises ``Exit``.

Every verb takes ``root``, the project's folder (found as at run time where it is None). Most return steps, one
for each assistant in each environment, in the order declared. Those about what is declared take ``only``, names of
assistants, and mean all where it is empty. A ``reporter`` is told how a run goes on; ``confirm`` takes a question and the
steps that it is about, and returns the answer.

May import: declare, store, config, sdk, emulator, platforms, reconcile, ask, evals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..config.manage_store import StoreReport
    from ..evals.report import EvalReport
    from ..platforms.serve import serve
    from ..reconcile.forget import forget
    from .checking import check
    from .creating import adopt, create
    from .deleting import delete
    from .deploying import deploy, update
    from .evaluating import evaluate, write_schemas
    from .inspecting import HistoryReport, history, show
    from .looking import plan, status
    from .rolling_back import rollback
    from .storing import resolve, store

__all__ = [
    "EvalReport", "HistoryReport", "StoreReport", "adopt", "check", "create", "delete", "deploy", "evaluate", "forget", "history",
    "plan", "resolve", "rollback", "serve", "show", "status", "store", "update", "write_schemas",
]  # fmt: skip

if not TYPE_CHECKING:  # each verb is loaded when it is first asked for: none needs what all the others do
    _MODULES = {
        ".checking": ("check",),
        ".creating": ("adopt", "create"),
        ".deleting": ("delete",),
        ".deploying": ("deploy", "update"),
        ".evaluating": ("evaluate", "write_schemas"),
        ".inspecting": ("HistoryReport", "history", "show"),
        ".looking": ("plan", "status"),
        ".rolling_back": ("rollback",),
        ".storing": ("resolve", "store"),
        "..config.manage_store": ("StoreReport",),
        "..evals.report": ("EvalReport",),
        "..platforms.serve": ("serve",),
        "..reconcile.forget": ("forget",),
    }

    def __getattr__(name):
        from importlib import import_module

        for module, names in _MODULES.items():
            if name in names:
                value = globals()[name] = getattr(import_module(module, __name__), name)
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *__all__})
