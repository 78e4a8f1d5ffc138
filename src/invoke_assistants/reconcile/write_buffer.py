"""Results on their way to the store: many of them in each transaction."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable

from ..errors import StoreError
from ..types import Desired, Edits, JSONObject, Key, Location, PendingOperation, Record, State, Step

__all__ = ["WriteBuffer"]


Transact = Callable[[Callable[[State], Edits], Iterable[tuple[str, JSONObject]]], None]


class WriteBuffer:
    """Results on their way to the store, a few transactions a second at most; the store's lock must be held.

    Every transaction holds all results of the run so far: a store that was replaced meanwhile (a git pull) gets them too.
    Where that store names another instance, or none, that stands: the run's own result may be of one that is gone.

    Args:
        transact: the store's.
        recorded: what the store held when the run began.
        every: seconds between two transactions.
    """

    def __init__(self, transact: Transact, recorded: State, every: float) -> None:
        self._transact = transact
        self._every = every
        self._initial = recorded
        self._records: dict[Key, Record] = {}
        self._forgotten: dict[Key, tuple[Location, str]] = {}
        self._pending: dict[tuple[Key, Location], PendingOperation | None] = {}
        self._opened = {*recorded.pending.items()}
        self._changed = False
        self.payloads: dict[str, JSONObject] = dict(recorded.payloads)
        self.replaced: dict[Key, str | None] = {}  # of the last transaction: the id that the store names instead

    def record(self, desired: Desired, record: Record, payload: JSONObject, *, settled: bool = True) -> None:
        """Note what an instance is now; ``settled`` drops what is pending for it in the same transaction."""
        self._records[desired.key] = record
        self._forgotten.pop(desired.key, None)
        self.payloads[record.digest] = payload
        self._changed = True
        if settled:
            self.set_pending(desired, None)

    def open_update(self, step: Step) -> None:
        """Note that an update is pending, and the record of an earlier one that got through, though its answer was lost."""
        desired, record = step.target, step.record
        assert record is not None
        if record != self._initial.record(desired):
            self.record(desired, record, self.payloads[record.digest], settled=False)
        self.set_pending(desired, PendingOperation("update", desired.digest), desired.payload)

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
        try:
            self._transact(self._edits, self.payloads.items())
        except StoreError as error:
            before = {record.id for record in self._initial.records.values()}
            lost = [
                f"inv asst.adopt {name} {where} {each.id}"
                for (name, where), each in self._records.items()
                if each.id not in before
            ]
            advice = f"; make room, then run the same command again, or: {'; '.join(lost)}" if lost else ""
            raise StoreError(f"{error}{advice}") from None
        self._changed = False

    def _edits(self, now: State) -> Edits:
        """What is noted, without what a store that was replaced meanwhile knows better."""
        self.replaced = {}
        records, forgotten = {}, {}
        for key, record in self._records.items():
            known = record.id == self._initial.id(key, record.location)  # else this run made, adopted or elected it
            if known and now.id(key, record.location) != record.id:
                self.replaced[key] = now.id(key, record.location)
            else:
                records[key] = record
        for key, (location, id) in self._forgotten.items():
            if now.id(key, location) not in (None, id):
                self.replaced[key] = now.id(key, location)
            else:
                forgotten[key] = location
        # A pending operation that this run has not known is another run's: its nonce must not be lost.
        foreign = {slot for slot, operation in now.pending.items() if (slot, operation) not in self._opened}
        return records, {slot: operation for slot, operation in self._pending.items() if slot not in foreign}, forgotten

    @contextlib.asynccontextmanager
    async def flushing(self) -> AsyncGenerator[None]:
        """Flush now and then while the block runs, and at its end however it ends."""

        async def now_and_then() -> None:
            while True:
                await asyncio.sleep(self._every)
                self.flush()

        task = asyncio.create_task(now_and_then())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, StoreError):
                await task
            self.flush()
