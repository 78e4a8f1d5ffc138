"""The state of a process that asks what the app declares: every assistant counts as created, on an embedded API in memory."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

from ..config.root import find_root
from ..config.settings import Settings
from ..config.sources import Sources, Variables
from ..declare.declaration import Declaration
from ..declare.digest import digest
from ..declare.payload import build_payload, find_problems
from ..emulator.api import EmbeddedAPI
from ..emulator.scripted_responder import ScriptedResponder
from ..emulator.transport import Transport
from ..errors import DeclarationError
from ..types import LOCAL, Desired, LocalModel, Record, State
from .clients import Clients
from .instance import Instance
from .process_cache import ProcessCache

__all__ = ["DeclaredProcess"]

PROJECT = "declared"  # the namespace of the tags, whatever the project is called
TOO_LONG = "3600"  # seconds to wait before a retry, more than the run time ever waits


class DeclaredProcess(ProcessCache):
    """Asks the assistants that are declared; reads no store, no ``.env`` file and no variable but ``ASST_ROOT``.

    Of the project, if there is one, only its ``pyproject.toml`` is read, for its environments; the first one is the current.

    Args:
        make_responder: makes what answers every question; a forked child makes one again.
    """

    def __init__(self, make_responder: Callable[[], ScriptedResponder]) -> None:
        super().__init__()
        self._make_responder = make_responder
        self._settings: Settings | None = None
        self._instances: dict[tuple[Declaration[Any], str], Instance] = {}
        self._lock = threading.Lock()

    def instance(self, assistant: Declaration[Any], environment: str | None, root: Path | None) -> Instance:
        """See ``ProcessCache``; no assistant is ever not created.

        Raises:
            SettingsError: ``pyproject.toml`` is wrong, or there is no such environment.
            DeclarationError: the assistant cannot be created.
        """
        with self._lock:
            settings = self._settings = self._settings or _read_settings()
            here = settings.environment(environment or settings.environments[0].name)
            if (assistant, here.name) not in self._instances:
                record, recorded = _record(assistant, here.name)
                self._instances[assistant, here.name] = Instance(settings, recorded, here, record)
            return self._instances[assistant, here.name]

    async def ainstance(self, assistant: Declaration[Any], environment: str | None, root: Path | None) -> Instance:
        """As ``instance``; it waits for nothing."""
        return self.instance(assistant, environment, root)

    def make_clients(self) -> Clients:
        """Make the clients; what they ask is answered by the responder."""
        responder = self._make_responder()
        transport = _Transport(EmbeddedAPI(None, responder=responder, accept=responder.accept))

        def open_embedded(file: Path, model: LocalModel | None) -> Transport:
            return transport

        return Clients(open_embedded)

    def renewed(self) -> DeclaredProcess:
        """The state of a forked child: its questions have the same answers."""
        return DeclaredProcess(self._make_responder)


class _Transport(Transport):
    """Asks to wait where a request is one too many, and so long that the run time does not: a test waits for no retry."""

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        response = super()._answer(request)
        if response.status_code == 429:
            response.headers["Retry-After"] = TOO_LONG
        return response


def _read_settings() -> Settings:
    named = os.environ.get("ASST_ROOT")
    root = Path(named) if named and Path(named).is_dir() else find_root(Path.cwd(), needed=False)
    variables = Variables({"ASST_PLATFORM": "local", "ASST_PROJECT": PROJECT})
    return Settings.from_sources(Sources.read(root, variables, dotenv=False), None)


def _record(assistant: Declaration[Any], environment: str) -> tuple[Record, State]:
    """A record of an assistant as it is declared, and a store with it alone."""
    payload = build_payload(assistant, environment)
    desired = Desired(assistant.name, environment, 0, LOCAL, PROJECT, payload, digest(payload))
    if problem := next(iter(find_problems(assistant, desired)), None):
        raise DeclarationError(f"{desired.title}: {problem}: run inv asst.check")
    id = "agent_" + hashlib.sha256(desired.remote_name.encode()).hexdigest()[:24]
    record = Record(id, LOCAL, desired.digest)
    return record, State({desired.key: record}, {record.digest: payload})
