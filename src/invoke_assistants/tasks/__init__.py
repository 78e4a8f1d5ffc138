"""Create, update and deploy AI assistants with typed output: Invoke's tasks, the terminal, exit codes.

May import: everything.
"""

from __future__ import annotations

from invoke.collection import Collection

from ._admin import admin
from ._ask import chat, run
from ._deploy import deploy, plan, rollback
from ._eval import evaluate
from ._manage import adopt, check, create, delete, forget, resolve, serve, status, update, watch
from ._migrate import migrate
from ._show import history, show
from ._store import store

__all__ = [
    "admin", "adopt", "chat", "check", "create", "delete", "deploy", "evaluate", "forget", "history", "migrate", "ns", "plan",
    "resolve", "rollback", "run", "serve", "show", "status", "store", "update", "watch",
]  # fmt: skip

ns = Collection("asst")
for _task in (
    create,
    update,
    deploy,
    rollback,
    delete,
    forget,
    adopt,
    admin,
    plan,
    evaluate,
    check,
    resolve,
    serve,
    run,
    chat,
    watch,
    migrate,
    show,
    history,
    store,
):
    ns.add_task(_task)
ns.add_task(status, default=True)
