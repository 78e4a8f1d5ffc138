"""One run in a project: what it looks at, when it refuses, and how it opens and closes the intents of its writes."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, nullcontext
from dataclasses import replace
from typing import TypeVar

from .apply import Reporter, Run, Timing
from .creating import Creation, claim
from .errors import AsstError, Refused, RowsFailed
from .journal import Journal
from .payload import taking_over
from .plan import Remote, Verdict, adopted, judge, offline
from .platforms import Platform, connect
from .project import Project
from .records import Intent, JSONObject, Key, Record, Recorded, Row, Wanted
from .settings import Credentials, Environment
from .sweep import look

__all__ = ["Confirm", "Session", "count", "ended", "run", "summed_up"]

R = TypeVar("R", bound=Run)
T = TypeVar("T")
Confirm = Callable[[str, Sequence[Row]], bool]


def run(project: Project, command: str, act: Callable[[Session], Awaitable[T]], reporter: Reporter, *, lock: bool = False) -> T:
    """Read the store, open a session and act, the store's lock held throughout where something may be written."""

    async def session() -> T:
        async with AsyncExitStack() as stack:
            return await act(Session(project, project.store.read(), reporter, stack))

    def go() -> T:
        with project.store.lock(f"inv asst.{command}", reporter.say) if lock else nullcontext():
            return asyncio.run(session())

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return go()
    with ThreadPoolExecutor(1) as pool:  # a loop runs in this thread already, so ours needs another
        return pool.submit(go).result()


class Session:
    """One run in a project: the store as it was read, and the platforms that it needs, opened once each."""

    def __init__(self, project: Project, recorded: Recorded, reporter: Reporter, stack: AsyncExitStack) -> None:
        self.project = project
        self.recorded = recorded
        self._reporter = reporter
        self._stack = stack
        self._platforms: dict[tuple[str, Credentials | None], Platform] = {}
        self._remote: dict[Platform, Remote] = {}

    async def platform(self, name: str) -> Platform:
        """The platform of an environment; those with the same URL, key and project share one."""
        environment = self.project.settings.environment(name)
        key = (environment.place.platform, environment.credentials() if environment.managed_with_key else None)
        if key not in self._platforms:
            opened = connect(self.project.settings, environment, self.recorded, self._reporter.say)
            self._platforms[key] = await self._stack.enter_async_context(opened)
        return self._platforms[key]

    async def verdicts(self, wanted: Sequence[Wanted], *, whole: Iterable[str] = (), from_store: bool = False) -> list[Verdict]:
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
        """The tagged objects of each instance, oldest first; several of which no open create made one are refused.

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
                intent = self.recorded.intent(verdict.wanted, "create")
                ours = intent and any(there["metadata"].get("asst.nonce") == intent.nonce for there in found[key])
                if len(found[key]) > 1 and not ours:
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
            error = (
                f"{key[0]} in {key[1]}: {len(found[key])} instances carry its tags: {ids}; delete all but one, then look"
                " with inv asst.status"
            )
            marked[key] = replace(marked[key], error=error)
        for key, row in marked.items():
            if row.action != "none" and not row.error:
                marked[key] = replace(row, error=f"{key[0]} in {key[1]}: not started, since others are not clear")
        return RowsFailed(summed_up(row.error for row in marked.values()), marked.values())

    async def mark_all_gone(self, verdicts: Sequence[Verdict], rows: dict[Key, Row]) -> list[str]:
        """Mark the rows to make or missing in environments of which nothing recorded is to be seen; their names come back.

        An environment with any object of ours in it is no sign of a wrong key.
        """
        gone = []
        absent = [v for v in verdicts if v.state == "missing" or rows[v.wanted.key].action == "create"]
        absent = [v for v in absent if not self.recorded.intent(v.wanted, "delete")]
        for name in dict.fromkeys(verdict.wanted.environment for verdict in absent):
            environment = self.project.settings.environment(name)
            records = {
                record.id
                for key, each in self.recorded.records.items()
                if key[1] == name and (record := each.at(environment.place)) and not self._deleting(key, record)
            }
            if not records:
                continue
            platform = await self.platform(name)
            seen = self._remote.get(platform, Remote())
            if records & seen.objects.keys() or any(where == name for _, where in seen.tagged()):
                continue
            if (await look(platform, records, self.project.settings.project)).objects.keys() & records:
                continue
            gone.append(name)
            variable = f"the key in {environment.key_variable()}" if environment.managed_with_key else "the local platform"
            for verdict in absent:
                if verdict.wanted.environment == name:
                    error = (
                        f"{name}: {variable} sees none of its {count(len(records), 'recorded instance')}"
                        " (is it the right key and project?); inv asst.create --recreate makes them anew"
                    )
                    rows[verdict.wanted.key] = replace(rows[verdict.wanted.key], error=error, note=None, unsafe=True)
        return gone

    def _deleting(self, key: Key, record: Record) -> bool:
        intent = self.recorded.intents.get((key, record.place))
        return intent is not None and intent.kind == "delete"

    async def refuse_if_all_gone(
        self, verdicts: Sequence[Verdict], rows: dict[Key, Row], *, allowed: bool, confirm: Confirm | None
    ) -> None:
        """Raise where a key sees nothing of an environment, unless going on is allowed or confirmed."""
        before = dict(rows)
        gone = await self.mark_all_gone(verdicts, rows)
        if (
            gone
            and not allowed
            and not (confirm and confirm(f"Make every instance of {', '.join(gone)} anew?", [*rows.values()]))
        ):
            raise Refused(summed_up(row.error for row in rows.values() if row.unsafe), rows.values())
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
        run = await self._begin(Creation, claimed, timing)
        self._tidy(run, verdicts)
        claims = [claim(verdict, self.recorded, hits[verdict.wanted.key]) for verdict in claimed]
        for each in claims:
            if not each.resumed:
                run.journal.intend(each.wanted, each.intent, each.wanted.payload)
        run.journal.flush()
        if claims:
            await run.create(claims, rows)
        return ended(rows | run.rows)

    async def bring(
        self, environments: Sequence[Environment], verdicts: Sequence[Verdict], rows: dict[Key, Row], timing: Timing
    ) -> list[Row]:
        """Open the intents of the run in one transaction, then write environment after environment."""
        planned = [verdict for verdict in verdicts if rows[verdict.wanted.key].action == "update"]
        run = await self._begin(Run, planned, timing)
        self._tidy(run, verdicts)
        for verdict in planned:
            assert verdict.record is not None
            if verdict.record != self.recorded.record(verdict.wanted):  # an update that got through, though we were not told
                payload = self.recorded.payloads[verdict.record.digest]
                run.journal.record(verdict.wanted, verdict.record, payload, settled=False)
            run.journal.intend(verdict.wanted, Intent("update", verdict.wanted.digest), verdict.wanted.payload)
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
        return ended(rows)

    async def delete(self, verdicts: Sequence[Verdict], rows: dict[Key, Row], timing: Timing) -> list[Row]:
        """Open the intents of the run in one transaction, delete, and forget what is no more."""
        run = await self._begin(Run, verdicts, timing)
        for verdict in verdicts:
            run.journal.intend(verdict.wanted, Intent("delete", verdict.wanted.digest), verdict.wanted.payload)
        run.journal.flush()
        if verdicts:
            await run.delete(verdicts, rows)
        return ended(rows | run.rows)

    async def adopt(self, wanted: Wanted, id: str, timing: Timing) -> Row:
        """Make an existing object the instance of a row: tag it where it has no tags, and record what it holds.

        Raises:
            AsstError: it is not there, it is somebody else's, or the row has a living instance already.
        """
        name = f"{wanted.name} in {wanted.environment}"
        platform = await self.platform(wanted.environment)
        before = self.recorded.record(wanted)
        if before and before.id != id and await platform.retrieve(before.id):
            raise AsstError(
                f"{name} is {before.id} already: inv asst.delete --only {wanted.name} --env {wanted.environment} first"
            )
        there = await platform.retrieve(id)
        if there is None:
            raise AsstError(f"{name}: there is no {id} (is it the right key and project?)")
        tags = {key: value for key, value in (there.get("metadata") or {}).items() if key in wanted.identity}
        if tags and tags != wanted.identity:
            owner = ", ".join(f"{key} {value}" for key, value in sorted(tags.items()))
            raise AsstError(f"{id} is the instance of another row ({owner})")
        run = await self._begin(Run, [Verdict(wanted, "not_created")], timing)
        if not tags:
            there = await platform.update(id, taking_over(wanted, there, secrets.token_hex(16)))
        record, payload, changes = adopted(wanted, there, before, self.recorded.payloads, own=True)
        run.journal.record(wanted, record, payload)
        run.journal.flush()
        return Verdict(wanted, "not_created", record, there, changes).row(
            "none" if before and before.id == id and tags else "adopt"
        )

    async def _begin(self, kind: type[R], verdicts: Sequence[Verdict], timing: Timing) -> R:
        journal = Journal(self.project.store.commit, self.recorded, timing.flush)
        platforms = {verdict.wanted.environment: await self.platform(verdict.wanted.environment) for verdict in verdicts}
        return kind(journal, platforms, self.project.settings.concurrency, self._reporter, timing)

    def _tidy(self, run: Run, verdicts: Sequence[Verdict]) -> None:
        """Record what is as declared already; drop what is open for it, and a delete that was not carried out."""
        for verdict in verdicts:
            wanted, record = verdict.wanted, verdict.record
            intent = self.recorded.intents.get((wanted.key, wanted.place))
            if verdict.remote is None or record is None or (intent and intent.kind == "create"):
                continue
            in_sync = verdict.state == "in_sync"
            if in_sync and record != self.recorded.record(wanted):
                run.journal.record(wanted, record, wanted.payload, settled=False)
            if intent and (in_sync or intent.kind == "delete"):
                run.journal.intend(wanted, None)


def ended(rows: Mapping[Key, Row]) -> list[Row]:
    """The rows, unless some failed.

    Raises:
        RowsFailed: each failed row is named.
    """
    if failed := summed_up(row.error for row in rows.values()):
        raise RowsFailed(failed, rows.values())
    return list(rows.values())


def summed_up(errors: Iterable[str | None]) -> str:
    """The errors on one line, each once, at most six in full."""
    each = list(dict.fromkeys(error for error in errors if error))
    return "; ".join(each[:6]) + (f"; and {len(each) - 6} more" if len(each) > 6 else "")


def count(number: int, noun: str) -> str:
    """``1 instance``, ``2 instances``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
