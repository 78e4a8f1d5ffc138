"""Results on their way to the store."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

from .errors import StoreError
from .records import Intent, JSONObject, Key, Place, Record, Recorded, Wanted

__all__ = ["Journal"]


class Journal:
    """Results on their way to the store, a few transactions a second at most; the store's lock must be held.

    Every transaction holds all results of the run so far: a store that was replaced meanwhile (a git pull) gets them too.

    Args:
        commit: the store's.
        recorded: what the store held when the run began.
        every: seconds between two transactions.
    """

    def __init__(self, commit: Callable[..., None], recorded: Recorded, every: float) -> None:
        self._commit = commit
        self._every = every
        self._began = recorded
        self._records: dict[Key, Record] = {}
        self._forgotten: dict[Key, Place] = {}
        self._intents: dict[tuple[Key, Place], Intent | None] = {}
        self._changed = False
        self.payloads: dict[str, JSONObject] = dict(recorded.payloads)

    def record(self, wanted: Wanted, record: Record, payload: JSONObject, *, settled: bool = True) -> None:
        """Note what an instance is now; ``settled`` drops its intent in the same transaction."""
        self._records[wanted.key] = record
        self._forgotten.pop(wanted.key, None)
        self.payloads[record.digest] = payload
        self._changed = True
        if settled:
            self.intend(wanted, None)

    def forget(self, wanted: Wanted) -> None:
        """Note that an instance is no more, so that no record points to it."""
        self._records.pop(wanted.key, None)
        self._forgotten[wanted.key] = wanted.place
        self._changed = True

    def intend(self, wanted: Wanted, intent: Intent | None, payload: JSONObject | None = None) -> None:
        """Open an intent, or drop the one that is open."""
        self._intents[wanted.key, wanted.place] = intent
        self._changed = True
        if payload is not None and intent is not None:
            self.payloads[intent.digest] = payload

    def flush(self) -> None:
        """Write what is noted in one transaction; nothing where nothing is new.

        Raises:
            StoreError: it cannot be written; the ids that are thereby not recorded are named.
        """
        if not self._changed:
            return
        try:
            self._commit(self._records, self.payloads.items(), self._intents, self._forgotten)
        except StoreError as error:
            before = {record.id for record in self._began.records.values()}
            lost = [
                f"inv asst.adopt {name} {where} {each.id}"
                for (name, where), each in self._records.items()
                if each.id not in before
            ]
            told = f"; make room, then run the same command again, or: {'; '.join(lost)}" if lost else ""
            raise StoreError(f"{error}{told}") from None
        self._changed = False

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
