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

__all__ = ["Instance", "Snapshot"]

log = logging.getLogger("invoke_assistants")

Stamp = tuple[int, int, int] | None  # of a file: when it was modified (ns), its size, its inode


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
    variables: tuple[str, ...]
    values: _Hidden
    files: tuple[str, ...]
    stamps: tuple[Stamp, ...]
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
        files = [str(root / name) for name in ("pyproject.toml", ".env.local", ".env")] if root else []
        stamps = list(map(_stamp, files))  # stamped before they are read, so that a change meanwhile is noticed
        settings = Settings.load(root)
        variables = (*VARIABLES, *(each.variable("OPENAI_BASE_URL") for each in settings.environments))
        values = _Hidden(tuple(map(os.environ.get, variables)))
        remote = not isinstance(settings.store, Path)
        if not remote:
            files.append(str(settings.store))
            stamps.append(_stamp(files[-1]))
        elif known and known.settings.store == settings.store and settings.project in ("", known.settings.project):
            settings = replace(settings, project=known.settings.project)
            same = cls(settings, known.recorded, variables, values, tuple(files), tuple(stamps), known.looked_at, known.outage)
            return same.look_again() if same.look_is_due() else same
        settings, recorded = read_store(settings)
        looked_at = time.monotonic() if remote else None
        return cls(settings, recorded, variables, values, tuple(files), tuple(stamps), looked_at)

    def is_current(self) -> bool:
        """Whether the variables and files are as they were; a store at a URL may have changed."""
        return self.values.of == tuple(map(os.environ.get, self.variables)) and self.stamps == tuple(map(_stamp, self.files))

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


class _Hidden:
    """The values of variables, without a ``repr`` that shows them: the URL of a store may hold a password."""

    __slots__ = ("of",)

    def __init__(self, values: tuple[str | None, ...]) -> None:
        self.of = values


def _stamp(file: str) -> Stamp:
    try:
        found = os.stat(file)  # noqa: PTH116 - a Path would cost as much again
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
