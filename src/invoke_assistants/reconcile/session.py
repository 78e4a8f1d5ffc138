"""One run in a project: what it looks at, when it refuses, and how it opens and closes the intents of its writes."""

from __future__ import annotations

import asyncio
import secrets
import signal
import threading
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from typing import TypeVar

from ..config.credentials import Credentials
from ..config.environment import Environment
from ..config.project import Project
from ..errors import AsstError, PlatformError, Refused, RowsFailed
from ..platforms.platform import Platform, connect
from ..text import count, join_errors
from ..types import Desired, JSONObject, Key, PendingOperation, Record, Row, State
from .apply import Reporter, Run, Timing
from .create import Creation, claim
from .diff import as_taken_over, compare, declarable, taking_over, too_many_pairs
from .plan import Remote, Verdict, adopted, judge, made_by, offline, owner, with_duplicates
from .refresh import refresh
from .write_buffer import WriteBuffer

__all__ = ["Confirm", "Session", "ended", "recorded_of", "run"]

R = TypeVar("R", bound=Run)
T = TypeVar("T")
Confirm = Callable[[str, Sequence[Row]], bool]


def run(project: Project, command: str, act: Callable[[Session], Awaitable[T]], reporter: Reporter, *, lock: bool = False) -> T:
    """Read the store, open a session and act, the store's lock held throughout where something may be written."""
    held = ExitStack()

    async def session() -> T:
        held.pop_all().close()  # from here on the loop's own handler takes an interrupt
        async with AsyncExitStack() as stack:
            return await act(Session(project, project.store.read(), reporter, stack, writes=lock))

    def go() -> T:
        with project.store.lock(f"inv asst.{command}", reporter.say) if lock else nullcontext(), held:
            held.enter_context(_signals_held())
            return asyncio.run(session())

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return go()
    with ThreadPoolExecutor(1) as pool:  # a loop runs in this thread already, so ours needs another
        return pool.submit(go).result()


@contextmanager
def _signals_held() -> Generator[None]:
    """Keep signals back: one that strikes while an event loop is made leaves half of it, which Python complains about."""
    if not hasattr(signal, "pthread_sigmask") or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Session:
    """One run in a project: the store as it was read, and the platforms that it needs, opened once each."""

    def __init__(self, project: Project, recorded: State, reporter: Reporter, stack: AsyncExitStack, *, writes: bool) -> None:
        self.project = project
        self.recorded = recorded
        self.reporter = reporter
        self._stack = stack
        self._writes = writes
        self._platforms: dict[tuple[str, Credentials | None], Platform] = {}
        self._remote: dict[Platform, Remote] = {}
        self._at: dict[Key, Platform] = {}  # where the last look at an instance was
        self._looks: dict[Platform, tuple[set[str], bool]] = {}  # the recorded ids asked for, and whether all was read

    async def platform(self, desired: Desired) -> Platform:
        """The platform of an instance that the settings reach."""
        environment = self.project.settings.environment_for(desired.environment, desired.location)
        assert environment is not None
        return await self.platform_of(environment)

    async def platform_of(self, environment: Environment) -> Platform:
        """The platform of an environment; those with the same URL, key and project share one."""
        key = (environment.location.platform, environment.credentials() if environment.managed_with_key else None)
        if key not in self._platforms:
            say = self.reporter.say
            opened = connect(self.project.settings, environment, self.recorded, say, write=self._writes)
            self._platforms[key] = await self._stack.enter_async_context(opened)
        return self._platforms[key]

    async def verdicts(self, desired: Sequence[Desired], *, whole: Iterable[str] = (), from_store: bool = False) -> list[Verdict]:
        """Look where something is recorded (or in the environments to see ``whole``), and judge every wanted instance."""
        if from_store:
            remote = Remote(offline(desired, self.recorded), self.project.settings.project)
            return [judge(each, self.recorded, remote) for each in desired]
        whole = set(whole)
        ids: dict[Platform, set[str]] = {}
        wholly: set[Platform] = set()
        for each in desired:
            record = self.recorded.record(each)
            if record or each.environment in whole:
                platform = self._at[each.key] = await self.platform(each)
                ids.setdefault(platform, set()).update({record.id} if record else ())
                if each.environment in whole:
                    wholly.add(platform)
        self._looks = {platform: (known, platform in wholly) for platform, known in ids.items()}
        self._remote |= await self._look()
        tagged = {platform: remote.tagged() for platform, remote in self._remote.items()}
        seen = [self._at[each.key] if self.recorded.record(each) else None for each in desired]
        return [
            with_duplicates(judge(each, self.recorded, self._remote[at]), tagged[at].get(each.key, ()))
            if at
            else judge(each, self.recorded, Remote())
            for each, at in zip(desired, seen, strict=True)
        ]

    async def _look(self) -> dict[Platform, Remote]:
        project = self.project.settings.project
        return {platform: await refresh(platform, ids, project, whole=whole) for platform, (ids, whole) in self._looks.items()}

    async def refuse_if_changed(self, verdicts: Sequence[Verdict], rows: Mapping[Key, Row]) -> None:
        """Look again after the answer to a question: minutes may have passed.

        Raises:
            Refused: something in these rows, remotely or in the store, is no longer as it was shown.
        """
        recorded, before = self.project.store.read(), self._remote
        self._remote = before | await self._look()
        marked = dict(rows)
        for verdict in verdicts:
            desired, row = verdict.desired, rows[verdict.desired.key]
            same = recorded_of(self.recorded, desired) == recorded_of(recorded, desired)
            if not same or self._visible(desired, before) != self._visible(desired, self._remote):
                error = (
                    f"{desired.name} in {desired.environment} was changed while the question waited: run the same command again"
                )
                marked[desired.key] = replace(row, error=error, needs_confirmation=True)
        if changed := join_errors(row.error for key, row in marked.items() if row is not rows[key]):
            raise Refused(f"{changed}; nothing was written", marked.values())

    def _visible(self, desired: Desired, remote: Mapping[Platform, Remote]) -> dict[str, JSONObject]:
        """What a look showed of one row: its recorded object and, where it saw everything, those with its tags."""
        platform = self._at.get(desired.key)
        if platform is None:
            return {}
        record, seen = self.recorded.record(desired), remote[platform]
        recorded = [seen.objects[record.id]] if record and record.id in seen.objects else []
        tagged = seen.tagged().get(desired.key, ()) if self._looks[platform][1] else ()
        return {there["id"]: declarable(there) for there in (*recorded, *tagged)}

    def tagged(self, desired: Desired) -> list[JSONObject]:
        """The objects with an instance's tags that the last look showed, oldest first."""
        return self._remote[self._at[desired.key]].tagged().get(desired.key, []) if desired.key in self._at else []

    async def hits(self, verdicts: Sequence[Verdict], rows: Mapping[Key, Row], timing: Timing) -> dict[Key, list[JSONObject]]:
        """The tagged objects of each instance, oldest first.

        Several objects of an instance that is to be made, none of which an open create made, are refused.

        Raises:
            RowsFailed: they were still there after the grace; all of them are named and none is touched.
        """
        delays = iter([*timing.delays(), None])
        while True:
            tagged = {platform: remote.tagged() for platform, remote in self._remote.items()}
            found: dict[Key, list[JSONObject]] = {}
            stuck: list[Verdict] = []
            for verdict in verdicts:
                key = verdict.desired.key
                found[key] = tagged[self._at[key]].get(key, []) if key in self._at else []
                ours = made_by(self.recorded.pending_operation(verdict.desired, "create"), found[key])
                if len(found[key]) > 1 and not ours and rows[key].action != "none":
                    stuck.append(verdict)
            pause = next(delays) if stuck else None
            if not stuck:
                return found
            if pause is None:
                raise self._twins(stuck, found, rows)
            self.reporter.say("several instances carry the same tags; another run may be choosing one, looking again")
            await asyncio.sleep(pause)
            for platform, remote in self._remote.items():
                self._remote[platform] = await refresh(platform, set(), remote.project, whole=True)

    def _twins(self, stuck: Sequence[Verdict], found: Mapping[Key, list[JSONObject]], rows: Mapping[Key, Row]) -> RowsFailed:
        marked = dict(rows)
        for verdict in stuck:
            key = verdict.desired.key
            ids = ", ".join(there["id"] for there in found[key])
            error = (
                f"{key[0]} in {key[1]}: {len(found[key])} instances carry its tags: {ids}; delete all but one with"
                " inv asst.delete --id ID"
            )
            marked[key] = replace(marked[key], error=error)
        for key, row in marked.items():
            if row.action != "none" and not row.error:
                marked[key] = replace(row, error=f"{key[0]} in {key[1]}: not started, since others are not clear")
        return RowsFailed(join_errors(row.error for row in marked.values()), marked.values())

    async def mark_all_gone(self, verdicts: Sequence[Verdict], rows: dict[Key, Row], *, deleting: bool = False) -> list[str]:
        """Flag the rows of environments where no recorded instance is visible; return the environments' names.

        An environment with any object of ours in it is no sign of a wrong key.

        Args:
            deleting: the rows are to be deleted; what is gone from the embedded platform is no sign of a wrong key then.
        """
        gone = []
        absent = [v for v in verdicts if v.state == "missing" or rows[v.desired.key].action == "create"]
        absent = [v for v in absent if not self.recorded.pending_operation(v.desired, "delete")]
        for name, location in dict.fromkeys((verdict.desired.environment, verdict.desired.location) for verdict in absent):
            environment = self.project.settings.environment_for(name, location)
            assert environment is not None
            records = {
                record.id
                for key, each in self.recorded.records.items()
                if key[1] == name and (record := each.at(location)) and not self._deleting(key, record)
            }
            if not records or (deleting and not environment.managed_with_key):
                continue
            platform = await self.platform_of(environment)
            seen = self._remote.get(platform, Remote())
            if records & seen.objects.keys() or any(where == name for _, where in seen.tagged()):
                continue
            if (await refresh(platform, records, self.project.settings.project)).objects.keys() & records:
                continue
            gone.append(name)
            variable = f"the key in {environment.key_variable()}" if environment.managed_with_key else "the local platform"
            way_out = "inv asst.create --recreate makes them anew"
            if deleting:
                way_out = f"inv asst.forget NAME {name} drops the record of one that is really gone"
            error = (
                f"{name}: {variable} sees none of its {count(len(records), 'recorded instance')}"
                f" (is it the right key and project?); {way_out}"
            )
            for verdict in absent:
                if (verdict.desired.environment, verdict.desired.location) == (name, location):
                    rows[verdict.desired.key] = replace(
                        rows[verdict.desired.key], error=error, note=None, needs_confirmation=True
                    )
        return gone

    def _deleting(self, key: Key, record: Record) -> bool:
        intent = self.recorded.pending.get((key, record.location))
        return intent is not None and intent.kind == "delete"

    async def refuse_if_all_gone(
        self,
        verdicts: Sequence[Verdict],
        rows: dict[Key, Row],
        *,
        allowed: bool = False,
        confirm: Confirm | None = None,
        deleting: bool = False,
    ) -> None:
        """Raise where a key sees nothing of an environment, unless going on is allowed or confirmed."""
        before = dict(rows)
        gone = await self.mark_all_gone(verdicts, rows, deleting=deleting)
        if gone and not allowed:
            if not (confirm and confirm(f"Make every instance of {', '.join(gone)} anew?", [*rows.values()])):
                raise Refused(join_errors(row.error for row in rows.values() if row.needs_confirmation), rows.values())
            await self.refuse_if_changed(verdicts, rows)
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
        run = await self.begin(Creation, [verdict.desired for verdict in claimed], timing)
        self._tidy(run, verdicts)
        claims = [claim(verdict, self.recorded, hits[verdict.desired.key]) for verdict in claimed]
        for each in claims:
            if not each.resumed:
                run.buffer.intend(each.desired, each.intent, each.desired.payload)
        run.buffer.flush()
        if claims:
            await run.create(claims, rows)
        rows |= run.rows
        return ended(rows | run.replaced(rows))

    async def bring(
        self, environments: Sequence[Environment], verdicts: Sequence[Verdict], rows: dict[Key, Row], timing: Timing
    ) -> list[Row]:
        """Open the intents of the run in one transaction, then write environment after environment."""
        planned = [verdict for verdict in verdicts if rows[verdict.desired.key].action == "update"]
        run = await self.begin(Run, [verdict.desired for verdict in planned], timing)
        self._tidy(run, verdicts)
        for verdict in planned:
            assert verdict.record is not None
            if verdict.record != self.recorded.record(verdict.desired):  # an update that got through, though we were not told
                payload = self.recorded.payloads[verdict.record.digest]
                run.buffer.record(verdict.desired, verdict.record, payload, settled=False)
            run.buffer.intend(verdict.desired, PendingOperation("update", verdict.desired.digest), verdict.desired.payload)
        run.buffer.flush()
        stopped: str | None = None
        for environment in environments:
            here = [verdict for verdict in planned if verdict.desired.environment == environment.name]
            if stopped:
                for verdict in here:
                    key = verdict.desired.key
                    rows[key] = replace(rows[key], error=f"{key[0]} in {key[1]}: not started, since {stopped} is not whole")
                    run.buffer.intend(verdict.desired, None)
                continue
            if here:
                await run.update(here, rows)
                rows |= run.rows
                rows |= run.replaced(rows)
            if any(row.error for row in rows.values() if row.environment == environment.name):
                stopped = environment.name
        run.buffer.flush()
        return ended(rows | run.replaced(rows))

    async def adopt(self, desired: Desired, id: str, timing: Timing) -> Row:
        """Make an existing object the instance of a row: tag it where it has no tags, and record what it holds.

        Raises:
            AsstError: it is not there, it is somebody else's, or the row has a living instance already.
        """
        name = f"{desired.name} in {desired.environment}"
        platform = await self.platform(desired)
        before = self.recorded.record(desired)
        if before and before.id != id and await platform.retrieve(before.id):
            raise AsstError(
                f"{name} is {before.id} already: inv asst.forget {desired.name} {desired.environment} drops that record, inv"
                f" asst.delete --only {desired.name} --env {desired.environment} deletes it"
            )
        there = await platform.retrieve(id)
        if there is None:
            raise AsstError(f"{name}: there is no {id} (is it the right key and project?)")
        if other := owner(desired, there):
            raise AsstError(f"{id} is the instance of another row ({other})")
        tagged = desired.identity.items() <= (there.get("metadata") or {}).items()
        if tagged and before and before.id == id:
            return Verdict(desired, "not_created", before, there, compare(there, desired.payload)).row()
        run = await self.begin(Run, [desired], timing)
        if not tagged:
            body = taking_over(desired, there, secrets.token_hex(16))
            if many := too_many_pairs(body, {}):
                raise AsstError(f"{name}: {id} would have {many}")
            there = await _answered(platform, id, body)
        own = not tagged or as_taken_over(desired, there)  # by an adopt whose answer was lost
        now = self.project.store.read().id(desired.key, desired.location)
        if now not in (None, id, before.id if before else None):
            raise AsstError(f"{name}: the store was replaced during this run and names {now}: inv asst.status, then decide again")
        record, payload, changes = adopted(desired, there, before, self.recorded.payloads, own=own)
        run.buffer.record(desired, record, payload)
        run.buffer.flush()
        return Verdict(desired, "not_created", record, there, changes).row("adopt")

    async def begin(self, kind: type[R], desired: Iterable[Desired], timing: Timing) -> R:
        """The writing part of a run that is about these instances."""
        buffer = WriteBuffer(self.project.store.transact, self.recorded, timing.flush)
        platforms = {each.key: await self.platform(each) for each in desired}
        return kind(buffer, platforms, self.project.settings.concurrency, self.reporter, timing)

    def _tidy(self, run: Run, verdicts: Sequence[Verdict]) -> None:
        """Record what is as declared already; drop what is open for it, and a delete that was not carried out."""
        for verdict in verdicts:
            desired, record = verdict.desired, verdict.record
            intent = self.recorded.pending.get((desired.key, desired.location))
            if verdict.remote is None or record is None or (intent and intent.kind == "create"):
                continue
            in_sync = verdict.state == "in_sync"
            if in_sync and record != self.recorded.record(desired):
                run.buffer.record(desired, record, desired.payload, settled=False)
            if intent and (in_sync or intent.kind == "delete"):
                run.buffer.intend(desired, None)


async def _answered(platform: Platform, id: str, body: JSONObject) -> JSONObject:
    """The object once it has been written; where the answer was lost, looked at by its nonce."""
    try:
        return await platform.update(id, body)
    except PlatformError as error:
        there = await platform.retrieve(id) if error.unknown else None
        if there is None or (there.get("metadata") or {}).get("asst.nonce") != body["metadata"]["asst.nonce"]:
            raise
        return there


def recorded_of(recorded: State, desired: Desired) -> tuple[Record | None, PendingOperation | None]:
    """What the store holds of a row: its record, and what is open for it."""
    return recorded.records.get(desired.key), recorded.pending.get((desired.key, desired.location))


def ended(rows: Mapping[Key, Row]) -> list[Row]:
    """The rows, unless some failed.

    Raises:
        RowsFailed: each failed row is named.
    """
    if failed := join_errors(row.error for row in rows.values()):
        raise RowsFailed(failed, rows.values())
    return list(rows.values())
