"""The sessions of the embedded API: their requests, and their turns in progress."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from ..errors import StoreError
from ..types import JSONObject
from .agent_models import fill_defaults, merge_update, request_fields
from .event_stream import EventStream, Listeners
from .responder import Conversation, Responder
from .session_files import SessionFiles, SessionMemory
from .session_models import Cancel, Events, Message, SessionCreate, ToolResult
from .turn_worker import TurnWorker, add_usage, new_id
from .validation import APIResponse, RequestError, paginate, parse_request, route_not_found

__all__ = ["Sessions"]

MAX_KEYS = 100  # idempotency keys that a session remembers


class Sessions:
    """The sessions in a folder, and those of their turns that run in this process.

    Only its own process knows of a turn in progress; other processes see an idle session until the turn is over.

    Args:
        files: the sessions on disk, or in memory.
        find_agent: returns a saved agent by its id, or raises ``RequestError``.
        responder: answers in every session.
        clock: seconds since 1970.
        accept: takes each new turn before it begins; its ``RequestError`` refuses the turn.
    """

    def __init__(
        self,
        files: SessionFiles | SessionMemory,
        find_agent: Callable[[str], JSONObject],
        responder: Responder,
        clock: Callable[[], float],
        accept: Callable[[Conversation], None] | None,
    ) -> None:
        self._accept = accept
        self._files, self._find_agent, self._responder, self._clock = files, find_agent, responder, clock
        self._listeners = Listeners()
        self._running: dict[str, TurnWorker] = {}
        self._lock = threading.Lock()  # of _running

    def handle(self, method: str, parts: Sequence[str], query: Mapping[str, str], body: bytes, key: str | None) -> APIResponse:
        """Answer a request below ``/agents/sessions``; ``key`` is its idempotency key.

        Raises:
            RequestError: the request is refused.
        """
        match method, *parts:
            case ["POST"]:
                return 200, self._create(body)
            case "DELETE", id:
                return 200, self._delete(id)
            case "POST", id, "events":
                return 202, self._take_events(id, body, key)
            case "GET", id, "events":
                return 200, self._listen(id)
            case "GET", *_:
                return 200, self._read(parts, query)
            case _:
                raise route_not_found(method, ["agents", "sessions", *parts])

    def _read(self, parts: Sequence[str], query: Mapping[str, str]) -> JSONObject:
        match parts:
            case []:
                return self._list(query)
            case [id]:
                return dict(self._state(id)["session"])
            case id, ("items" | "turns") as key:
                return paginate(self._state(id)[key], query, key[:-1])
            case id, "turns", turn_id:
                return _find_turn(self._state(id), turn_id)
            case id, "turns", turn_id, "items":
                state = self._state(id)
                _find_turn(state, turn_id)
                return paginate([item for item in state["items"] if item["turn_id"] == turn_id], query, "item")
            case _:
                raise route_not_found("GET", ["agents", "sessions", *parts])

    def _create(self, body: bytes) -> JSONObject | EventStream:
        """Create a session and start its first turn; return the session, or its events until it is idle."""
        request = parse_request(SessionCreate, body)
        _refuse_unsupported(request)
        agent = self._session_agent(request)
        if request.input is None:
            raise RequestError(400, "Missing required parameter: 'input'.", "input", "missing_required_parameter")
        state = self._new_state(request, agent)
        session = state["session"]
        with self._lock:  # before the file exists, so that nobody finds the session idle
            turn = self._add_turn(state, [message.model_dump() for message in request.input])
        try:
            self._files.add(state)
        except StoreError:
            with self._lock:
                del self._running[session["id"]]
            raise
        created = turn.session
        stream = self._listeners.listen(session["id"], "agent.session.idle") if request.stream else None
        turn.emit("created", {"session": created})
        turn.start()
        return stream or created

    def _session_agent(self, request: SessionCreate) -> JSONObject:
        """The agent of a new session: a saved one, one in the request, or a saved one with changes."""
        saved = self._find_agent(request.agent_id) if request.agent_id is not None else None
        changes = request_fields(request.agent) if request.agent is not None else {}
        if saved is None and "model" not in changes:
            raise RequestError(400, "Missing required parameter: 'agent.model'.", "agent.model", "missing_required_parameter")
        fields = fill_defaults(merge_update(saved, changes) if saved else changes)
        del fields["metadata"]
        tools = [tool for tool in fields["tools"] if tool["type"] != "tool_search"]  # a session's agent has no such tool
        return {**fields, "id": saved["id"] if saved else new_id("agent"), "tools": tools}

    def _new_state(self, request: SessionCreate, agent: JSONObject) -> JSONObject:
        at = self._clock()
        session: JSONObject = {
            "id": new_id("sess"), "object": "agent.session", "agent": agent, "created_at": int(at), "last_active_at": int(at),
            "environment": {"type": "none"}, "error": None, "metadata": request.metadata or {}, "required_actions": [],
            "status": "idle", "usage": None, "vault_ids": [], "review": request.review,
            "prompt_cache_options": request.prompt_cache_options and request.prompt_cache_options.model_dump(),
        }  # fmt: skip
        return {"version": 1, "at": at, "session": session, "items": [], "turns": [], "keys": []}

    def _list(self, query: Mapping[str, str]) -> JSONObject:
        """Return a page of sessions; ``agent_id`` and ``metadata[KEY]`` of the query filter them."""
        states = sorted(filter(None, map(self._current_state, self._files.ids())), key=lambda state: float(state["at"]))
        sessions = [state["session"] for state in states]
        if "agent_id" in query:
            sessions = [session for session in sessions if session["agent"]["id"] == query["agent_id"]]
        for key, value in query.items():
            if key.startswith("metadata["):
                sessions = [session for session in sessions if session["metadata"].get(key[9:-1]) == value]
        return paginate(sessions, query, "session")

    def _delete(self, id: str) -> JSONObject:
        """Delete a session, cancel its turn and end its streams."""
        with self._lock:
            _require_session(id, self._files.read(id))
            self._files.remove(id)
            if id in self._running:
                self._running[id].cancel()
        self._listeners.publish(id, None)
        return {"id": id, "object": "agent.session.deleted", "deleted": True}

    def _listen(self, id: str) -> EventStream:
        self._state(id)
        return self._listeners.listen(id)

    def _take_events(self, id: str, body: bytes, key: str | None) -> JSONObject:
        """Take the user's events; a repeated idempotency key does nothing."""
        request = parse_request(Events, body)
        with self._lock:
            state = _require_session(id, self._files.read(id))
            running = self._running.get(id)
            if key is not None and key in [*state["keys"], *(running.keys if running else ())]:
                return {}
            _check_events(request.events, running)
            keys = [] if key is None else [key]
            if running is not None:
                running.keys += keys  # first, since an event may end the turn, which then saves its keys
            for event in request.events:
                self._take_event(state, event, keys)
        return {}

    def _take_event(self, state: JSONObject, event: Message | ToolResult | Cancel, keys: Sequence[str]) -> None:
        running = self._running.get(state["session"]["id"])
        if isinstance(event, Message):
            turn = self._add_turn(state, [message.model_dump() for message in event.input])
            turn.keys += keys
            turn.start()
        elif running is not None and isinstance(event, ToolResult):
            output = event.output
            running.add_result(event.call_id, {
                "call_id": event.call_id, "status": "completed" if event.success else "failed", "error": event.error,
                "output": output if isinstance(output, str | None) else [part.model_dump() for part in output],
            })  # fmt: skip
        elif running is not None:
            running.cancel()

    def _add_turn(self, state: JSONObject, messages: list[JSONObject]) -> TurnWorker:
        id = state["session"]["id"]
        publish = partial(self._listeners.publish, id)
        turn = TurnWorker(state, messages, self._responder, self._clock, publish, self._finish_turn)
        if self._accept:
            self._accept(turn.conversation())
        self._running[id] = turn
        return turn

    def _finish_turn(self, turn: TurnWorker, outcome: JSONObject) -> None:
        """Save a turn, then publish that it is over, so that whoever sees an idle session finds the whole turn and can go on."""
        finished = {**turn.turn, **outcome}
        idle: JSONObject = {"status": "idle", "required_actions": [], "last_active_at": finished["completed_at"]}
        session = {**turn.session, **idle}
        try:
            session = self._save_turn(turn, finished, session)
        except (StoreError, ValueError) as error:  # a lone surrogate is a ValueError
            finished |= {"status": "failed", "error": {"code": "internal_error", "message": str(error)}}
        with self._lock:
            del self._running[session["id"]]
            turn.emit(f"turn.{finished['status']}", {"turn": finished, "usage": finished["usage"]})
            turn.emit("idle", {"session": session})

    def _save_turn(self, turn: TurnWorker, finished: JSONObject, session: JSONObject) -> JSONObject:
        """Add a turn to its session's file; return the session as it is saved."""
        with self._files.transaction(session["id"]) as state:
            if state is None:
                return session
            # What other processes have added to the file in the meantime stays.
            usage, total = finished["usage"], state["session"]["usage"]
            state["session"] = {**session, "usage": add_usage(total, usage) if usage else total}
            state["items"] += turn.items
            state["turns"].append(finished)
            state["keys"] = [*state["keys"], *turn.keys][-MAX_KEYS:]
            return dict(state["session"])

    def _state(self, id: str) -> JSONObject:
        return _require_session(id, self._current_state(id))

    def _current_state(self, id: str) -> JSONObject | None:
        """Return a session with its turn in progress; None if there is no such session."""
        with self._lock:  # a turn is in the file before it leaves _running
            state, turn = self._files.read(id), self._running.get(id)
            if state is None or turn is None:
                return state
            items, turns = [*turn.state["items"], *turn.items], [*turn.state["turns"], turn.turn]
            return {**state, "session": turn.session, "items": items, "turns": turns}


def _refuse_unsupported(request: SessionCreate) -> None:
    if request.environment.get("type") != "none":
        message = "The embedded platform has sessions of environment type 'none' only."
        raise RequestError(400, message, "environment.type", "unsupported_value")
    for name in ("spend_control", "vault_ids"):
        if getattr(request, name):
            raise RequestError(400, f"The embedded platform does not support '{name}'.", name, "unsupported_parameter")


def _check_events(events: Sequence[Message | ToolResult | Cancel], running: TurnWorker | None) -> None:
    """Refuse all events of a request if one of them is not possible."""
    busy, answered = running is not None, set[str]()
    for event in events:
        if isinstance(event, Message):
            if busy:
                message = "The session has a turn under way: wait until it is idle, or cancel the turn."
                raise RequestError(400, message, "events", "active_turn_not_steerable")
            busy = True
        elif isinstance(event, ToolResult):
            if running is None or event.call_id in answered or not running.waits_for(event.turn_id, event.call_id):
                raise RequestError(400, f"Unknown pending tool call: {event.call_id}", "events", "invalid_request_error")
            answered.add(event.call_id)


def _require_session(id: str, state: JSONObject | None) -> JSONObject:
    if state is None:
        raise RequestError(404, f"No session found with id {id!r:.140}.", code="not_found")
    return state


def _find_turn(state: JSONObject, id: str) -> JSONObject:
    for turn in state["turns"]:
        if turn["id"] == id:
            return dict(turn)
    raise RequestError(404, f"No turn found with id {id!r:.140}.", code="not_found")
