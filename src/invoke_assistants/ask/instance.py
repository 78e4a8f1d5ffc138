"""The instance that an app asks, as settings and store name it.

Both are read once, and again when one of their files, the environment or the current folder has changed; finding that out
costs a few calls of ``stat``. A store at a URL is looked at again after ``ASST_STORE_CACHE`` seconds. While its server does not
answer, what was read last goes on being used.
"""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..config.environment import Environment
from ..config.project import read_store
from ..config.root import runtime_root
from ..config.settings import Settings
from ..config.sources import VARIABLES
from ..errors import NotCreated
from ..store.storage import Unreachable
from ..store.url import StoreURL
from ..types import Record, State

__all__ = ["Instance", "Snapshot"]

LOGGER = logging.getLogger("invoke_assistants")
RETRY = 1.0  # seconds that a server which did not answer is left alone, at least
Stamp = tuple[int, int, int] | None  # of a file: when it was modified (ns), its size, its inode


class Values(tuple[str | None, ...]):
    """The values of variables, with a ``repr`` that shows none: the URL of a store may hold a password."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Values(***)"


@dataclass(frozen=True)
class Instance:
    """One assistant's instance in one environment, and the settings and the store that name it."""

    settings: Settings
    recorded: State
    environment: Environment
    record: Record


@dataclass(frozen=True)
class Snapshot:
    """Settings and store as they were read, the variables and files that they came from, and the instances found in them."""

    settings: Settings
    recorded: State
    variables: tuple[str, ...]
    values: Values
    files: tuple[str, ...]
    stamps: tuple[Stamp, ...]
    due: float = float("inf")  # when the store is to be looked at again, by time.monotonic
    silent: bool = False  # the store's server did not answer at the last look
    found: dict[tuple[str, str | None], Instance] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, root: Path | None, known: Snapshot | None = None) -> Snapshot:
        """Read the settings and the store of the project at a root, or of the one that the process runs in.

        Args:
            known: what was read before; where the server of a store at a URL does not answer, its ids go on being used.

        Raises:
            AsstError: one of them is wrong, or cannot be read.
        """
        root = root or runtime_root(os.environ)
        files = [str(root / name) for name in ("pyproject.toml", ".env.local", ".env")] if root else []
        stamps = list(map(_stamp, files))  # stamped before they are read, so that a change meanwhile is noticed
        settings = Settings.load(root)
        variables = (*VARIABLES, *(each.variable("OPENAI_BASE_URL") for each in settings.environments))
        values = Values(map(os.environ.get, variables))
        due = float("inf")
        if isinstance(settings.store, StoreURL):
            due = time.monotonic() + settings.store_cache
        else:
            files.append(str(settings.store))
            stamps.append(_stamp(files[-1]))
        try:
            settings, recorded = read_store(settings)
        except Unreachable as error:
            if known is None or known.settings.store != settings.store:
                raise
            LOGGER.warning("%s; going on with the ids that were read before", error)
            settings, recorded = replace(settings, project=known.settings.project), known.recorded
        return cls(settings, recorded, variables, values, tuple(files), tuple(stamps), due)

    def refreshed(self) -> Snapshot:
        """The same with the store at a URL looked at again; with what was read last, where its server does not answer.

        Raises:
            StoreError: the server answers, and the store is not ours any more.
        """
        due = time.monotonic() + self.settings.store_cache
        try:
            _, recorded = read_store(self.settings)
        except Unreachable as error:
            if not self.silent:
                LOGGER.warning("%s; going on with the ids that were read before", error)
            return replace(self, due=max(due, time.monotonic() + RETRY), silent=True)
        if recorded == self.recorded:
            return replace(self, due=due, silent=False)
        return replace(self, recorded=recorded, due=due, silent=False, found={})

    def is_current(self) -> bool:
        """Whether nothing has changed since."""
        return self.values == Values(map(os.environ.get, self.variables)) and self.stamps == tuple(map(_stamp, self.files))

    def instance(self, name: str, environment: str | None) -> Instance:
        """The instance of an assistant in an environment, or in the current one.

        Raises:
            NotCreated: there is no such instance.
            SettingsError: there is no such environment.
        """
        if known := self.found.get((name, environment)):
            return known
        here = self.settings.environment(environment or None)
        found = self.recorded.records.get((name, here.name))
        record = found.at(here.location) if found else None
        if record is None:
            elsewhere = f" (it is recorded on {found.location.label})" if found else ""
            where = f"{here.name} on {here.location.label}{elsewhere}"
            raise NotCreated(f"{name} is not created in {where}: run inv asst.create")
        self.found[name, environment] = Instance(self.settings, self.recorded, here, record)
        return self.found[name, environment]


def _stamp(file: str) -> Stamp:
    try:
        found = os.stat(file)  # noqa: PTH116 - a Path would cost as much again
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
