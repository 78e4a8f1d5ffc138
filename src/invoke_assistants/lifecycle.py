"""The verbs, as plain functions: each finds the project, plans, and acts or shows. None of them raises ``Exit``.

Every one takes ``root`` (the project's folder; found as at run time when None) and ``only`` (names of assistants; all
when empty), and returns rows in the order declared × environment.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from .apply import QUIET, Journal, Reporter, Run, Timing, claim
from .declaration import Declaration
from .errors import AsstError, DeclarationError, Refused, RowsFailed, SettingsError
from .loading import load_assistants
from .payload import build, digest, problems
from .plan import Remote, Verdict, judge, offline, rows_for, undeclared
from .platforms import Platform, connect
from .records import Intent, JSONObject, Key, Recorded, Row, Wanted
from .settings import Credentials, Environment, Settings, find_root, nearest
from .store import FileStorage, Store
from .sweep import look

__all__ = ["check", "create", "deploy", "plan", "serve", "status", "update"]

T = TypeVar("T")
Confirm = Callable[[str], bool]


def create(
    root: str | Path | None = None,
    only: Iterable[str] = (),
    env: str | None = None,
    *,
    dry_run: bool = False,
    recreate: bool = False,
    confirm: Confirm | None = None,
    reporter: Reporter = QUIET,
    timing: Timing = Timing(),
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
    project = _Project.load(root, only)
    wanted = project.wanted(project.environments(env), linted=True)

    async def act(session: _Session) -> list[Row]:
        missing = [each for each in wanted if not session.recorded.record(each)]
        open_ = [each for each in wanted if session.recorded.intent(each, "create")]
        verdicts = await session.verdicts(wanted, whole={each.environment for each in (*missing, *open_)})
        gone = {verdict.wanted.environment for verdict in verdicts if verdict.state == "missing"}
        if gone:
            verdicts = await session.verdicts(wanted, whole=gone)
        rows = {verdict.wanted.key: rows_for("create", verdict, session.recorded) for verdict in verdicts}
        await session.refuse_if_all_gone(verdicts, rows, allowed=recreate, confirm=confirm)
        hits = await session.hits(verdicts, rows, timing)
        for key, there in hits.items():
            if there and rows[key].action in ("create", "recreate"):
                rows[key] = replace(rows[key], action="adopt")
        claimed = [
            verdict
            for verdict in verdicts
            if rows[verdict.wanted.key].action != "none"
            or session.recorded.intent(verdict.wanted, "create")
            or len(hits[verdict.wanted.key]) > 1
        ]
        if dry_run:
            return list(rows.values())
        return await session.create(verdicts, claimed, hits, rows, timing)

    return project.run("create", act, reporter, lock=not dry_run)


def update(
    root: str | Path | None = None,
    only: Iterable[str] = (),
    env: str | None = None,
    *,
    dry_run: bool = False,
    overwrite: bool = False,
    confirm: Confirm | None = None,
    reporter: Reporter = QUIET,
    timing: Timing = Timing(),
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
    project = _Project.load(root, only)
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
    timing: Timing = Timing(),
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
    project = _Project.load(root, only)
    environments = project.environments(env)
    if env is not None:
        project.refuse_unless_promoted(environments[0])
    elif through is not None:
        environments = project.settings.environments[: project.settings.environment(through).position + 1]
    return _bring("deploy", project, environments, dry_run, overwrite, confirm, reporter, timing)


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
    project = _Project.load(root, only)
    wanted = project.wanted(project.environments(env), linted=True)

    async def act(session: _Session) -> list[Row]:
        verdicts = await session.verdicts(wanted, from_store=from_store)
        rows = {verdict.wanted.key: rows_for("plan", verdict, session.recorded) for verdict in verdicts}
        if not from_store:
            await session.mark_all_gone(verdicts, rows)
        return list(rows.values())

    return project.run("plan", act, reporter)


def status(
    root: str | Path | None = None, only: Iterable[str] = (), env: str | None = None, *, reporter: Reporter = QUIET
) -> list[Row]:
    """What is, per assistant and environment, and what is recorded but no longer declared. Writes nothing.

    Raises:
        AsstError: it could not look.
    """
    project = _Project.load(root, only)
    environments = project.environments(env)
    wanted = project.wanted(environments)

    async def act(session: _Session) -> list[Row]:
        verdicts = await session.verdicts(wanted)
        rows = [rows_for("status", verdict, session.recorded) for verdict in verdicts]
        platforms = {environment.name: environment.place.platform for environment in project.settings.environments}
        extra = undeclared(session.recorded, project.declared, platforms)
        shown = {environment.name for environment in environments}
        return rows + [row for row in extra if not project.only and (env is None or row.environment in shown)]

    return project.run("status", act, reporter)


def check(root: str | Path | None = None, only: Iterable[str] = ()) -> list[Row]:
    """Validate every declaration offline, in every environment; a row's ``error`` holds what the platform would refuse.

    Raises:
        AsstError: the settings, the app or a declaration is wrong already.
    """
    project = _Project.load(root, only)
    rows = []
    for each in project.wanted(project.settings.environments):
        found = problems(project.declared[each.name], each)
        error = "; ".join(found) if found else None
        rows.append(Row(each.name, each.environment, each.place.platform, None, digest=each.digest, error=error))
    return rows


def _bring(
    command: str,
    project: _Project,
    environments: Sequence[Environment],
    dry_run: bool,
    overwrite: bool,
    confirm: Confirm | None,
    reporter: Reporter,
    timing: Timing,
) -> list[Row]:
    """``update`` and ``deploy``: plan all environments first, then write them one after the other."""
    wanted = project.wanted(environments, linted=True)

    async def act(session: _Session) -> list[Row]:
        verdicts = await session.verdicts(wanted)
        rows = {v.wanted.key: rows_for(command, v, session.recorded, overwrite=overwrite) for v in verdicts}
        await session.refuse_if_all_gone(verdicts, rows, allowed=False, confirm=None)
        unsafe = [row for row in rows.values() if row.unsafe]
        if unsafe and confirm and confirm(f"Overwrite {_count(len(unsafe), 'instance')} changed remotely?"):
            unsafe = []
            rows = {v.wanted.key: rows_for(command, v, session.recorded, overwrite=True) for v in verdicts}
        if unsafe:
            raise Refused("; ".join(row.error or "" for row in unsafe), rows.values())
        if dry_run:
            return _ended(rows)
        return await session.bring(environments, verdicts, rows, timing)

    return project.run(command, act, reporter, lock=not dry_run)


def _ended(rows: Mapping[Key, Row]) -> list[Row]:
    """The rows, unless some failed.

    Raises:
        RowsFailed: each failed row is named.
    """
    failed = [row.error for row in rows.values() if row.error]
    if failed:
        raise RowsFailed("; ".join(dict.fromkeys(failed)), rows.values())
    return list(rows.values())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


@dataclass(frozen=True)
class _Project:
    """A host project: its settings, what it declares (narrowed to ``only``), its store."""

    settings: Settings
    declared: Mapping[str, Declaration[Any]]
    only: tuple[str, ...]
    store: Store

    @classmethod
    def load(cls, root: str | Path | None, only: Iterable[str]) -> _Project:
        folder = Path(root).resolve() if root is not None else runtime_root(os.environ)
        settings = Settings.load(folder)
        declared = load_assistants(settings.assistants, folder)
        chosen = tuple(dict.fromkeys(only))
        for name in chosen:
            if name not in declared:
                known = ", ".join(declared) or "none"
                raise SettingsError(f"no assistant {name!r:.80}; declared: {known}{nearest(name, declared)}")
        names = {environment.name for environment in settings.environments}
        for declaration in declared.values():
            for name in declaration.environments:
                if name not in names:
                    raise DeclarationError(
                        f"assistant {declaration.name} differs in {name!r:.80}, which is no environment; known:"
                        f" {', '.join(sorted(names))}{nearest(name, names)}"
                    )
        return cls(settings, declared, chosen, Store(FileStorage(settings.store), settings.project))

    def environments(self, env: str | None) -> Sequence[Environment]:
        return self.settings.environments if env is None else [self.settings.environment(env)]

    def wanted(self, environments: Iterable[Environment], *, linted: bool = False) -> list[Wanted]:
        """The declared instances; ``linted`` refuses those that the platform would."""
        out, found = [], []
        places = list(environments)
        for declaration in self.declared.values():
            if self.only and declaration.name not in self.only:
                continue
            for environment in places:
                payload = build(declaration, environment.name)
                each = Wanted(
                    declaration.name, environment.name, environment.position, environment.place, self.settings.project,
                    payload, digest(payload),
                )  # fmt: skip
                out.append(each)
                if linted:
                    found += [f"{each.name} in {each.environment}: {problem}" for problem in problems(declaration, each)]
        if found:
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            raise DeclarationError(f"{found[0]}{more}: run inv asst.check")
        return out

    def refuse_unless_promoted(self, environment: Environment) -> None:
        """Raise unless the store says that the environments before this one hold the declared payloads."""
        recorded = self.store.read()
        for each in self.wanted(self.settings.environments[: environment.position]):
            record = recorded.record(each)
            if record is None or record.digest != each.digest:
                raise AsstError(
                    f"{environment.name} is not deployed: the store does not say that {each.name} in {each.environment} is as"
                    f" declared: run inv asst.deploy --env {each.environment} first"
                    if each.position
                    else f"{environment.name} is not deployed: the store does not say that {each.name} in {each.environment} is"
                    " as declared: run inv asst.update first"
                )

    def run(self, command: str, act: Callable[[_Session], Awaitable[T]], reporter: Reporter, *, lock: bool = False) -> T:
        """Read the store, open a session and act, the store's lock held throughout where something may be written."""

        def go() -> T:
            with self.store.lock(f"inv asst.{command}", reporter.say) if lock else nullcontext():
                return asyncio.run(self._act(act, reporter))

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return go()
        with ThreadPoolExecutor(1) as pool:  # a loop runs in this thread already, so ours needs another
            return pool.submit(go).result()

    async def _act(self, act: Callable[[_Session], Awaitable[T]], reporter: Reporter) -> T:
        async with AsyncExitStack() as stack:
            return await act(_Session(self, self.store.read(), reporter, stack))


class _Session:
    """One run in a project: the store as it was read, and the platforms that it needs, opened once each."""

    def __init__(self, project: _Project, recorded: Recorded, reporter: Reporter, stack: AsyncExitStack) -> None:
        self.project = project
        self.recorded = recorded
        self._reporter = reporter
        self._stack = stack
        self._platforms: dict[tuple[str, Credentials], Platform] = {}
        self._remote: dict[Platform, Remote] = {}

    async def platform(self, name: str) -> Platform:
        """The platform of an environment; those with the same URL, key and project share one."""
        environment = self.project.settings.environment(name)
        key = (environment.place.platform, environment.credentials())
        if key not in self._platforms:
            opened = connect(self.project.settings, environment, self.recorded, self._reporter.say)
            self._platforms[key] = await self._stack.enter_async_context(opened)
        return self._platforms[key]

    async def verdicts(
        self, wanted: Sequence[Wanted], *, whole: Iterable[str] = (), from_store: bool = False
    ) -> list[Verdict]:
        """Look where something is recorded (or in the environments to see ``whole``), and judge every wanted instance."""
        if from_store:
            remote = Remote(offline(wanted, self.recorded), self.project.settings.project)
            return [judge(each, self.recorded, remote) for each in wanted]
        whole = set(whole)
        ids: dict[Platform, set[str]] = {}
        wholly: set[Platform] = set()
        for each in wanted:
            record = self.recorded.record(each)
            if record or each.environment in whole:
                platform = await self.platform(each.environment)
                ids.setdefault(platform, set()).update({record.id} if record else ())
                if each.environment in whole:
                    wholly.add(platform)
        for platform, known in ids.items():
            self._remote[platform] = await look(platform, known, self.project.settings.project, whole=platform in wholly)
        return [judge(each, self.recorded, await self._seen(each)) for each in wanted]

    async def _seen(self, wanted: Wanted) -> Remote:
        if self.recorded.record(wanted) is None:
            return Remote()
        return self._remote[await self.platform(wanted.environment)]

    async def hits(self, verdicts: Sequence[Verdict], rows: Mapping[Key, Row], timing: Timing) -> dict[Key, list[JSONObject]]:
        """The tagged objects of each instance, oldest first; several of which none is known to be ours are refused.

        Raises:
            RowsFailed: they were still there after the grace; all of them are named and none is touched.
        """
        delays = iter([*timing.delays(), None])
        while True:
            tagged = {platform: remote.tagged() for platform, remote in self._remote.items()}
            found: dict[Key, list[JSONObject]] = {}
            stuck: list[Verdict] = []
            for verdict in verdicts:
                key = verdict.wanted.key
                here = tagged.get(await self.platform(key[1]), {}) if tagged else {}
                found[key] = here.get(key, [])
                known = verdict.remote is not None or self.recorded.intent(verdict.wanted, "create")
                if len(found[key]) > 1 and not known:
                    stuck.append(verdict)
            pause = next(delays) if stuck else None
            if not stuck:
                return found
            if pause is None:
                raise self._twins(stuck, found, rows)
            self._reporter.say("several instances carry the same tags; another run may be choosing one, looking again")
            await asyncio.sleep(pause)
            for platform, remote in self._remote.items():
                self._remote[platform] = await look(platform, set(), remote.project, whole=True)

    def _twins(self, stuck: Sequence[Verdict], found: Mapping[Key, list[JSONObject]], rows: Mapping[Key, Row]) -> RowsFailed:
        marked = dict(rows)
        for verdict in stuck:
            key = verdict.wanted.key
            ids = ", ".join(there["id"] for there in found[key])
            error = f"{key[0]} in {key[1]}: {len(found[key])} instances carry its tags: {ids}; delete all but one, then inv asst.status"
            marked[key] = replace(marked[key], error=error)
        return RowsFailed("; ".join(row.error for row in marked.values() if row.error), marked.values())

    async def mark_all_gone(self, verdicts: Sequence[Verdict], rows: dict[Key, Row]) -> list[str]:
        """Mark the missing rows of environments of which nothing recorded is to be seen; their names come back.

        What an open create is after says nothing about the key, and neither does an environment with a tagged object.
        """
        gone = []
        missing = [v for v in verdicts if v.state == "missing" and not self.recorded.intent(v.wanted, "create")]
        for name in dict.fromkeys(verdict.wanted.environment for verdict in missing):
            environment = self.project.settings.environment(name)
            platform = await self.platform(name)
            records = {
                record.id
                for (_, where), each in self.recorded.records.items()
                if where == name and (record := each.at(environment.place))
            }
            seen = self._remote[platform]
            if records & seen.objects.keys() or any(where == name for _, where in seen.tagged()):
                continue
            if (await look(platform, records, self.project.settings.project)).objects.keys() & records:
                continue
            gone.append(name)
            variable = f"the key in {environment.key_variable()}" if environment.place.platform != "local" else "the local platform"
            for verdict in missing:
                if verdict.wanted.environment == name:
                    error = (
                        f"{name}: {variable} sees none of its {_count(len(records), 'recorded instance')}"
                        " (is it the right key and project?); inv asst.create --recreate makes them anew"
                    )
                    rows[verdict.wanted.key] = replace(rows[verdict.wanted.key], error=error, unsafe=True)
        return gone

    async def refuse_if_all_gone(
        self, verdicts: Sequence[Verdict], rows: dict[Key, Row], *, allowed: bool, confirm: Confirm | None
    ) -> None:
        """Raise where a key sees nothing of an environment, unless going on is allowed or confirmed."""
        before = dict(rows)
        gone = await self.mark_all_gone(verdicts, rows)
        if gone and not allowed and not (confirm and confirm(f"Make every instance of {', '.join(gone)} anew?")):
            raise Refused("; ".join(dict.fromkeys(row.error for row in rows.values() if row.unsafe and row.error)), rows.values())
        if gone:
            rows.update(before)

    async def create(
        self,
        verdicts: Sequence[Verdict],
        claimed: Sequence[Verdict],
        hits: Mapping[Key, list[JSONObject]],
        rows: dict[Key, Row],
        timing: Timing,
    ) -> list[Row]:
        """Open the intents of the run in one transaction, carry them out, and say how it ended."""
        run = await self._begin(claimed, timing)
        claims = [claim(verdict, self.recorded) for verdict in claimed]
        for each in claims:
            run.journal.intend(each.wanted, each.intent, each.wanted.payload)
            each.found = bool(hits[each.wanted.key])
        self._note_in_sync(run, verdicts, skip={each.wanted.key for each in claims})
        run.journal.flush()
        if claims:
            await run.create(claims, rows)
        return _ended(rows | run.rows)

    async def bring(
        self, environments: Sequence[Environment], verdicts: Sequence[Verdict], rows: dict[Key, Row], timing: Timing
    ) -> list[Row]:
        """Open the intents of the run in one transaction, then write environment after environment."""
        planned = [verdict for verdict in verdicts if rows[verdict.wanted.key].action == "update"]
        run = await self._begin(planned, timing)
        for verdict in planned:
            assert verdict.record is not None
            run.journal.record(verdict.wanted, verdict.record, self.recorded.payloads[verdict.record.digest], settled=False)
            run.journal.intend(verdict.wanted, Intent("update", verdict.wanted.digest), verdict.wanted.payload)
        self._note_in_sync(run, verdicts)
        run.journal.flush()
        stopped: str | None = None
        for environment in environments:
            here = [verdict for verdict in planned if verdict.wanted.environment == environment.name]
            if stopped:
                for verdict in here:
                    key = verdict.wanted.key
                    rows[key] = replace(rows[key], error=f"{key[0]} in {key[1]}: not started, since {stopped} is not whole")
                    run.journal.intend(verdict.wanted, None)
                continue
            if here:
                await run.update(here, rows)
                rows |= run.rows
            if any(row.error for row in rows.values() if row.environment == environment.name):
                stopped = environment.name
        run.journal.flush()
        return _ended(rows)

    async def _begin(self, verdicts: Sequence[Verdict], timing: Timing) -> Run:
        journal = Journal(self.project.store.commit, timing.flush)
        journal.open(self.recorded)
        platforms = {verdict.wanted.environment: await self.platform(verdict.wanted.environment) for verdict in verdicts}
        return Run(journal, platforms, self.project.settings.concurrency, self._reporter, timing)

    def _note_in_sync(self, run: Run, verdicts: Sequence[Verdict], skip: Iterable[Key] = ()) -> None:
        """Record what turned out to be as declared already, and drop the intent of an update that got through."""
        for verdict in verdicts:
            if verdict.state == "in_sync" and verdict.record and verdict.wanted.key not in skip:
                wanted = verdict.wanted
                pending = self.recorded.intent(wanted, "update") is not None
                if pending or verdict.record != self.recorded.record(wanted):
                    run.journal.record(wanted, verdict.record, wanted.payload, settled=pending)


def runtime_root(environ: Mapping[str, str]) -> Path | None:
    """The project's folder at run time: ``ASST_ROOT``, else upward from the current folder.

    An absolute ``ASST_STORE`` needs none.

    Raises:
        SettingsError: there is no ``pyproject.toml`` to be found.
    """
    if named := environ.get("ASST_ROOT"):
        if not Path(named).is_dir():
            raise SettingsError(f"ASST_ROOT is {named!r:.200}, which is no folder")
        return Path(named).resolve()
    return find_root(Path.cwd(), needed=not Path(environ.get("ASST_STORE", "")).is_absolute())


def serve(root: str | Path | None = None, port: int = 8787, *, announce: Callable[[str], None] = print) -> None:
    """Serve the embedded platform over HTTP on 127.0.0.1 until interrupted.

    Args:
        port: 0 takes a free one.
        announce: told the base URL once the port is bound.

    Raises:
        SettingsError: the port cannot be had.
    """
    from .platforms.local import Service
    from .platforms.local.http import Server

    settings = Settings.load(Path(root).resolve() if root is not None else runtime_root(os.environ))
    recorded = Store(FileStorage(settings.store), settings.project).read()
    folder = settings.root or settings.store.parent
    service = Service(folder / ".asst" / "local.json")
    service.put_back(recorded, settings.project)
    with Server(service, port) as server:
        announce(server.url)
        server.serve_forever()
