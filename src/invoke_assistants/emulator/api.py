"""The embedded Agents API: it answers requests with a status and JSON, and keeps its agents in one file with its own lock."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

from ..errors import StoreError
from ..store import atomic_write
from ..store.file_lock import lock_file
from ..types import JSONObject, LocalModel, State
from .agent_models import Agent, AgentUpdate, fill_defaults, merge_update, request_fields
from .responder import Conversation, Responder
from .restore import restore_agents
from .sample_responder import SampleResponder
from .session_files import SessionFiles, SessionMemory
from .sessions import Sessions
from .validation import APIResponse, RequestError, paginate, parse_request, route_not_found

__all__ = ["EmbeddedAPI", "make_responder"]

RESERVED = ("", "automations", "environments", "vaults")  # other resources of the API below /agents, which are no ids


class EmbeddedAPI:
    """The API over the agents in a file; safe for several threads and processes.

    Args:
        path: the file. Its folder is created if it is missing; only its owner can read what it holds. None keeps agents and
            sessions in memory.
        clock: seconds since 1970, for ``created_at``.
        responder: answers in sessions; None means samples.
        accept: takes each new turn of a session before it begins; its ``RequestError`` refuses the turn.
    """

    def __init__(
        self,
        path: Path | None,
        clock: Callable[[], float] = time.time,
        responder: Responder | None = None,
        accept: Callable[[Conversation], None] | None = None,
    ) -> None:
        self.path = path
        self.clock = clock
        self._thread_lock = threading.Lock()
        self._preview: JSONObject | None = None  # what is served instead of the file while nothing may be written
        self._memory: bytes | None = None  # the content of the file, where there is none
        if path:
            atomic_write.restrict_to_owner(path.parent)
        sessions = SessionFiles(path.parent / "sessions") if path else SessionMemory()
        self._sessions = Sessions(sessions, self._retrieve, responder or SampleResponder(), clock, accept)

    def handle(
        self, method: str, path: str, query: Mapping[str, str], body: bytes, headers: Mapping[str, str] = MappingProxyType({})
    ) -> APIResponse:
        """Answer one request."""
        parts = path.removeprefix("/v1").strip("/").split("/")
        try:
            if parts[:2] == ["agents", "sessions"]:
                key = next((value for name, value in headers.items() if name.lower() == "idempotency-key"), None)
                return self._sessions.handle(method, parts[2:], query, body, key)
            return 200, self._route(method, parts, query, body)
        except RequestError as error:
            return error.response
        except Exception as error:
            return 500, {"error": {"message": f"{error}", "type": "server_error", "param": None, "code": None}}

    def _route(self, method: str, parts: list[str], query: Mapping[str, str], body: bytes) -> JSONObject:
        match method, *parts:
            case "GET", "agents":
                return self._list(query)
            case "POST", "agents":
                return self._create(parse_request(Agent, body))
            case "GET", "agents", id if id not in RESERVED:
                return self._retrieve(id)
            case "POST", "agents", id if id not in RESERVED:
                return self._update(id, parse_request(AgentUpdate, body))
            case "DELETE", "agents", id if id not in RESERVED:
                return self._delete(id)
            case "GET", "models", *name:
                return self._models(unquote("/".join(name)))
            case _:
                raise route_not_found(method, parts)

    def _models(self, name: str) -> JSONObject:
        """List the models that the agents name, newest first, or return the one with this name."""
        agents = sorted(self._read()["agents"].values(), key=lambda agent: -int(agent["created_at"]))
        created = {agent["model"]: agent["created_at"] for agent in agents}  # the oldest agent of a model comes last
        models = {id: {"id": id, "object": "model", "created": at, "owned_by": "local"} for id, at in created.items()}
        if not name:
            return {"object": "list", "data": [*models.values()][::-1]}
        if name not in models:
            raise RequestError(404, f"No agent has the model {name!r:.140}.", "model", "model_not_found")
        return models[name]

    def _list(self, query: Mapping[str, str]) -> JSONObject:
        agents = sorted(self._read()["agents"].values(), key=lambda agent: agent["created_at"])
        return paginate(agents, query, "agent")

    def _retrieve(self, id: str) -> JSONObject:
        return _find_agent(self._read(), id)

    def _create(self, request: AgentUpdate) -> JSONObject:
        fields = fill_defaults(request_fields(request))
        with self._transaction() as state:
            now = int(self.clock())
            agent = {"id": _new_id(state, fields["metadata"]), "object": "agent", "created_at": now, "updated_at": now, **fields}
            state["agents"][agent["id"]] = agent
        return agent

    def _update(self, id: str, request: AgentUpdate) -> JSONObject:
        with self._transaction() as state:
            before = _find_agent(state, id)
            fields = fill_defaults(merge_update(before, request_fields(request)))
            agent = {**before, **fields, "updated_at": int(self.clock())}
            state["agents"][id] = agent
        return agent

    def _delete(self, id: str) -> JSONObject:
        with self._transaction() as state:
            _find_agent(state, id)
            del state["agents"][id]
            state["deleted"].append(id)
        return {"id": id, "object": "agent.deleted", "deleted": True}

    def restore_agents(self, recorded: State, project: str, *, write: bool = True) -> list[str]:
        """Restore the agents that the store records but the file lacks, or holds under another tag.

        Deleted agents stay deleted.

        Args:
            recorded: the store's content.
            project: the project's name.
            write: whether to write the file; if not, this object serves the restored agents from memory.

        Returns:
            A line for each agent that was there under another tag.
        """
        state = self._read()
        restored = restore_agents(state, recorded, project, int(self.clock()))
        if restored and write:
            with self._transaction() as state:
                restored = restore_agents(state, recorded, project, int(self.clock()))
        elif restored:
            self._preview = state
        return [
            f"{name} in {environment}: the embedded platform held another payload than the store records;"
            f" {'it was put back' if write else 'shown as the store records it'}"
            for (name, environment), was_there in restored.items()
            if was_there
        ]

    def _read(self) -> JSONObject:
        if self._preview is not None:
            return self._preview
        content = atomic_write.read_bytes(self.path) if self.path else self._memory
        if content is None:
            return {"agents": {}, "deleted": [], "version": 1}
        state: Any = None
        try:
            state = json.loads(content)
            valid = state["version"] == 1 and isinstance(state["deleted"], list)
            valid = valid and all(agent["id"] == id and agent["created_at"] >= 0 for id, agent in state["agents"].items())
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            valid = False
        if not valid:
            raise StoreError(
                f"{self.path} is not a file of the embedded platform: remove it, and its objects are restored from the store"
            ) from None
        return dict(state)

    @contextmanager
    def _transaction(self) -> Generator[JSONObject]:
        """Yield the file's content under the lock; write it back unless the block raises."""
        with self._thread_lock, self._file_lock():
            state = self._read()
            yield state
            content = json.dumps(state, ensure_ascii=False, separators=(",", ":")).encode()
            if self.path:
                atomic_write.write_atomic(self.path, content, sync=False, private=True)
            else:
                self._memory = content

    def _file_lock(self) -> AbstractContextManager[None]:
        if self.path is None:
            return nullcontext()
        atomic_write.make_private_folder(self.path.parent)
        return lock_file(self.path, "the embedded platform", lambda _: None, private=True)


def make_responder(local_model: LocalModel | None) -> Responder:
    """What answers in sessions: a model, or samples where there is none."""
    if local_model is None:
        return SampleResponder()
    from .model_responder import ModelResponder

    return ModelResponder(local_model)


def _find_agent(state: JSONObject, id: str) -> JSONObject:
    agent: JSONObject | None = state["agents"].get(id)
    if agent is None:
        raise RequestError(404, f"No agent found with id {id!r:.140}.", code="not_found")
    return agent


def _new_id(state: JSONObject, metadata: Mapping[str, str]) -> str:
    """Derive the id from the agent's identity while that id is free, so that two clones of a project agree on it."""
    identity = [metadata.get(f"asst.{key}") for key in ("project", "name", "environment")]
    derived = "agent_" + hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:24]
    free = None not in identity and derived not in state["agents"] and derived not in state["deleted"]
    return derived if free else "agent_" + secrets.token_hex(12)
