"""The instance that an app asks, as settings and store name it.

Both are read once, and again when one of their files, the environment or the current folder has changed; finding that out
costs a few calls of ``stat``. A store at a URL is read again once ``ASST_STORE_CACHE`` seconds have passed; where its server is
down, what is known goes on being used.
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
from ..types import Record, State
from .watched import EnvironmentVariables, WatchedFiles, stamp_files

__all__ = ["Instance", "Snapshot"]

PAUSE = 0.1  # seconds between two looks of a running app at its files of settings: too short for a person to notice
log = logging.getLogger("invoke_assistants")


@dataclass(frozen=True)
class Instance:
    """One assistant's instance in one environment, and the settings and the store that name it."""

    settings: Settings
    recorded: State
    environment: Environment
    record: Record


@dataclass(frozen=True)
class Snapshot:
    """Settings and store as they were read, the variables and files that they came from, and the instances found in them.

    Attributes:
        looked_at: when the store at a URL was last looked at, on the monotonic clock; None for a file.
        outage: whether its server could not be reached then, so that what was read before is still used.
    """

    settings: Settings
    recorded: State
    variables: EnvironmentVariables
    settings_files: WatchedFiles
    store_file: WatchedFiles
    looked_at: float | None
    outage: bool = False
    found: dict[tuple[str, str | None], Instance] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, root: Path | None, known: Snapshot | None = None) -> Snapshot:
        """Read the settings and the store of the project at a root, or of the one that the process runs in.

        Args:
            known: what was read before; its store is used where it is at the same URL, and looked at again when that is due.

        Raises:
            AsstError: one of them is wrong, or cannot be read.
        """
        root = root or runtime_root(os.environ)
        # Stamped before they are read, so that a change meanwhile is noticed.
        stamps = stamp_files(str(root / name) for name in ("pyproject.toml", ".env.local", ".env")) if root else {}
        settings_files = WatchedFiles(stamps, PAUSE)
        settings = Settings.load(root)
        own = (each.variable("OPENAI_BASE_URL") for each in settings.environments)
        variables = EnvironmentVariables([*VARIABLES, *own])
        remote = not isinstance(settings.store, Path)
        store_file = WatchedFiles({} if remote else stamp_files([str(settings.store)]))
        if remote and known and known.settings.store == settings.store and settings.project in ("", known.settings.project):
            settings = replace(settings, project=known.settings.project)
            same = cls(settings, known.recorded, variables, settings_files, store_file, known.looked_at, known.outage)
            return same.look_again() if same.look_is_due() else same
        settings, recorded = read_store(settings)
        return cls(settings, recorded, variables, settings_files, store_file, time.monotonic() if remote else None)

    def is_current(self) -> bool:
        """Whether the variables and files are as they were; a store at a URL may have changed."""
        return self.variables.unchanged() and self.store_file.unchanged() and self.settings_files.unchanged()

    def look_is_due(self) -> bool:
        """Whether the store is at a URL, and was last looked at so long ago that it is to be read again."""
        return self.looked_at is not None and time.monotonic() - self.looked_at >= self.settings.store_cache

    def look_again(self) -> Snapshot:
        """Read the store at a URL again; where its server cannot be reached, keep what is known, and warn once.

        Raises:
            AsstError: the store is not ours, or cannot be read although its server answers.
        """
        try:
            settings, recorded = read_store(self.settings)
        except Unreachable as error:
            if not self.outage:
                log.warning("%s; the ids that were last read go on being used", error)
            return replace(self, looked_at=time.monotonic(), outage=True)
        known = replace(self, looked_at=time.monotonic(), outage=False)
        return known if recorded == self.recorded else replace(known, settings=settings, recorded=recorded, found={})

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
