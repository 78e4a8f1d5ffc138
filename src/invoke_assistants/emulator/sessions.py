"""The API's sessions: their requests, their turns under way in this process, and what is kept of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import StoreError
from ..types import JSONObject
from .agent_models import given, merged, resolved
from .event_stream import EventStream, Listeners
from .responder import Responder
from .session_files import SessionFiles
from .session_models import Cancel, Events, Message, SessionCreate, ToolResult
from .turn_worker import TurnWorker, added, new_id
from .validation import APIResponse, Rejected, page, parsed, unknown

__all__ = ["Sessions"]

KEYS = 100  # idempotency keys that a session remembers


class Sessions:
    """The sessions in a folder, and those of their turns that this process runs.

    A turn under way is known to its own process only: to others its session is idle until the turn is over.

    Args:
        files: where they are kept.
        agent: finds a saved agent by its id, or raises.
        answerer: who answers.
        clock: seconds since 1970.
    """

    def __init__(
        self, files: SessionFiles, agent: Callable[[str], JSONObject], responder: Responder, clock: Callable[[], float]
    ) -> None:
        self._files, self._agent, self._responder, self._clock = files, agent, responder, clock
        self._listeners = Listeners()
        self._running: dict[str, TurnWorker] = {}
        self._lock = threading.Lock()  # of what is running

    def handle(self, method: str, parts: Sequence[str], query: Mapping[str, str], body: bytes, key: str | None) -> APIResponse:
        """Answer a request below ``/agents/sessions``.

        Raises:
            Rejected: it cannot be served.
        """
        match method, *parts:
            case ["POST"]:
                return 200, self.create(body)
            case ["GET"]:
                return 200, self.found(query)
            case "GET", id:
                return 200, self.retrieve(id)
            case "DELETE", id:
                return 200, self.delete(id)
            case "GET", id, "events":
                return 200, self.listen(id)
            case "POST", id, "events":
                return 202, self.put(id, body, key)
            case "GET", id, ("items" | "turns") as what:
                return 200, self.listing(id, what, query)
            case "GET", id, "turns", turn_id:
                return 200, self.turn(id, turn_id)
            case "GET", id, "turns", turn_id, "items":
                return 200, self.listing(id, "items", query, turn_id)
            case _:
                raise unknown(method, ["agents", "sessions", *parts])

    def create(self, body: bytes) -> JSONObject | EventStream:
        """Begin a session and its first turn: the session, or its events until it is idle."""
        request = parsed(SessionCreate, body)
        if request.environment.get("type") != "none":
            message = "The embedded platform has sessions of environment type 'none' only."
            raise Rejected(400, message, "environment.type", "unsupported_value")
        for name in ("spend_control", "vault_ids"):
            if getattr(request, name):
                raise Rejected(400, f"The embedded platform does not support '{name}'.", name, "unsupported_parameter")
        agent = self._configured(request)
        if request.input is None:
            raise Rejected(400, "Missing required parameter: 'input'.", "input", "missing_required_parameter")
        state = self._new(request, agent)
        session = state["session"]
        with self._lock:  # before its file is there, so that nobody finds it idle
            turn = self._turn(state, [message.model_dump() for message in request.input])
        try:
            self._files.add(state)
        except StoreError:
            with self._lock:
                del self._running[session["id"]]
            raise
        begun = turn.session
        stream = self._listeners.listen(session["id"], "agent.session.idle") if request.stream else None
        turn.tell("created", {"session": begun})
        turn.start()
        return stream or begun

    def found(self, query: Mapping[str, str]) -> JSONObject:
        """A page of sessions, of one agent or with some metadata where the query says so."""
        states = sorted(filter(None, map(self._now, self._files.ids())), key=lambda state: float(state["at"]))
        sessions = [state["session"] for state in states]
        if "agent_id" in query:
            sessions = [session for session in sessions if session["agent"]["id"] == query["agent_id"]]
        for key, value in query.items():
            if key.startswith("metadata["):
                sessions = [session for session in sessions if session["metadata"].get(key[9:-1]) == value]
        return page(sessions, query, "session")

    def retrieve(self, id: str) -> JSONObject:
        """A session as it is now."""
        return dict(self._state(id)["session"])

    def delete(self, id: str) -> JSONObject:
        """Delete a session; its turn under way is cancelled and its streams end."""
        with self._lock:
            _existing(id, self._files.read(id))
            self._files.remove(id)
            if id in self._running:
                self._running[id].cancel()
        self._listeners.tell(id, None)
        return {"id": id, "object": "agent.session.deleted", "deleted": True}

    def listing(self, id: str, what: str, query: Mapping[str, str], turn_id: str | None = None) -> JSONObject:
        """A page of a session's ``items`` or ``turns``, or of the items of one turn."""
        objects = self._state(id)[what]
        if turn_id is not None:
            self.turn(id, turn_id)
            objects = [item for item in objects if item["turn_id"] == turn_id]
        return page(objects, query, what[:-1])

    def turn(self, id: str, turn_id: str) -> JSONObject:
        """One turn of a session."""
        for turn in self._state(id)["turns"]:
            if turn["id"] == turn_id:
                return dict(turn)
        raise Rejected(404, f"No turn found with id {turn_id!r:.140}.", code="not_found")

    def listen(self, id: str) -> EventStream:
        """What happens in a session from now on."""
        self._state(id)
        return self._listeners.listen(id)

    def put(self, id: str, body: bytes, key: str | None) -> JSONObject:
        """Take the user's events; the same idempotency key a second time does nothing."""
        request = parsed(Events, body)
        with self._lock:
            state = _existing(id, self._files.read(id))
            if key is not None and key in [*state["keys"], *(self._running[id].keys if id in self._running else ())]:
                return {}
            running = self._running.get(id)
            _check(request.events, running)
            keys = [] if key is None else [key]
            if running is not None:
                running.keys += keys  # before anything is done: that may end the turn, which keeps its keys then
            for event in request.events:
                self._take(state, event, keys)
        return {}

    def _take(self, state: JSONObject, event: Message | ToolResult | Cancel, keys: Sequence[str]) -> None:
        running = self._running.get(state["session"]["id"])
        if isinstance(event, Message):
            turn = self._turn(state, [message.model_dump() for message in event.input])
            turn.keys += keys
            turn.start()
        elif running is not None and isinstance(event, ToolResult):
            output = [part if isinstance(part, str) else part.model_dump() for part in event.output or ()]
            result = {
                "call_id": event.call_id, "status": "completed" if event.success else "failed", "error": event.error,
                "output": event.output if isinstance(event.output, str | None) else output,
            }  # fmt: skip
            running.put_result(event.call_id, result)
        elif running is not None:
            running.cancel()

    def _turn(self, state: JSONObject, messages: list[JSONObject]) -> TurnWorker:
        id = state["session"]["id"]
        turn = TurnWorker(state, messages, self._responder, self._clock, lambda event: self._listeners.tell(id, event), self._end)
        self._running[id] = turn
        return turn

    def _end(self, turn: TurnWorker, outcome: JSONObject) -> None:
        """Keep what a turn brought, then show that it is over: whoever sees an idle session finds all of it, and may go on."""
        over = {**turn.turn, **outcome}
        session: JSONObject = {**turn.session, "status": "idle", "required_actions": [], "last_active_at": over["completed_at"]}
        try:
            session = self._kept(turn, over, session)
        except (StoreError, ValueError) as error:  # a lone surrogate is a ValueError
            over |= {"status": "failed", "error": {"code": "internal_error", "message": str(error)}}
        with self._lock:
            del self._running[session["id"]]
            turn.tell(f"turn.{over['status']}", {"turn": over, "usage": over["usage"]})
            turn.tell("idle", {"session": session})

    def _kept(self, turn: TurnWorker, over: JSONObject, session: JSONObject) -> JSONObject:
        with self._files.changing(session["id"]) as state:
            if state is None:
                return session
            # What another process added meanwhile stays.
            usage = over["usage"]
            total = added(state["session"]["usage"], usage) if usage else state["session"]["usage"]
            state["session"] = {**session, "usage": total}
            state["items"] += turn.items
            state["turns"].append(over)
            state["keys"] = [*state["keys"], *turn.keys][-KEYS:]
            return dict(state["session"])

    def _state(self, id: str) -> JSONObject:
        return _existing(id, self._now(id))

    def _now(self, id: str) -> JSONObject | None:
        """A session with its turn under way in this process; None where there is none."""
        with self._lock:  # a turn that ends is in the file before it is no longer running
            state, turn = self._files.read(id), self._running.get(id)
            if state is None or turn is None:
                return state
            items, turns = [*turn.state["items"], *turn.items], [*turn.state["turns"], turn.turn]
            return {**state, "session": turn.session, "items": items, "turns": turns}

    def _configured(self, request: SessionCreate) -> JSONObject:
        saved = self._agent(request.agent_id) if request.agent_id is not None else None
        own = given(request.agent) if request.agent is not None else {}
        if saved is None and "model" not in own:
            raise Rejected(400, "Missing required parameter: 'agent.model'.", "agent.model", "missing_required_parameter")
        fields: JSONObject = resolved(merged(saved, own) if saved else own)
        del fields["metadata"]
        tools = [tool for tool in fields["tools"] if tool["type"] != "tool_search"]  # a session's agent has no such tool
        return {**fields, "id": saved["id"] if saved else new_id("agent"), "tools": tools}

    def _new(self, request: SessionCreate, agent: JSONObject) -> JSONObject:
        at = self._clock()
        session: dict[str, Any] = {
            "id": new_id("sess"), "object": "agent.session", "agent": agent, "created_at": int(at), "last_active_at": int(at),
            "environment": {"type": "none"}, "error": None, "metadata": request.metadata or {}, "required_actions": [],
            "status": "idle", "usage": None, "vault_ids": [], "review": request.review,
            "prompt_cache_options": request.prompt_cache_options and request.prompt_cache_options.model_dump(),
        }  # fmt: skip
        return {"version": 1, "at": at, "session": session, "items": [], "turns": [], "keys": []}


def _check(events: Sequence[Message | ToolResult | Cancel], running: TurnWorker | None) -> None:
    """Refuse a request of which one event cannot be carried out, before any is."""
    busy, given = running is not None, set[str]()
    for event in events:
        if isinstance(event, Message):
            if busy:
                message = "The session has a turn under way: wait until it is idle, or cancel the turn."
                raise Rejected(400, message, "events", "active_turn_not_steerable")
            busy = True
        elif isinstance(event, ToolResult):
            if running is None or event.call_id in given or not running.waits_for(event.turn_id, event.call_id):
                raise Rejected(400, f"Unknown pending tool call: {event.call_id}", "events", "invalid_request_error")
            given.add(event.call_id)


def _existing(id: str, state: JSONObject | None) -> JSONObject:
    if state is None:
        raise Rejected(404, f"No session found with id {id!r:.140}.", code="not_found")
    return state
