"""The verbs, as plain functions: each finds the project, plans, and acts or shows. None of them raises ``Exit``.

Every one takes ``root`` (the project's folder; found as at run time when None), those that look at what is declared
``only`` (names of assistants; all when empty), and returns rows in the order declared by environment.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from .config.project import Project, runtime_root
from .config.settings import Environment, Settings
from .declare.payload import problems, warnings
from .errors import DeclarationError, Refused, SettingsError
from .reconcile import plan as planning
from .reconcile.apply import QUIET, TIMING, Reporter, Timing
from .reconcile.delete import Asked, delete_object, delete_recorded
from .reconcile.inventory import forgotten, refuse_unless_promoted, undeclared_rows
from .reconcile.session import Confirm, Session, ended, run
from .reconcile.settle import settle_creates
from .store.file_storage import FileStorage
from .store.git import tracked_key
from .store.resolve import GitVersions, chosen, settle
from .store.store import Store
from .text import count, join_errors
from .types import ID, Row

__all__ = ["adopt", "check", "create", "delete", "deploy", "forget", "plan", "resolve", "serve", "status", "update"]


def create(
    root: str | Path | None = None,
    only: Iterable[str] = (),
    env: str | None = None,
    *,
    dry_run: bool = False,
    recreate: bool = False,
    confirm: Confirm | None = None,
    reporter: Reporter = QUIET,
    timing: Timing = TIMING,
) -> list[Row]:
    """Give every declared assistant an instance in every environment (or ``env``) that has none; leave what exists.

    Args:
        dry_run: plan only; no lock, no write.
        recreate: go on where all recorded instances of an environment are gone.
        confirm: asked before that instead, if given; takes a question, returns the answer.

    Raises:
        Refused: a key sees none of an environment's recorded instances; nothing was written.
        RowsFailed: some instances could not be made; the others were.
        AsstError: nothing could be done.
    """
    project = Project.load(root, only)
    desired = project.desired(project.environments(env), linted=True)

    async def act(session: Session) -> list[Row]:
        missing = [each for each in desired if not session.recorded.record(each)]
        open_ = [each for each in desired if session.recorded.pending_operation(each, "create")]
        whole = {each.environment for each in (*missing, *open_)}
        verdicts = await session.verdicts(desired, whole=whole)
        gone = {verdict.desired.environment for verdict in verdicts if verdict.state == "missing"}
        if gone:
            verdicts = await session.verdicts(desired, whole=whole | gone)
        rows = {verdict.desired.key: planning.rows_for("create", verdict, session.recorded) for verdict in verdicts}
        await session.refuse_if_all_gone(verdicts, rows, allowed=recreate, confirm=confirm)
        hits = await session.hits(verdicts, rows, timing)
        for key, there in hits.items():
            if there and rows[key].action in ("create", "recreate"):
                rows[key] = replace(rows[key], action="adopt")
        claimed = [verdict for verdict in verdicts if rows[verdict.desired.key].action != "none"]
        open_keys = {key for key, _ in session.recorded.open_creates()}
        left = [
            row for row in undeclared_rows(project, session.recorded, env) if row.key in open_keys
        ]  # which nothing here settles
        if dry_run:
            return [*rows.values(), *left]
        return [*await session.create(verdicts, claimed, hits, rows, timing), *left]

    return run(project, "create", act, reporter, lock=not dry_run)


def update(
    root: str | Path | None = None,
    only: Iterable[str] = (),
    env: str | None = None,
    *,
    dry_run: bool = False,
    overwrite: bool = False,
    confirm: Confirm | None = None,
    reporter: Reporter = QUIET,
    timing: Timing = TIMING,
) -> list[Row]:
    """Bring the first environment's instances to the code; what is as declared is not written.

    Args:
        env: the first environment or None; another one is an error.
        dry_run: plan only; no lock, no write.
        overwrite: write over what was changed remotely by hand.
        confirm: asked before that instead, if given.

    Raises:
        Refused: an instance was changed remotely by hand; nothing was written.
        RowsFailed: some instances could not be brought up to date; the others were.
        AsstError: nothing could be done.
    """
    project = Project.load(root, only)
    first = project.settings.environments[0]
    if env is not None and project.settings.environment(env) != first:
        raise SettingsError(f"asst.update works in {first.name}; for {env} use inv asst.deploy --env {env}")
    return _bring("update", project, [first], dry_run, overwrite, confirm, reporter, timing)


def deploy(
    root: str | Path | None = None,
    only: Iterable[str] = (),
    env: str | None = None,
    *,
    through: str | None = None,
    dry_run: bool = False,
    overwrite: bool = False,
    confirm: Confirm | None = None,
    reporter: Reporter = QUIET,
    timing: Timing = TIMING,
) -> list[Row]:
    """Bring every environment to the code, in order; one starts only when the one before is whole. Never creates.

    Args:
        env: this environment alone; the store must say that those before it hold the declared payloads.
        through: the environments up to this one.
        dry_run, overwrite, confirm: as for ``update``.

    Raises:
        Refused: an instance was changed remotely by hand, or by another checkout; nothing was written.
        RowsFailed: some instances could not be brought up to date; environments after theirs were not started.
        AsstError: nothing could be done.
    """
    project = Project.load(root, only)
    environments = project.environments(env)
    if env is None and through is not None:
        environments = project.settings.environments[: project.settings.environment(through).position + 1]
    alone = environments[0] if env is not None else None
    return _bring("deploy", project, environments, dry_run, overwrite, confirm, reporter, timing, alone)


def delete(
    root: str | Path | None = None,
    only: Iterable[str] = (),
    env: str | None = None,
    *,
    undeclared: bool = False,
    id: str | None = None,
    dry_run: bool = False,
    yes: bool = False,
    confirm: Confirm | None = None,
    reporter: Reporter = QUIET,
    timing: Timing = TIMING,
) -> list[Row]:
    """Delete recorded instances and forget them: of an environment, of some assistants, or what is no longer declared.

    Only objects with our tags are deleted. Names in ``only`` and ``env`` may be recorded ones that are no longer declared.
    What an open create of these rows made is found and deleted as well.

    Args:
        undeclared: only what is recorded and no longer declared.
        id: this one object, recorded or not; ``env`` then says where to look for it.
        yes: it was confirmed; else ``confirm`` is asked.

    Raises:
        Refused: not confirmed, an object without our tags, or a key that sees none of an environment's instances.
        RowsFailed: some could not be deleted; the others were.
        AsstError: nothing could be done.
    """
    only = tuple(only)
    if not (undeclared or env or only or id):
        raise SettingsError("say what to delete: --env NAME, --only NAME, --undeclared or --id ID")
    if id is not None and (undeclared or only):
        raise SettingsError("--id names the one object to delete: give it alone, or with --env to say where to look")
    if id is not None and not ID.fullmatch(id):
        raise SettingsError(f"{id!r:.80} is no id: 3 to 128 letters, digits, '_', '-'")
    project = Project.load(root, ())

    asked = Asked(dry_run, yes, confirm)

    async def act(session: Session) -> list[Row]:
        if id is not None:
            return await delete_object(session, id, env, asked, timing)
        return await delete_recorded(session, only, env, undeclared, asked, timing)

    return run(project, "delete", act, reporter, lock=not dry_run)


def adopt(
    name: str, env: str, id: str, root: str | Path | None = None, *, reporter: Reporter = QUIET, timing: Timing = TIMING
) -> list[Row]:
    """Make an existing remote object the instance of an assistant in an environment, as it is.

    It gets our name and tags where it has none; what it holds is recorded, so that plan shows what update or deploy would
    change.

    Raises:
        AsstError: there is no such object, it is another row's, or the row has a living instance already.
    """
    if not ID.fullmatch(id):
        raise SettingsError(f"{id!r:.80} is no id: 3 to 128 letters, digits, '_', '-'")
    project = Project.load(root, [name])
    [desired] = project.desired(project.environments(env))

    async def act(session: Session) -> list[Row]:
        if session.recorded.pending_operation(desired, "create"):
            await settle_creates(session, [desired], timing)
        return [await session.adopt(desired, id, timing)]

    return run(project, "adopt", act, reporter, lock=True)


def forget(name: str, env: str, root: str | Path | None = None, *, reporter: Reporter = QUIET) -> list[Row]:
    """Drop what is recorded of an assistant in an environment, and touch nothing remotely.

    Where it is recorded at several places, the one that the environment resolves to now goes first.

    Returns:
        The row, with the id that is recorded no more.

    Raises:
        SettingsError: nothing is recorded of it.
    """
    project = Project.load(root, ())

    async def act(session: Session) -> list[Row]:
        location, row = forgotten(project, name, env, session.recorded)
        project.store.commit(pending={(row.key, location): None}, forget={row.key: location})
        return [row]

    return run(project, "forget", act, reporter, lock=True)


def plan(
    root: str | Path | None = None,
    only: Iterable[str] = (),
    env: str | None = None,
    *,
    from_store: bool = False,
    reporter: Reporter = QUIET,
) -> list[Row]:
    """What ``deploy`` would do, field by field; what is not created is shown with the action ``create``. Writes nothing.

    Args:
        env: this environment alone.
        from_store: compare with the store alone, without a request.

    Raises:
        AsstError: it could not look.
    """
    project = Project.load(root, only)
    desired = project.desired(project.environments(env), linted=True)

    async def act(session: Session) -> list[Row]:
        verdicts = await session.verdicts(desired, from_store=from_store)
        rows = {verdict.desired.key: planning.rows_for("plan", verdict, session.recorded) for verdict in verdicts}
        if not from_store:
            await session.mark_all_gone(verdicts, rows)
        return [*rows.values(), *undeclared_rows(project, session.recorded, env)]

    return run(project, "plan", act, reporter)


def status(
    root: str | Path | None = None, only: Iterable[str] = (), env: str | None = None, *, reporter: Reporter = QUIET
) -> list[Row]:
    """What is, per assistant and environment, and what is recorded but no longer declared. Writes nothing.

    Raises:
        AsstError: it could not look.
    """
    project = Project.load(root, only)
    environments = project.environments(env)
    desired = project.desired(environments)

    async def act(session: Session) -> list[Row]:
        verdicts = await session.verdicts(desired)
        found = {verdict.desired.key: planning.rows_for("status", verdict, session.recorded) for verdict in verdicts}
        await session.mark_all_gone(verdicts, found)
        rows = [replace(row, note=row.error or row.note, error=None, needs_confirmation=False) for row in found.values()]
        return [*rows, *undeclared_rows(project, session.recorded, env)]

    return run(project, "status", act, reporter)


def check(root: str | Path | None = None, only: Iterable[str] = ()) -> list[Row]:
    """Validate every declaration offline, in every environment; a row's ``error`` holds what the platform would refuse.

    Its ``note`` holds what is unknown here and a newer API may take.

    Raises:
        AsstError: the settings, the app or a declaration is wrong already; or, with the rows, git tracks a key.
    """
    project = Project.load(root, only)
    rows = []
    for declaration in project.chosen():
        for environment in project.settings.environments:
            row = Row(declaration.name, environment.name, environment.location.platform, None)
            try:
                each = project.instance(declaration, environment)
                found, doubtful = problems(declaration, each), warnings(each)
                row = replace(row, digest=each.digest, error="; ".join(found) or None, note="; ".join(doubtful) or None)
            except DeclarationError as error:
                row = replace(row, error=str(error))
            rows.append(row)
    if project.settings.root and (problem := tracked_key(project.settings.root)):
        raise SettingsError(problem, rows)
    return rows


def _bring(
    command: str,
    project: Project,
    environments: Sequence[Environment],
    dry_run: bool,
    overwrite: bool,
    confirm: Confirm | None,
    reporter: Reporter,
    timing: Timing,
    alone: Environment | None = None,
) -> list[Row]:
    """``update`` and ``deploy``: plan all environments first, then write them one after the other."""
    desired = project.desired(environments, linted=True)

    async def act(session: Session) -> list[Row]:
        if alone:
            refuse_unless_promoted(project, alone, session.recorded)
        verdicts = await session.verdicts(desired)
        rows = {v.desired.key: planning.rows_for(command, v, session.recorded, overwrite=overwrite) for v in verdicts}
        await session.refuse_if_all_gone(verdicts, rows)
        needs_confirmation = [row for row in rows.values() if row.needs_confirmation]
        if (
            needs_confirmation
            and all(v.body for v in verdicts if v.drift)  # else one is another row's, and no yes makes it ours
            and confirm
            and not dry_run
            and confirm(f"Overwrite {count(len(needs_confirmation), 'instance')} changed remotely?", [*rows.values()])
        ):
            await session.refuse_if_changed(verdicts, rows)
            needs_confirmation = []
            rows = {v.desired.key: planning.rows_for(command, v, session.recorded, overwrite=True) for v in verdicts}
        if needs_confirmation:
            raise Refused(join_errors(row.error for row in needs_confirmation), rows.values())
        if dry_run:
            return ended(rows)
        return await session.bring(environments, verdicts, rows, timing)

    return run(project, command, act, reporter, lock=not dry_run)


def resolve(
    root: str | Path | None = None, *, ours: Iterable[str] = (), theirs: Iterable[str] = (), reporter: Reporter = QUIET
) -> list[Row]:
    """Merge the two sides of a store that git has in conflict, write it, and ``git add`` it; all of it or nothing.

    What only one side changed needs no choice. The app is not imported: it may be in conflict, too.

    Args:
        ours, theirs: whose side to take where both changed a record: ``NAME:ENV``, ``NAME``, or ``all``.

    Returns:
        A row for each record that a side changed, by name and environment: what stands now. None without a conflict.

    Raises:
        RowsFailed: both sides changed a record and nothing was chosen for it; nothing was written.
        Refused: the file was changed since the merge; nothing was written.
        StoreError: there is no git or no repository, or a side is no store of this project.
        SettingsError: a choice meets no conflict.
    """
    settings = Settings.load(Path(root).resolve() if root is not None else runtime_root(os.environ))
    store = Store(FileStorage(settings.store), settings.project)
    folder = settings.root or settings.store.parent
    with store.lock("inv asst.resolve", reporter.say):
        versions = GitVersions.in_git(store, folder)
        if versions is None:
            return []
        return settle(store, folder, versions, chosen(versions.merged()[1], ours, theirs))


def serve(root: str | Path | None = None, port: int = 8787, *, announce: Callable[[str], None] = print) -> None:
    """Serve the embedded platform over HTTP on 127.0.0.1 until interrupted.

    Args:
        port: 0 takes a free one.
        announce: told the base URL once the port is bound.

    Raises:
        SettingsError: the port is not available.
    """
    from .emulator.api import EmbeddedAPI
    from .emulator.http_server import Server

    settings = Settings.load(Path(root).resolve() if root is not None else runtime_root(os.environ))
    recorded = Store(FileStorage(settings.store), settings.project).read()
    service = EmbeddedAPI(settings.local_file, local_model=settings.local_model)
    service.restore_agents(recorded, settings.project)
    with Server(service, port) as server:
        announce(server.url)
        server.serve_forever()
