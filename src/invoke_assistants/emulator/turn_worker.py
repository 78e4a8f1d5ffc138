"""A turn under way: a thread that asks for the answer and tells what happens, event by event."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from typing import Any

from ..types import JSONObject
from .responder import Conversation, Failed, FunctionCall, Responder

__all__ = ["TurnWorker", "added", "new_id"]

Tell = Callable[[str, JSONObject], None]  # an event's type without "agent.session.", and its fields


class Cancelled(Exception):
    """The turn is to end."""


def new_id(kind: str) -> str:
    """An id that nothing else has."""
    return f"{kind}_{secrets.token_hex(12)}"


def added(before: JSONObject | None, more: JSONObject) -> JSONObject:
    """Two usages as one."""
    if before is None:
        return more
    return {key: added(before[key], value) if isinstance(value, dict) else before[key] + value for key, value in more.items()}


class _Message:
    """The assistant's message that is being written; the first piece of text opens it."""

    def __init__(self, turn_id: str, index: int, tell: Tell) -> None:
        self._tell = tell
        self._index = index
        self._text: list[str] = []
        self._item: JSONObject = {
            "id": new_id("msg"), "type": "message", "role": "assistant", "status": "in_progress", "phase": None,
            "content": [], "turn_id": turn_id,
        }  # fmt: skip

    def write(self, text: str) -> None:
        if not self._text:
            self._tell("turn.item.added", {"item": self._item, "output_index": self._index})
            self._part("content_part.added", part=_output(""))
        self._text.append(text)
        self._part("output_text.delta", delta=text)

    def end(self, status: str, phase: str) -> JSONObject | None:
        """Close it; None where nothing was written."""
        if not self._text:
            return None
        text = "".join(self._text)
        self._part("output_text.done", text=text)
        self._part("content_part.done", part=_output(text))
        item = {**self._item, "status": status, "phase": phase, "content": [_output(text)]}
        self._tell("turn.item.done", {"item": item, "output_index": self._index})
        return item

    def _part(self, type: str, **fields: Any) -> None:
        where = {"item_id": self._item["id"], "output_index": self._index, "content_index": 0}
        self._tell(f"turn.{type}", {**where, **fields})


def _output(text: str) -> JSONObject:
    return {"type": "output_text", "text": text}


class TurnWorker:
    """One turn of a session, running in a daemon thread of its own once it is started.

    Args:
        state: the session as it is kept.
        messages: the user's new messages, as the API takes them.
        answerer: who answers.
        clock: seconds since 1970.
        tell: takes every event but the last two.
        end: called in the turn's thread when it is over, with its ``status``, ``error`` and ``completed_at``; until then
            ``turn`` and ``session`` say that it is under way.
    """

    def __init__(
        self, state: JSONObject, messages: Sequence[JSONObject], responder: Responder, clock: Callable[[], float],
        tell: Callable[[JSONObject], None], end: Callable[[TurnWorker, JSONObject], None],
    ) -> None:  # fmt: skip
        self.id = new_id("turn")
        self.state = state
        self._responder, self._clock, self._listeners, self._end = responder, clock, tell, end
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
        self._outputs = 0
        self._message: _Message | None = None
        self._calls: dict[str, tuple[int, JSONObject]] = {}  # what waits for a result, with its place in the output
        self._results: dict[str, JSONObject] = {}
        self._changed = threading.Condition()
        self._cancelled = False

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, name=self.id, daemon=True).start()

    def cancel(self) -> None:
        """Let the turn end as soon as it notices."""
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()

    def waits_for(self, turn_id: str, call_id: str) -> bool:
        """Whether a call of this turn waits for a result."""
        with self._changed:
            return turn_id == self.id and call_id in self._calls and call_id not in self._results

    def put_result(self, call_id: str, result: JSONObject) -> None:
        """Take the result of a call that waits for one."""
        with self._changed:
            self._results[call_id] = result
            self._changed.notify_all()

    def tell(self, type: str, fields: JSONObject) -> None:
        """Tell the listeners of an event."""
        event = {"type": f"agent.session.{type}", "event_id": new_id("event"), **fields}
        if type.startswith("turn."):
            event |= {"session_id": self.session["id"], "turn_id": self.id}
        self._listeners(event)

    def _run(self) -> None:
        self.tell("in_progress", {"session": self.session})
        self.tell("turn.created", {"turn": self.turn})
        self.turn = {**self.turn, "status": "in_progress", "started_at": int(self._clock())}
        self.tell("turn.in_progress", {"turn": self.turn})
        status, error = self._outcome()
        self._end(self, {"status": status, "error": error, "completed_at": int(self._clock())})

    def _outcome(self) -> tuple[str, JSONObject | None]:
        try:
            self._answer()
        except Cancelled:
            self._abandon()
            return "cancelled", None
        except Failed as failed:
            self._abandon()
            return "failed", {"code": failed.code, "message": str(failed)}
        except Exception as error:
            self._abandon()
            return "failed", {"code": "internal_error", "message": f"{type(error).__name__}: {error}"}
        return "completed", None

    def _answer(self) -> None:
        while True:
            items = (*self.state["items"], *self.items)
            answered = self._responder.answer(
                Conversation(self.session["agent"], items, len(self.state["turns"]) + 1), self._write
            )
            self._count(answered.input_tokens, answered.output_tokens)
            self._close("completed", "commentary" if answered.calls else "final_answer")
            if not answered.calls:
                return
            self._call(answered.calls)

    def _write(self, text: str) -> None:
        if self._cancelled:
            raise Cancelled
        if self._message is None:
            self._message = _Message(self.id, self._outputs, self.tell)
        if text:
            self._message.write(text)

    def _close(self, status: str, phase: str) -> None:
        message, self._message = self._message, None
        if message is not None and (item := message.end(status, phase)) is not None:
            self.items.append(item)
            self._outputs += 1

    def _abandon(self) -> None:
        self._close("incomplete", "commentary")
        for index, item in self._calls.values():
            self._done(item, index, "incomplete")

    def _count(self, input_tokens: int, output_tokens: int) -> None:
        usage = {
            "input_tokens": input_tokens, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": input_tokens + output_tokens,
        }  # fmt: skip
        self.turn = {**self.turn, "usage": added(self.turn["usage"], usage)}

    def _call(self, calls: Sequence[FunctionCall]) -> None:
        """Ask for the functions' results, and wait until all are there."""
        items: list[JSONObject] = [
            {
                "id": new_id("fc"), "type": "function_call", "call_id": new_id("call"), "name": call.name,
                "arguments": call.arguments, "status": "in_progress", "turn_id": self.id,
            }
            for call in calls
        ]  # fmt: skip
        with self._changed:  # before anybody hears of them: a result may come at once
            self._results = {}
            self._calls = {item["call_id"]: (self._outputs + index, item) for index, item in enumerate(items)}
        self._outputs += len(items)
        for index, item in self._calls.values():
            self.tell("turn.item.added", {"item": item, "output_index": index})
        self._require(items)
        with self._changed:
            self._changed.wait_for(lambda: self._cancelled or len(self._results) == len(items))
            if self._cancelled:
                raise Cancelled
            calls_of, self._calls = self._calls, {}
        for index, item in calls_of.values():
            result = self._results[item["call_id"]]
            self._done(item, index, result["status"])
            self.items.append({**result, "id": new_id("fco"), "type": "function_call_output", "turn_id": self.id})
        self._set("in_progress", [])

    def _require(self, items: Sequence[JSONObject]) -> None:
        keys = ("type", "name", "call_id", "turn_id", "arguments")
        self._set("requires_action", [{key: item[key] for key in keys} for item in items])

    def _set(self, status: str, actions: list[JSONObject]) -> None:
        self.turn = {**self.turn, "status": "waiting" if actions else "in_progress"}
        self.session = {**self.session, "status": status, "required_actions": actions}
        self.tell(status, {"session": self.session})

    def _done(self, item: JSONObject, index: int, status: str) -> None:
        done = {**item, "status": status}
        self.items.append(done)
        self.tell("turn.item.done", {"item": done, "output_index": index})
