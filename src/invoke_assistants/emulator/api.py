"""The embedded Agents API itself: requests in, status and JSON out, its objects in one file with a lock of its own."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

from ..errors import StoreError
from ..store import files
from ..types import JSONObject, LocalModel, State
from .agent_models import Agent, AgentUpdate, given, merged, resolved
from .responder import Responder
from .restore import put_back
from .sample_responder import SampleResponder
from .session_files import SessionFiles
from .sessions import Sessions
from .validation import APIResponse, Rejected, page, parsed, unknown

__all__ = ["EmbeddedAPI"]

OTHERS = ("", "automations", "environments", "vaults")  # what else the API has below /agents; no ids


class EmbeddedAPI:
    """The API over the objects in a file; safe to call from several threads and processes.

    Args:
        path: the file; its folder is made where it is lacking, and is for its owner alone with all that is in it.
        clock: seconds since 1970, for ``created_at``.
        local_model: who answers in sessions; samples where it is None.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time, local_model: LocalModel | None = None) -> None:
        self.path = path
        self.clock = clock
        self._thread_lock = threading.Lock()
        self._shown: JSONObject | None = None  # instead of the file, where nothing may be written
        files.restrict_to_owner(path.parent)
        kept = SessionFiles(path.parent / "sessions")
        self._sessions = Sessions(kept, lambda one: _found(self._read(), one), self._responder(local_model), clock)

    @staticmethod
    def _responder(local_model: LocalModel | None) -> Responder:
        if local_model is None:
            return SampleResponder()
        from .model_responder import ModelResponder

        return ModelResponder(local_model)

    def handle(
        self, method: str, path: str, query: Mapping[str, str], body: bytes, headers: Mapping[str, str] = MappingProxyType({})
    ) -> APIResponse:
        """Answer one request: the status, and the JSON of the body or its events."""
        parts = path.removeprefix("/v1").strip("/").split("/")
        try:
            if parts[:2] == ["agents", "sessions"]:
                key = next((value for name, value in headers.items() if name.lower() == "idempotency-key"), None)
                return self._sessions.handle(method, parts[2:], query, body, key)
            return 200, self._route(method, parts, query, body)
        except Rejected as rejected:
            return rejected.answer
        except Exception as error:
            return 500, {"error": {"message": f"{error}", "type": "server_error", "param": None, "code": None}}

    def _route(self, method: str, parts: list[str], query: Mapping[str, str], body: bytes) -> JSONObject:
        if parts == ["agents"] and method == "GET":
            return self._list(query)
        if parts == ["agents"] and method == "POST":
            return self._create(parsed(Agent, body))
        if len(parts) == 2 and parts[0] == "agents" and parts[1] not in OTHERS and method in ("GET", "POST", "DELETE"):
            if method == "GET":
                return _found(self._read(), parts[1])
            return self._delete(parts[1]) if method == "DELETE" else self._update(parts[1], parsed(AgentUpdate, body))
        if parts[0] == "models" and method == "GET":
            return self._models(unquote("/".join(parts[1:])))
        raise unknown(method, parts)

    def _models(self, id: str) -> JSONObject:
        """The models that the agents name, oldest first, or the one of an id that is not empty."""
        agents = sorted(self._read()["agents"].values(), key=lambda agent: -int(agent["created_at"]))
        first = {agent["model"]: agent["created_at"] for agent in agents}
        models = {name: {"id": name, "object": "model", "created": at, "owned_by": "local"} for name, at in first.items()}
        if not id:
            return {"object": "list", "data": [*models.values()][::-1]}
        if id not in models:
            raise Rejected(404, f"No agent has the model {id!r:.140}.", "model", "model_not_found")
        return models[id]

    def _list(self, query: Mapping[str, str]) -> JSONObject:
        agents = sorted(self._read()["agents"].values(), key=lambda agent: agent["created_at"])
        return page(agents, query, "agent")

    def _create(self, request: AgentUpdate) -> JSONObject:
        fields = resolved(given(request))
        with self._changing() as state:
            now = int(self.clock())
            agent = {"id": _new_id(state, fields["metadata"]), "object": "agent", "created_at": now, "updated_at": now, **fields}
            state["agents"][agent["id"]] = agent
        return agent

    def _update(self, id: str, request: AgentUpdate) -> JSONObject:
        with self._changing() as state:
            before = _found(state, id)
            agent = {**before, **resolved(merged(before, given(request))), "updated_at": int(self.clock())}
            state["agents"][id] = agent
        return agent

    def _delete(self, id: str) -> JSONObject:
        with self._changing() as state:
            _found(state, id)
            del state["agents"][id]
            state["deleted"].append(id)
        return {"id": id, "object": "agent.deleted", "deleted": True}

    def put_back(self, recorded: State, project: str, *, write: bool = True) -> list[str]:
        """Make the store's instances that the file lacks, or holds under another tag, as they are recorded.

        Those deleted here stay deleted.

        Args:
            write: into the file; else from here on this service only shows them so.

        Returns:
            A line for each that was there under another tag.
        """
        state = self._read()
        made = put_back(state, recorded, project, int(self.clock()))
        if made and write:
            with self._changing() as state:
                made = put_back(state, recorded, project, int(self.clock()))
        elif made:
            self._shown = state
        return [
            f"{name} in {environment}: on local it was under another tag than the store's; {'brought' if write else 'shown'} as"
            " the store records it"
            for (name, environment), was_there in made.items()
            if was_there
        ]

    def _read(self) -> JSONObject:
        if self._shown is not None:
            return self._shown
        content = files.read_bytes(self.path)
        if content is None:
            return {"agents": {}, "deleted": [], "version": 1}
        state: Any = None
        try:
            state = json.loads(content)
            ours = state["version"] == 1 and isinstance(state["deleted"], list)
            ours = ours and all(agent["id"] == id and agent["created_at"] >= 0 for id, agent in state["agents"].items())
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            ours = False
        if not ours:
            raise StoreError(
                f"{self.path} is not the embedded platform's: remove it, and the store puts its objects back"
            ) from None
        return dict(state)

    @contextmanager
    def _changing(self) -> Generator[JSONObject]:
        """The state under the lock, written back at the end unless something was raised."""
        with self._thread_lock:
            files.make_private_folder(self.path.parent)
            with files.lock_file(self.path, "the embedded platform", lambda _: None, private=True):
                state = self._read()
                yield state
                content = json.dumps(state, ensure_ascii=False, separators=(",", ":"))
                files.write_atomic(self.path, content.encode(), sync=False, private=True)


def _found(state: JSONObject, id: str) -> JSONObject:
    agent: JSONObject | None = state["agents"].get(id)
    if agent is None:
        raise Rejected(404, f"No agent found with id {id!r:.140}.", code="not_found")
    return agent


def _new_id(state: JSONObject, metadata: Mapping[str, str]) -> str:
    """Derived from whose instance it is while that id is free, so that two clones of a project agree on it."""
    identity = [metadata.get(f"asst.{key}") for key in ("project", "name", "environment")]
    derived = "agent_" + hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:24]
    free = None not in identity and derived not in state["agents"] and derived not in state["deleted"]
    return derived if free else "agent_" + secrets.token_hex(12)
