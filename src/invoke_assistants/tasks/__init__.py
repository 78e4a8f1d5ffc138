"""Create, update and deploy AI assistants with typed output: Invoke's tasks, the terminal, exit codes.

May import: everything.
"""

from __future__ import annotations

from invoke.collection import Collection

from ._admin import admin
from ._chat import chat
from ._manage import adopt, check, create, delete, deploy, forget, plan, resolve, serve, status, update
from ._migrate import migrate
from ._run import run
from ._store import store
from ._watch import watch

__all__ = [
    "admin", "adopt", "chat", "check", "create", "delete", "deploy", "forget", "migrate", "ns", "plan", "resolve", "run", "serve",
    "status", "store", "update", "watch",
]  # fmt: skip

ns = Collection("asst")
for _task in (
    create,
    update,
    deploy,
    delete,
    forget,
    adopt,
    admin,
    plan,
    check,
    resolve,
    serve,
    run,
    chat,
    watch,
    migrate,
    store,
):
    ns.add_task(_task)
ns.add_task(status, default=True)
