"""Results on their way to the store: many of them in each transaction."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncGenerator
from pathlib import Path

from ..declare.reader import read_model
from ..errors import StoreError
from ..store.store import Store
from ..types import Desired, Edits, JSONObject, Key, Location, PendingOperation, Reader, Record, State, Step
from .records import pending_update

__all__ = ["WriteBuffer"]

RARELY = 100  # times as long as a transaction took pass before the next one: no request is sent meanwhile


class WriteBuffer:
    """Results on their way to the store, a few transactions a second at most; the store's lock must be held.

    Every transaction holds all results of the run so far: a store that was replaced meanwhile (a git pull) gets them too.
    Where that store names another instance, or none, that stands: the run's own result may be of one that is gone.
    A run whose lock was taken over adds its results where nobody else has written since, and closes nothing that is open:
    the run that took over may be at it.

    Args:
        store: where they go.
        recorded: what the store held when the run began.
        every: seconds between two transactions.
        unsaved: the folder for what a shared store cannot take.
        command: what runs, for that file.
    """

    def __init__(self, store: Store, recorded: State, every: float, unsaved: Path, command: str) -> None:
        self._store = store
        self._every = every
        self._unsaved = unsaved
        self._command = command
        self._saved_at: Path | None = None  # where the results are that the store did not take
        self._initial = recorded
        self._holders = _holders_by_digest(recorded)
        self._records: dict[Key, Record] = {}
        self._written: dict[Key, Record] = {}
        self._forgotten: dict[Key, tuple[Location, str]] = {}
        self._pending: dict[tuple[Key, Location], PendingOperation | None] = {}
        self._readers: dict[str, Reader | None] = {}
        self._noted: dict[str, dict[str, Reader]] = {}  # by digest and name
        self._opened = {*recorded.pending.items()}
        self._changed = False
        self._took = 0.0  # seconds of the last transaction
        self.payloads: dict[str, JSONObject] = dict(recorded.payloads)
        self.replaced: dict[Key, str | None] = {}  # of the last transaction: the id that the store names instead

    @property
    def overtaken(self) -> bool:
        """Whether another run has taken over the store's lock."""
        return self._store.overtaken

    def record(self, desired: Desired, record: Record, payload: JSONObject, *, settled: bool = True) -> None:
        """Note what an instance is now; ``settled`` drops what is pending for it in the same transaction."""
        self._records[desired.key] = record
        self._forgotten.pop(desired.key, None)
        self.payloads[record.digest] = payload
        self._changed = True
        if record.digest == desired.digest:
            self.note_reader(desired)
        if settled:
            self.set_pending(desired, None)

    def note_reader(self, desired: Desired) -> None:
        """Note what the declared model reads. In the first environment, what a later one was given stands: its app still runs.

        Of assistants that share a payload, the strictest reader counts, and what is known stands until all of them are noted.
        """
        if desired.held:  # the payload is not the declared one
            return
        digest = desired.digest
        holders = self._holders.get(digest, set())
        if desired.position == 0 and any(environment != desired.environment for _, environment in holders):
            return
        noted = self._noted.setdefault(digest, {})
        noted[desired.name] = read_model(desired.output)
        reader, known = functools.reduce(Reader.stricter, noted.values()), self._initial.readers.get(digest, Reader())
        if not {name for name, _ in holders} <= noted.keys():
            reader = reader.stricter(known)
        if reader != (self._readers.get(digest, known) or Reader()):
            self._readers[digest] = reader or None
            self._changed = True

    def open_update(self, step: Step) -> None:
        """Note that an update is pending, and the record of an earlier one that got through, though its answer was lost."""
        desired, record = step.target, step.record
        assert record is not None
        if record != self._initial.record(desired):
            self.record(desired, record, self.payloads[record.digest], settled=False)
        before = self._initial.pending_operation(desired, "update")  # the object may still be as the service answered that one
        self.set_pending(desired, pending_update(step, before.answered if before else None), desired.payload)

    def cancel(self, desired: Desired) -> None:
        """Note that the request announced for an instance changed nothing: an update taken otherwise than sent is still that."""
        before = self._initial.pending_operation(desired, "update")
        self.set_pending(desired, before if before and before.answered else None)

    def forget(self, desired: Desired, id: str) -> None:
        """Note that an instance is no more, so that no record points to it."""
        self._records.pop(desired.key, None)
        self._forgotten[desired.key] = desired.location, id
        self._changed = True

    def set_pending(self, desired: Desired, operation: PendingOperation | None, payload: JSONObject | None = None) -> None:
        """Note what is pending for an instance from here on; None drops what was."""
        slot = desired.key, desired.location
        self._pending[slot] = operation
        self._changed = True
        if operation is not None:
            self._opened.add((slot, operation))
            if payload is not None:
                self.payloads[operation.digest] = payload

    def flush(self) -> None:
        """Write what is noted in one transaction; nothing where nothing is new.

        Raises:
            StoreError: it cannot be written; the ids that are thereby not recorded are named.
        """
        if not self._changed:
            return
        began = time.monotonic()
        try:
            self._store.transact(self._edits, self.payloads.items())
        except StoreError as error:
            raise StoreError(f"{error}{self._advice()}") from None
        finally:
            self._took = time.monotonic() - began
        self._changed = False
        self._written.update(self._records)
        self._drop(self._saved_at)

    def _advice(self) -> str:
        """What to do about results that the store did not take, which are saved elsewhere where it is a shared one."""
        before = {record.id for record in self._initial.records.values()}
        made = [
            f"inv asst.adopt {name} {where} {each.id}" for (name, where), each in self._records.items() if each.id not in before
        ]
        if not self._store.storage.shared:
            return f"; make room, then run the same command again, or: {'; '.join(made)}" if made else ""
        if not self._records and not self._forgotten:
            return "; nothing was made yet: run the same command again"
        from ..store.recovery import save_unsaved

        try:
            base, ours = self._store.edited(self._edits, self.payloads)
            assert ours is not None  # something was made
            earlier = self._saved_at
            self._saved_at = save_unsaved(self._unsaved, self._store.storage.label, self._command, base, ours)
            self._drop(earlier)
        except StoreError as error:
            return f"; {error}; what this run made: {'; '.join(made) or 'no new instance'}"
        return f"; what this run made is in {self._saved_at}: inv asst.store --recover {self._saved_at} brings it in"

    def _drop(self, saved: Path | None) -> None:
        """Delete a recovery file that is no longer needed."""
        if saved:
            with contextlib.suppress(OSError):
                saved.unlink()

    def _edits(self, now: State) -> Edits:
        """What is noted, without what a store that was replaced meanwhile knows better."""
        self.replaced = {}
        records, forgotten = {}, {}
        for key, record in self._records.items():
            if self._stands(now, key, record):
                records[key] = record
            else:
                self.replaced[key] = now.id(key, record.location)
        for key, (location, id) in self._forgotten.items():
            if now.id(key, location) not in (None, id):
                self.replaced[key] = now.id(key, location)
            else:
                forgotten[key] = location
        return Edits(records, self._pending_edits(now), forgotten, self._readers)

    def _stands(self, now: State, key: Key, record: Record) -> bool:
        """Whether a result is to be recorded, or what the store names by now stands."""
        there, initial = now.record_at(key, record.location), self._initial.record_at(key, record.location)
        if self._store.overtaken:
            return there in (initial, self._written.get(key), record)
        known = initial is not None and record.id == initial.id  # else this run made, adopted or elected it
        return not known or (there is not None and there.id == record.id)

    def _pending_edits(self, now: State) -> dict[tuple[Key, Location], PendingOperation | None]:
        if self._store.overtaken:  # a create of ours that is closed may yet turn out to have made something
            creates = {slot: operation for slot, operation in self._pending.items() if operation and operation.kind == "create"}
            return {slot: operation for slot, operation in creates.items() if slot not in now.pending}
        # A pending operation that this run has not known is another run's: its nonce must not be lost.
        foreign = {slot for slot, operation in now.pending.items() if (slot, operation) not in self._opened}
        return {slot: operation for slot, operation in self._pending.items() if slot not in foreign}

    @contextlib.asynccontextmanager
    async def flushing(self) -> AsyncGenerator[None]:
        """Flush now and then while the block runs, and at its end however it ends."""

        async def now_and_then() -> None:
            while True:
                await asyncio.sleep(max(self._every, RARELY * self._took))
                with contextlib.suppress(StoreError):  # the last flush says what is wrong
                    self.flush()

        task = asyncio.create_task(now_and_then())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            self.flush()


def _holders_by_digest(state: State) -> dict[str, set[Key]]:
    """The assistants and environments in which each digest is recorded."""
    found: dict[str, set[Key]] = {}
    for key, record in state.records.items():
        found.setdefault(record.digest, set()).add(key)
    return found
