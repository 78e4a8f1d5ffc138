"""Create, update and deploy AI assistants with typed output."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import Task
from invoke.tasks import task as invoke_task

from .ending import PENDING, interruptible, judged, told
from .errors import AsstError, SettingsError

if TYPE_CHECKING:
    from .records import Row

__all__ = ["admin", "adopt", "check", "create", "delete", "deploy", "ns", "plan", "resolve", "serve", "status", "update"]


class AsstTask(Task):  # type: ignore[type-arg]  # invoke's Task is generic only in its stubs
    """A task whose errors end in one line and an exit code, from the command line and from another task alike."""

    def get_arguments(self, *args: Any, **kwargs: Any) -> Any:
        """Invoke's arguments, of which a repeatable one demands its value, too: a bare ``--only`` must not mean all."""
        arguments = super().get_arguments(*args, **kwargs)
        for argument in arguments:
            if argument.kind is list:
                argument.raw_value = None
        return arguments

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the body.

        Raises:
            Exit: instead of every error of ours, an interruption, and what nobody foresaw.
        """
        try:
            with interruptible():
                return super().__call__(*args, **kwargs)
        except Exit:
            raise
        except (Exception, KeyboardInterrupt) as error:
            raise Exit(*told(error)) from None


def task(**options: Any) -> Callable[[Callable[..., Any]], AsstTask]:
    """Invoke's decorator for tasks of ours, without short flags, which would move with every new parameter."""
    decorate: Callable[[Callable[..., Any]], AsstTask] = invoke_task(klass=AsstTask, auto_shortflags=False, **options)
    return decorate


def _root(c: Context) -> Path:
    from .settings import find_root

    loaded_from = getattr(c.config, "_project_prefix", None)  # where Invoke found tasks.py; it has no public name
    root = find_root(Path(loaded_from or Path.cwd()))
    assert root is not None
    return root


def _run(
    c: Context,
    command: str,
    json: bool,
    verb: Callable[..., list[Row]],
    *,
    planned: bool = False,
    failing: bool = False,
    **options: Any,
) -> list[Row]:
    """Call a verb and show its rows; raise ``Exit`` with the code that the design gives the outcome.

    Args:
        planned: the verb only looked.
        failing: pending changes (and rows with errors) end with an exit code.
    """
    from . import render

    stream = sys.stderr if json else sys.stdout
    reporter = render.Terminal()
    rows: list[Row] = []
    error: str | None = None
    code = 0
    try:
        rows = verb(_root(c), reporter=reporter, **options)
    except (Exception, KeyboardInterrupt) as raised:
        error, code = told(raised)
        rows = list(raised.rows) if isinstance(raised, AsstError) else []
    finally:
        reporter.stop()
    if not code and failing:
        code, error = judged(rows)
    if rows or not error:
        render.show(command, rows, stream, planned=planned, refused=code == 3 and not planned)
    if json:
        print(render.document(command, rows, error, code in (0, PENDING)), flush=True)
    if code:
        raise Exit(error if code != PENDING else None, code)
    return rows


def _confirm(command: str, yes: bool, json: bool) -> Callable[[str, Sequence[Row]], bool] | None:
    """Who is asked before something is lost: the person at the terminal, once they have seen the rows."""
    from . import render

    return None if yes or json else functools.partial(render.ask, command)


def _dry(c: Context, dry_run: bool) -> bool:
    return dry_run or bool(c.config.run.dry)


_ONLY = "act on this assistant alone; may be given several times"
_ENV = "act on this environment alone"
_JSON = "print one JSON document on stdout, everything else on stderr"
_DRY = "write nothing; exit with 2 where something would be"
_YES = "ask nothing; what has a flag of its own still needs it"
_OVERWRITE = "write over what was changed remotely"
_WRITE = {"only": _ONLY, "env": _ENV, "json": _JSON, "dry-run": _DRY, "yes": _YES}
_RECREATE = "go on where all instances of an environment are gone"


@task(iterable=["only"], help=_WRITE | {"recreate": _RECREATE})
def create(
    c: Context,
    only: Iterable[str] | None = None,
    env: str | None = None,
    json: bool = False,
    dry_run: bool = False,
    recreate: bool = False,
    yes: bool = False,
) -> list[Row]:
    """Make an instance of every assistant in every environment that has none.

    What exists is left alone; running it again writes nothing.
    """
    from .lifecycle import create as verb

    dry = _dry(c, dry_run)
    return _run(
        c, "create", json, verb, planned=dry, failing=dry, only=only or (), env=env, dry_run=dry, recreate=recreate,
        confirm=_confirm("create", yes, json),
    )  # fmt: skip


@task(iterable=["only"], help=_WRITE | {"env": "the first environment", "overwrite": _OVERWRITE})
def update(
    c: Context,
    only: Iterable[str] | None = None,
    env: str | None = None,
    json: bool = False,
    dry_run: bool = False,
    overwrite: bool = False,
    yes: bool = False,
) -> list[Row]:
    """Bring the first environment's instances to the code."""
    from .lifecycle import update as verb

    return _bring(c, "update", verb, json, _dry(c, dry_run), yes, only=only or (), env=env, overwrite=overwrite)


@task(iterable=["only"], help=_WRITE | {"overwrite": _OVERWRITE})
def deploy(
    c: Context,
    only: Iterable[str] | None = None,
    env: str | None = None,
    json: bool = False,
    dry_run: bool = False,
    overwrite: bool = False,
    yes: bool = False,
) -> list[Row]:
    """Bring every environment to the code, in order.

    One starts only when the one before is whole. Nothing is created.
    """
    from .lifecycle import deploy as verb

    return _bring(c, "deploy", verb, json, _dry(c, dry_run), yes, only=only or (), env=env, overwrite=overwrite)


def _bring(
    c: Context, command: str, verb: Callable[..., list[Row]], json: bool, dry: bool, yes: bool, **options: Any
) -> list[Row]:
    return _run(c, command, json, verb, planned=dry, failing=dry, dry_run=dry, confirm=_confirm(command, yes, json), **options)


@task(iterable=["only"], help=_WRITE | {"undeclared": "what is recorded and no longer declared", "yes": "it is confirmed"})
def delete(
    c: Context,
    only: Iterable[str] | None = None,
    env: str | None = None,
    undeclared: bool = False,
    json: bool = False,
    dry_run: bool = False,
    yes: bool = False,
) -> list[Row]:
    """Delete instances: of an environment, of some assistants, or what is no longer declared."""
    from .lifecycle import delete as verb

    dry = _dry(c, dry_run)
    return _run(
        c, "delete", json, verb, planned=dry, failing=dry, only=only or (), env=env, undeclared=undeclared, dry_run=dry,
        yes=yes, confirm=_confirm("delete", yes, json),
    )  # fmt: skip


@task(help={"name": "the assistant", "env": "the environment", "id": "the id of the existing object", "json": _JSON})
def adopt(c: Context, name: str, env: str, id: str, json: bool = False) -> list[Row]:
    """Make an existing remote object the instance of an assistant in an environment, as it is."""
    from .lifecycle import adopt as verb

    return _run(c, "adopt", json, functools.partial(verb, name, env, id))


@task(
    iterable=["only"],
    help={
        "only": _ONLY,
        "env": _ENV,
        "json": _JSON,
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
) -> list[Row]:
    """Show what deploy would do, field by field; write nothing."""
    from .lifecycle import plan as verb

    return _run(c, "plan", json, verb, planned=True, failing=check, only=only or (), env=env, from_store=offline)


@task(iterable=["only"], help={"only": _ONLY, "env": _ENV, "json": _JSON})
def status(c: Context, only: Iterable[str] | None = None, env: str | None = None, json: bool = False) -> list[Row]:
    """Show what is, per assistant and environment (also plain: inv asst)."""
    from .lifecycle import status as verb

    return _run(c, "status", json, verb, planned=True, only=only or (), env=env)


@task(iterable=["only"], help={"only": _ONLY, "json": _JSON})
def check(c: Context, only: Iterable[str] | None = None, json: bool = False) -> list[Row]:
    """Validate every declaration offline."""
    from .lifecycle import check as verb

    # It waits for nothing and tells nothing meanwhile, so it takes no reporter.
    return _run(c, "check", json, lambda root, *, reporter: verb(root, only or ()), planned=True, failing=True)


_SIDE = "where both sides changed a record, take {} of NAME:ENV, of NAME, or of all; may be given several times"


@task(iterable=["ours", "theirs"], help={"ours": _SIDE.format("our side"), "theirs": _SIDE.format("their side"), "json": _JSON})
def resolve(c: Context, ours: Iterable[str] | None = None, theirs: Iterable[str] | None = None, json: bool = False) -> list[Row]:
    """Settle a git merge of the store, record by record.

    What only one side changed needs no choice; while a choice is missing, nothing is written.
    """
    from .lifecycle import resolve as verb

    return _run(c, "resolve", json, verb, ours=ours or (), theirs=theirs or ())


@task(help={"port": "the port on 127.0.0.1, 8787 by default; 0 takes a free one"})
def serve(c: Context, port: str = "8787") -> None:
    """Serve the embedded platform over HTTP on 127.0.0.1, until Ctrl-C."""
    from .lifecycle import serve as verb

    # Invoke's own conversion to int would end in a traceback.
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise SettingsError(f"--port must be a number from 0 to 65535, not {port!r:.80}")
    try:
        verb(_root(c), int(port), announce=lambda url: print(url, flush=True))
    except KeyboardInterrupt as stopped:
        raise Exit("stopped", told(stopped)[1]) from None


ACTIONS: dict[str, AsstTask] = {
    "create": create,
    "update": update,
    "deploy": deploy,
    "plan": plan,
    "status": status,
    "check": check,
}


@task(
    iterable=["only"],
    help={
        "only": _ONLY,
        "env": _ENV,
        "json": _JSON,
        "dry-run": _DRY,
        "check": "as for plan",
        "offline": "as for plan",
        "overwrite": _OVERWRITE,
        "recreate": _RECREATE,
        "yes": _YES,
    },
)
def admin(
    c: Context,
    only: Iterable[str] | None = None,
    env: str | None = None,
    json: bool = False,
    dry_run: bool = False,
    check: bool = False,
    offline: bool = False,
    overwrite: bool = False,
    recreate: bool = False,
    yes: bool = False,
) -> list[Row]:
    """Do what the variable ACTION says: create, update, deploy, plan, status or check.

    With ACTION=update, APP_ENV says how far: an environment after the first means deploy up to it.
    """
    given = {
        "only": only, "env": env, "json": json, "dry_run": dry_run, "check": check, "offline": offline,
        "overwrite": overwrite, "recreate": recreate, "yes": yes,
    }  # fmt: skip
    return _run_action(c, given)


def _run_action(c: Context, given: dict[str, Any]) -> list[Row]:
    action = os.environ.get("ACTION", "")
    try:
        chosen = _action(action)
        flags = {name: value for name, value in given.items() if value}
        taken = {argument.name for argument in chosen.get_arguments()}
        for name in flags:
            if name not in taken:
                raise SettingsError(f"ACTION={action} takes no --{name.replace('_', '-')}")
        through = _through(c, action) if not given["env"] else None
    except AsstError as error:
        return _run(c, "admin", given["json"], functools.partial(_raise, error))
    if through is None:
        rows: list[Row] = chosen(c, **flags)
        return rows
    from .lifecycle import deploy as verb

    dry = _dry(c, given["dry_run"])
    return _bring(
        c,
        "deploy",
        verb,
        given["json"],
        dry,
        given["yes"],
        only=given["only"] or (),
        overwrite=given["overwrite"],
        through=through,
    )


def _raise(error: AsstError, *_: object, **__: object) -> list[Row]:
    raise error


def _action(action: str) -> AsstTask:
    from .sources import nearest

    if action in ACTIONS:
        return ACTIONS[action]
    known = ", ".join(ACTIONS)
    if not action:
        raise SettingsError(f"the variable ACTION is not set: ACTION=NAME inv asst.admin, with one of {known}")
    raise SettingsError(f"no ACTION {action!r:.80}; known: {known}{nearest(action, ACTIONS)}")


def _through(c: Context, action: str) -> str | None:
    """The environment up to which ``ACTION=update`` deploys, or None where it is a plain update."""
    from .settings import Settings

    named = os.environ.get("APP_ENV", "")
    if action != "update" or not named:
        return None
    settings = Settings.load(_root(c))
    return named if settings.environment(named).position > 0 else None


ns = Collection("asst")
for _task in (create, update, deploy, delete, adopt, admin, plan, check, resolve, serve):
    ns.add_task(_task)
ns.add_task(status, default=True)
