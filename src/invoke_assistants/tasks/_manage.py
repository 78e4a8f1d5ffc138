"""The tasks that manage instances: each calls one verb."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit

from ..errors import SettingsError
from ._task import ENV, JSON, ONLY, OVERWRITE, RECREATE, WRITE, call, confirm, is_dry, root, task
from .exit_codes import format_error

if TYPE_CHECKING:
    from ..types import Step

__all__ = ["adopt", "bring", "check", "create", "delete", "deploy", "forget", "plan", "resolve", "serve", "status", "update"]


@task(iterable=["only"], help=WRITE | {"recreate": RECREATE})
def create(
    c: Context,
    only: Iterable[str] | None = None,
    env: str | None = None,
    json: bool = False,
    dry_run: bool = False,
    recreate: bool = False,
    yes: bool = False,
) -> list[Step]:
    """Make an instance of every assistant in every environment that has none.

    What exists is left alone; running it again writes nothing.
    """
    from ..commands import create as verb

    dry = is_dry(c, dry_run)
    return call(
        c, "create", json, verb, planned=dry, failing=dry, only=only or (), env=env, dry_run=dry, recreate=recreate,
        confirm=confirm("create", yes, json),
    )  # fmt: skip


@task(iterable=["only"], help=WRITE | {"env": "the first environment", "overwrite": OVERWRITE})
def update(
    c: Context,
    only: Iterable[str] | None = None,
    env: str | None = None,
    json: bool = False,
    dry_run: bool = False,
    overwrite: bool = False,
    yes: bool = False,
) -> list[Step]:
    """Bring the first environment's instances to the code."""
    from ..commands import update as verb

    return bring(c, "update", verb, json, is_dry(c, dry_run), yes, only=only or (), env=env, overwrite=overwrite)


@task(iterable=["only"], help=WRITE | {"overwrite": OVERWRITE})
def deploy(
    c: Context,
    only: Iterable[str] | None = None,
    env: str | None = None,
    json: bool = False,
    dry_run: bool = False,
    overwrite: bool = False,
    yes: bool = False,
) -> list[Step]:
    """Bring every environment to the code, in order.

    One starts only when the one before is whole. Nothing is created.
    """
    from ..commands import deploy as verb

    return bring(c, "deploy", verb, json, is_dry(c, dry_run), yes, only=only or (), env=env, overwrite=overwrite)


def bring(
    c: Context, command: str, verb: Callable[..., list[Step]], json: bool, dry: bool, yes: bool, **options: Any
) -> list[Step]:
    return call(c, command, json, verb, planned=dry, failing=dry, dry_run=dry, confirm=confirm(command, yes, json), **options)


@task(
    iterable=["only"],
    help=WRITE
    | {
        "undeclared": "what is recorded and no longer declared",
        "id": "this one object that carries this project's tags, recorded or not",
        "env": "act on this environment alone; with --id: look for the object there",
        "yes": "ask nothing: it is confirmed",
    },
)
def delete(
    c: Context,
    only: Iterable[str] | None = None,
    env: str | None = None,
    undeclared: bool = False,
    id: str | None = None,
    json: bool = False,
    dry_run: bool = False,
    yes: bool = False,
) -> list[Step]:
    """Delete instances: of an environment, of some assistants, what is no longer declared, or one by its id."""
    from ..commands import delete as verb

    dry = is_dry(c, dry_run)
    return call(
        c, "delete", json, verb, planned=dry, failing=dry, only=only or (), env=env, undeclared=undeclared, id=id,
        dry_run=dry, yes=yes, confirm=confirm("delete", yes, json),
    )  # fmt: skip


@task(help={"name": "the assistant", "env": "the environment", "id": "the id of the existing object", "json": JSON})
def adopt(c: Context, name: str, env: str, id: str, json: bool = False) -> list[Step]:
    """Make an existing remote object the instance of an assistant in an environment, as it is."""
    from ..commands import adopt as verb

    return call(c, "adopt", json, functools.partial(verb, name, env, id))


@task(help={"name": "the assistant", "env": "the environment", "json": JSON})
def forget(c: Context, name: str, env: str, json: bool = False) -> list[Step]:
    """Drop what is recorded of an assistant in an environment; touch nothing remotely."""
    from ..commands import forget as verb

    return call(c, "forget", json, functools.partial(verb, name, env))


@task(
    iterable=["only"],
    help={
        "only": ONLY,
        "env": ENV,
        "json": JSON,
        "check": "exit with 2 where changes are pending, with 3 where deploy would refuse",
        "offline": "compare with the store alone, without a request",
    },
)
def plan(
    c: Context,
    only: Iterable[str] | None = None,
    env: str | None = None,
    json: bool = False,
    check: bool = False,
    offline: bool = False,
) -> list[Step]:
    """Show what deploy would do, field by field; write nothing."""
    from ..commands import plan as verb

    return call(c, "plan", json, verb, planned=True, failing=check, only=only or (), env=env, from_store=offline)


@task(iterable=["only"], help={"only": ONLY, "env": ENV, "json": JSON})
def status(c: Context, only: Iterable[str] | None = None, env: str | None = None, json: bool = False) -> list[Step]:
    """Show what is, per assistant and environment (also plain: inv asst)."""
    from ..commands import status as verb

    return call(c, "status", json, verb, planned=True, only=only or (), env=env)


@task(iterable=["only"], help={"only": ONLY, "json": JSON})
def check(c: Context, only: Iterable[str] | None = None, json: bool = False) -> list[Step]:
    """Validate every declaration offline."""
    from ..commands import check as verb

    # It waits for nothing and tells nothing meanwhile, so it takes no reporter.
    return call(c, "check", json, lambda root, *, reporter: verb(root, only or ()), planned=True, failing=True)


_SIDE = "where both sides changed a record, take {} of NAME:ENV, of NAME, or of all; may be given several times"


@task(iterable=["ours", "theirs"], help={"ours": _SIDE.format("our side"), "theirs": _SIDE.format("their side"), "json": JSON})
def resolve(c: Context, ours: Iterable[str] | None = None, theirs: Iterable[str] | None = None, json: bool = False) -> list[Step]:
    """Settle a git merge of the store, record by record.

    What only one side changed needs no choice; while a choice is missing, nothing is written.
    """
    from ..commands import resolve as verb

    return call(c, "resolve", json, verb, ours=ours or (), theirs=theirs or ())


@task(help={"port": "the port on 127.0.0.1, 8787 by default; 0 takes a free one"})
def serve(c: Context, port: str = "8787") -> None:
    """Serve the embedded platform over HTTP on 127.0.0.1, until Ctrl-C."""
    from ..commands import serve as verb

    # Invoke's own conversion to int would end in a traceback.
    if not port.isascii() or not port.isdigit() or len(port) > 5 or int(port) > 65535:
        raise SettingsError(f"--port must be a number from 0 to 65535, not {port!r:.80}")
    try:
        verb(root(c), int(port), announce=lambda url: print(url, flush=True))
    except KeyboardInterrupt as stopped:
        raise Exit("stopped", format_error(stopped)[1]) from None
