"""Results on their way to the store."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

from .errors import StoreError
from .records import Intent, JSONObject, Key, Place, Record, Recorded, Wanted

__all__ = ["Journal"]


class Journal:
    """Results on their way to the store, a few transactions a second at most; the store's lock must be held."""

    def __init__(self, commit: Callable[..., Recorded], every: float) -> None:
        self._commit = commit
        self._every = every
        self._records: dict[Key, tuple[Wanted, Record]] = {}
        self._payloads: dict[str, JSONObject] = {}
        self._intents: dict[tuple[Key, Place], Intent | None] = {}
        self.recorded = Recorded()

    def open(self, recorded: Recorded) -> None:
        """Begin with what the store holds."""
        self.recorded = recorded

    def record(self, wanted: Wanted, record: Record, payload: JSONObject, *, settled: bool = True) -> None:
        """Note what an instance is now; ``settled`` drops its intent in the same transaction."""
        self._records[wanted.key] = (wanted, record)
        self._payloads[record.digest] = payload
        if settled:
            self.intend(wanted, None)

    def intend(self, wanted: Wanted, intent: Intent | None, payload: JSONObject | None = None) -> None:
        """Open an intent, or drop the one that is open."""
        self._intents[wanted.key, wanted.place] = intent
        if payload is not None and intent is not None:
            self._payloads[intent.digest] = payload

    def flush(self) -> None:
        """Write what is noted in one transaction; nothing where nothing is.

        Raises:
            StoreError: it cannot be written; the ids that are thereby not recorded are named.
        """
        if not self._records and not self._intents:
            return
        records = {key: self._merged(key, record) for key, (_, record) in self._records.items()}
        try:
            self.recorded = self._commit(records, list(self._payloads.items()), self._intents)
        except StoreError as error:
            lost = [f"{name} {environment} {record.id}" for (name, environment), record in records.items()]
            told = f"; not recorded: {', '.join(lost)}: make room and run inv asst.create, which adopts them" if lost else ""
            raise StoreError(f"{error}{told}") from None
        self._records, self._payloads, self._intents = {}, {}, {}

    def _merged(self, key: Key, record: Record) -> Record:
        before = self.recorded.records.get(key)
        return before.succeeded_by(record) if before else record

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
