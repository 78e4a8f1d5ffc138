"""The lock that a run holds as a record in the document of a shared store, and how long it may count on holding it."""

from __future__ import annotations

import getpass
import os
import secrets
import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..errors import StoreError
from ..text import one_line
from ..types import JSONObject
from .document import Document

__all__ = ["CONFIRMED_FOR", "Lease", "clock", "describe_lock", "job_url", "lock_of"]

CONFIRMED_FOR = 15.0  # seconds after a renewal in which no other run can have taken the lock over


class Lease:
    """The lock of one run.

    Attributes:
        id: of the lock; no other run has it.
        lost: how the lock was lost; None while nothing says that it was.
    """

    def __init__(self, command: str) -> None:
        self.id = secrets.token_hex(8)
        self.lost: str | None = None
        self._confirmed_at = float("-inf")
        self._entry: JSONObject = {
            "id": self.id,
            "who": _user(),
            "host": socket.gethostname(),
            "command": command,
            "since": _now("seconds"),
            "job": job_url(os.environ),
        }

    @property
    def confirmed(self) -> bool:
        """Whether the last renewal is so young that no other run can have taken the lock over."""
        return self.lost is None and clock() - self._confirmed_at < CONFIRMED_FOR

    def entry(self) -> JSONObject:
        """The record of the lock, renewed now."""
        return {**self._entry, "renewed": _now("microseconds")}

    def look(self, document: Document) -> None:
        """Note what a document says of this lock.

        Raises:
            StoreError: the document is gone.
        """
        if document.tables is None:
            raise StoreError(f"{document.label}: the store has disappeared during this run")
        lock = lock_of(document.tables)
        if lock is None:
            self.lost = f"the lock {self.id} of this run was released by somebody else"
        elif lock.get("id") != self.id:
            self.lost = f"the lock of this run was taken over: {describe_lock(lock)}"

    def renewed(self, about: Mapping[str, Any]) -> dict[str, JSONObject]:
        """The lock of the document to write; what another run holds stays as it is."""
        return {} if self.lost or "lock" not in about else {"lock": self.entry()}

    def confirm(self, began: float) -> None:
        """Note that a write that began at a time of ``clock`` has renewed the lock."""
        if self.lost is None:
            self._confirmed_at = began


def lock_of(tables: Mapping[str, Any]) -> JSONObject | None:
    """The lock in the tables of a store."""
    lock: JSONObject | None = tables.get("store", {}).get("lock")
    return lock


def describe_lock(lock: JSONObject) -> str:
    """Who holds a lock, for people."""
    job = f", {lock['job']}" if lock.get("job") else ""
    text = f"held by {lock.get('command')} ({lock.get('who')} on {lock.get('host')}, since {lock.get('since')}{job})"
    return f"{one_line(text)[:400]}, lock {one_line(str(lock['id']))[:40]}"


def clock() -> float:
    """Seconds on a clock that goes on while the machine is suspended, and that nobody sets."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.clock_gettime(time.CLOCK_MONOTONIC) if hasattr(time, "CLOCK_MONOTONIC") else time.monotonic()


def job_url(environ: Mapping[str, str]) -> str | None:
    """The URL of the CI job that this process runs in; None where there is none."""
    for variable in ("CI_JOB_URL", "BUILDKITE_BUILD_URL", "CIRCLE_BUILD_URL", "TRAVIS_JOB_WEB_URL", "DRONE_BUILD_LINK"):
        if url := environ.get(variable):
            job = environ.get("BUILDKITE_JOB_ID") if variable.startswith("BUILDKITE") else None
            return f"{url}#{job}" if job else url
    if "GITHUB_RUN_ID" in environ:
        server, repository = environ.get("GITHUB_SERVER_URL", "https://github.com"), environ.get("GITHUB_REPOSITORY", "")
        return f"{server}/{repository}/actions/runs/{environ['GITHUB_RUN_ID']}"
    if "SYSTEM_COLLECTIONURI" in environ:  # Azure Pipelines
        project, build = environ.get("SYSTEM_TEAMPROJECT", ""), environ.get("BUILD_BUILDID", "")
        return f"{environ['SYSTEM_COLLECTIONURI']}{project}/_build/results?buildId={build}"
    if "BITBUCKET_BUILD_NUMBER" in environ:
        origin = environ.get("BITBUCKET_GIT_HTTP_ORIGIN", "")
        return f"{origin}/pipelines/results/{environ['BITBUCKET_BUILD_NUMBER']}"
    return environ.get("BUILD_URL") if "JENKINS_URL" in environ else None


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


def _now(precision: str) -> str:
    return datetime.now(UTC).isoformat(timespec=precision).replace("+00:00", "Z")
