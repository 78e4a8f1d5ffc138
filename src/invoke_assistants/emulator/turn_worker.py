"""A turn in progress: a thread that asks the responder and publishes what happens as events."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from typing import Any

from ..types import JSONObject
from .responder import Conversation, FunctionCall, Responder, ResponderError

__all__ = ["TurnWorker", "add_usage", "new_id"]

Emit = Callable[[str, JSONObject], None]  # takes an event's type without "agent.session.", and its fields


class Cancelled(Exception):
    """The turn was cancelled."""


def new_id(kind: str) -> str:
    """Return a new, unique id."""
    return f"{kind}_{secrets.token_hex(12)}"


def add_usage(total: JSONObject | None, usage: JSONObject) -> JSONObject:
    """Add a usage to a total, key by key."""
    if total is None:
        return usage
    return {key: add_usage(total[key], value) if isinstance(value, dict) else total[key] + value for key, value in usage.items()}


class _MessageWriter:
    """Writes the assistant's message; the first piece of text opens it."""

    def __init__(self, turn_id: str, index: int, emit: Emit) -> None:
        self._emit = emit
        self._index = index
        self._text: list[str] = []
        self._item: JSONObject = {
            "id": new_id("msg"), "type": "message", "role": "assistant", "status": "in_progress", "phase": None,
            "content": [], "turn_id": turn_id,
        }  # fmt: skip

    def write(self, text: str) -> None:
        if not self._text:
            self._emit("turn.item.added", {"item": self._item, "output_index": self._index})
            self._emit_part("content_part.added", part=_text_part(""))
        self._text.append(text)
        self._emit_part("output_text.delta", delta=text)

    def close(self, status: str, phase: str) -> JSONObject | None:
        """Close the message; None if nothing was written."""
        if not self._text:
            return None
        text = "".join(self._text)
        self._emit_part("output_text.done", text=text)
        self._emit_part("content_part.done", part=_text_part(text))
        item = {**self._item, "status": status, "phase": phase, "content": [_text_part(text)]}
        self._emit("turn.item.done", {"item": item, "output_index": self._index})
        return item

    def _emit_part(self, type: str, **fields: Any) -> None:
        position = {"item_id": self._item["id"], "output_index": self._index, "content_index": 0}
        self._emit(f"turn.{type}", {**position, **fields})


def _text_part(text: str) -> JSONObject:
    return {"type": "output_text", "text": text}


class TurnWorker:
    """One turn of a session, in a daemon thread of its own once it is started.

    Args:
        state: the session as its file holds it.
        messages: the user's new messages, as the API takes them.
        responder: answers the turn.
        clock: seconds since 1970.
        publish: takes every event but the last two.
        on_end: called in the turn's thread when the turn is over, with its ``status``, ``error`` and ``completed_at``; until
            then ``turn`` and ``session`` say that it is in progress.
    """

    def __init__(
        self, state: JSONObject, messages: Sequence[JSONObject], responder: Responder, clock: Callable[[], float],
        publish: Callable[[JSONObject], None], on_end: Callable[[TurnWorker, JSONObject], None],
    ) -> None:  # fmt: skip
        self.id = new_id("turn")
        self.state = state
        self._responder, self._clock, self._publish, self._on_end = responder, clock, publish, on_end
        now = int(clock())
        self.session: JSONObject = {**state["session"], "status": "in_progress", "last_active_at": now}
        self.turn: JSONObject = {
            "id": self.id, "object": "agent.session.turn", "session_id": self.session["id"], "subagent_id": None,
            "agent_id": self.session["agent"]["id"], "status": "queued", "error": None, "usage": None,
            "created_at": now, "started_at": None, "completed_at": None,
        }  # fmt: skip
        self.items: list[JSONObject] = [
            {"id": new_id("msg"), "status": "completed", "phase": None, "turn_id": self.id, **message} for message in messages
        ]
        self.keys: list[str] = []
        self._outputs = 0  # items of the output so far
        self._message: _MessageWriter | None = None
        self._calls: dict[str, tuple[int, JSONObject]] = {}  # calls that wait for a result, with their index in the output
        self._results: dict[str, JSONObject] = {}
        self._changed = threading.Condition()
        self._cancelled = False

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name=self.id, daemon=True).start()

    def cancel(self) -> None:
        """Make the turn end as soon as it notices."""
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()

    def waits_for(self, turn_id: str, call_id: str) -> bool:
        """Whether a call of this turn waits for a result."""
        with self._changed:
            return turn_id == self.id and call_id in self._calls and call_id not in self._results

    def add_result(self, call_id: str, result: JSONObject) -> None:
        """Take the result of a call that waits for one."""
        with self._changed:
            self._results[call_id] = result
            self._changed.notify_all()

    def emit(self, type: str, fields: JSONObject) -> None:
        """Publish an event."""
        event = {"type": f"agent.session.{type}", "event_id": new_id("event"), **fields}
        if type.startswith("turn."):
            event |= {"session_id": self.session["id"], "turn_id": self.id}
        self._publish(event)

    def _run(self) -> None:
        self.emit("in_progress", {"session": self.session})
        self.emit("turn.created", {"turn": self.turn})
        self.turn = {**self.turn, "status": "in_progress", "started_at": int(self._clock())}
        self.emit("turn.in_progress", {"turn": self.turn})
        status, error = self._run_to_end()
        self._on_end(self, {"status": status, "error": error, "completed_at": int(self._clock())})

    def _run_to_end(self) -> tuple[str, JSONObject | None]:
        """Answer; return the turn's final status and its error."""
        try:
            self._answer()
        except Cancelled:
            self._abandon()
            return "cancelled", None
        except ResponderError as error:
            self._abandon()
            return "failed", {"code": error.code, "message": str(error)}
        except Exception as error:
            self._abandon()
            return "failed", {"code": "internal_error", "message": f"{type(error).__name__}: {error}"}
        return "completed", None

    def conversation(self) -> Conversation:
        """The conversation so far, this turn included."""
        items = (*self.state["items"], *self.items)
        return Conversation(self.session["agent"], items, len(self.state["turns"]) + 1, self.session)

    def _answer(self) -> None:
        while True:
            answer = self._responder.answer(self.conversation(), self._write)
            self._count_tokens(answer.input_tokens, answer.output_tokens)
            self._close_message("completed", "commentary" if answer.calls else "final_answer")
            if not answer.calls:
                return
            self._call_functions(answer.calls)

    def _write(self, text: str) -> None:
        if self._cancelled:
            raise Cancelled
        if self._message is None:
            self._message = _MessageWriter(self.id, self._outputs, self.emit)
        if text:
            self._message.write(text)

    def _close_message(self, status: str, phase: str) -> None:
        message, self._message = self._message, None
        if message is not None and (item := message.close(status, phase)) is not None:
            self.items.append(item)
            self._outputs += 1

    def _abandon(self) -> None:
        self._close_message("incomplete", "commentary")
        for index, item in self._calls.values():
            self._close_call(item, index, "incomplete")

    def _count_tokens(self, input_tokens: int, output_tokens: int) -> None:
        usage = {
            "input_tokens": input_tokens, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": input_tokens + output_tokens,
        }  # fmt: skip
        self.turn = {**self.turn, "usage": add_usage(self.turn["usage"], usage)}

    def _call_functions(self, calls: Sequence[FunctionCall]) -> None:
        """Request the calls' results and wait for all of them."""
        items: list[JSONObject] = [
            {
                "id": new_id("fc"), "type": "function_call", "call_id": new_id("call"), "name": call.name,
                "arguments": call.arguments, "status": "in_progress", "turn_id": self.id,
            }
            for call in calls
        ]  # fmt: skip
        with self._changed:  # before any event about them, since a result may come at once
            self._results = {}
            self._calls = {item["call_id"]: (self._outputs + index, item) for index, item in enumerate(items)}
        self._outputs += len(items)
        for index, item in self._calls.values():
            self.emit("turn.item.added", {"item": item, "output_index": index})
        keys = ("type", "name", "call_id", "turn_id", "arguments")
        self._set_status("requires_action", [{key: item[key] for key in keys} for item in items])
        with self._changed:
            self._changed.wait_for(lambda: self._cancelled or len(self._results) == len(items))
            if self._cancelled:
                raise Cancelled
            answered, self._calls = self._calls, {}
        for index, item in answered.values():
            result = self._results[item["call_id"]]
            self._close_call(item, index, result["status"])
            self.items.append({**result, "id": new_id("fco"), "type": "function_call_output", "turn_id": self.id})
        self._set_status("in_progress", [])

    def _set_status(self, status: str, actions: list[JSONObject]) -> None:
        self.turn = {**self.turn, "status": "waiting" if actions else "in_progress"}
        self.session = {**self.session, "status": status, "required_actions": actions}
        self.emit(status, {"session": self.session})

    def _close_call(self, item: JSONObject, index: int, status: str) -> None:
        closed = {**item, "status": status}
        self.items.append(closed)
        self.emit("turn.item.done", {"item": closed, "output_index": index})
