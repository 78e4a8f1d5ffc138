"""The Agents API in memory, as far as the commands and a run need it. It validates nothing."""

from __future__ import annotations

import json
import time
from bisect import bisect_left
from typing import Any

from answers import JSON, JSON_TYPE, Answer, error, ok

EVENTS_TYPE = "text/event-stream"
FIELDS = (
    "compaction", "experimental", "instructions", "metadata", "model", "multi_agent", "name", "reasoning", "service_tier", "text",
    "tools",
)  # fmt: skip
MERGED_BY_KEY = ("text", "reasoning", "experimental")  # an update replaces any other field as a whole


class AgentsAPI:
    """The agents of one service, and sessions with them; ``answer`` takes each request below ``/v1``."""

    def __init__(self) -> None:
        self.agents: dict[str, tuple[JSON, bytes]] = {}  # each with its JSON, which is made once
        self.ids: list[str] = []  # sorted, oldest first
        self.made = 0

    def answer(self, method: str, parts: list[str], query: JSON, body: bytes) -> Answer | None:
        """Answer a request to ``parts`` below ``/v1``; None where there is no such route."""
        match method, *parts:
            case "GET", "agents":
                return self._list(query)
            case "POST", "agents":
                return self._create(json.loads(body))
            case "POST", "agents", "sessions":
                return self._session(json.loads(body))
            case (("GET" | "POST" | "DELETE"), "agents", id):
                return self._one(method, id, body) if id in self.agents else error(404, f"No agent found with id {id!r}.")
            case "GET", "models":
                names = {agent["model"]: agent["created_at"] for agent, _ in self.agents.values()}
                models = [{"id": name, "object": "model", "created": at, "owned_by": "bench"} for name, at in names.items()]
                return ok({"object": "list", "data": models})
            case _:
                return None

    def _list(self, query: JSON) -> Answer:
        limit, after, newest_first = int(query.get("limit", 20)), query.get("after"), query.get("order") != "asc"
        if newest_first:
            end = len(self.ids) if after is None else bisect_left(self.ids, after)
            start = max(0, end - limit)
            ids, more = self.ids[start:end][::-1], start > 0
        else:
            start = 0 if after is None else bisect_left(self.ids, after) + 1
            ids, more = self.ids[start : start + limit], start + limit < len(self.ids)
        first, last = (ids[0], ids[-1]) if ids else (None, None)
        rest = json.dumps({"object": "list", "first_id": first, "last_id": last, "has_more": more}).encode()
        return 200, b'{"data":[%s],%s' % (b",".join([self.agents[id][1] for id in ids]), rest[1:]), JSON_TYPE

    def _create(self, body: JSON) -> Answer:
        self.made += 1
        id, now = f"agent_{self.made:024x}", int(time.time())
        self.ids.append(id)
        return self._save({"id": id, "object": "agent", "created_at": now, "updated_at": now, **with_defaults(body)})

    def _one(self, method: str, id: str, body: bytes) -> Answer:
        agent, content = self.agents[id]
        if method == "GET":
            return 200, content, JSON_TYPE
        if method == "DELETE":
            del self.agents[id]
            self.ids.remove(id)
            return ok({"id": id, "object": "agent.deleted", "deleted": True})
        changes = json.loads(body)
        merged = {key: agent[key] | value if key in MERGED_BY_KEY and value else value for key, value in changes.items()}
        fields = with_defaults({key: agent[key] for key in FIELDS} | merged)
        return self._save({**agent, **fields, "updated_at": int(time.time())})

    def _save(self, agent: JSON) -> Answer:
        content = json.dumps(agent).encode()
        self.agents[agent["id"]] = agent, content
        return 200, content, JSON_TYPE

    def _session(self, body: JSON) -> Answer:
        """A session whose only turn is over at once; its events where they are asked for."""
        if body.get("agent_id") not in self.agents:
            return error(404, f"No agent found with id {body.get('agent_id')!r}.")
        self.made += 1
        saved = self.agents[body["agent_id"]][0]
        agent = {key: saved[key] for key in ("id", *FIELDS) if key != "metadata"}
        session: JSON = {
            "id": f"sess_{self.made:024x}", "object": "agent.session", "agent": agent, "created_at": int(time.time()),
            "last_active_at": int(time.time()), "environment": {"type": "none"}, "error": None,
            "metadata": body.get("metadata") or {}, "required_actions": [], "status": "in_progress", "usage": None,
            "vault_ids": [], "review": "none", "prompt_cache_options": None,
        }  # fmt: skip
        form = agent["text"]["format"]
        text = json.dumps(sample(form["schema"], form["schema"])) if form["type"] == "json_schema" else "A sample."
        return (200, turn_events(session, text), EVENTS_TYPE) if body.get("stream") else ok(session)


def with_defaults(body: JSON) -> JSON:
    """The fields of an agent with every default filled in, as the service answers them."""
    given = {key: value for key, value in body.items() if value is not None}
    text, reasoning, many = given.get("text", {}), given.get("reasoning", {}), given.get("multi_agent", {"enabled": False})
    return {
        "compaction": {"async": bool(given.get("compaction", {}).get("async"))},
        "experimental": {"time_awareness": given.get("experimental", {}).get("time_awareness", False)},
        "instructions": given.get("instructions"),
        "metadata": given.get("metadata", {}),
        "model": given["model"],
        "multi_agent": {
            "enabled": many["enabled"],
            "max_concurrent_subagents": (many.get("max_concurrent_subagents") or 6) if many["enabled"] else None,
        },
        "name": given.get("name"),
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "service_tier": given.get("service_tier", "auto"),
        "text": {"format": text.get("format") or {"type": "text"}, "verbosity": text.get("verbosity") or "medium"},
        "tools": given.get("tools", []),
    }


def sample(schema: JSON, root: JSON) -> Any:
    """A value that matches a strict schema: each list holds one item, and each union its first branch."""
    if "$ref" in schema:
        return sample(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema:
        return sample(schema["anyOf"][0], root)
    if "enum" in schema or "const" in schema:
        return schema["enum"][0] if "enum" in schema else schema["const"]
    match schema["type"]:
        case "object":
            return {key: sample(each, root) for key, each in schema["properties"].items()}
        case "array":
            return [sample(schema["items"], root)]
        case kind:
            return {"string": "A sample.", "integer": 1, "number": 1.0, "boolean": True, "null": None}[kind]


def turn_events(session: JSON, text: str) -> bytes:
    """The events of a session whose first turn answers with this text, as the service streams them."""
    end = session["id"].removeprefix("sess")
    ids = {"session_id": session["id"], "turn_id": f"turn{end}"}
    place = {"item_id": f"msg{end}", "output_index": 0, "content_index": 0}
    part, now = {"type": "output_text", "text": text}, session["created_at"]
    usage = {
        "input_tokens": 10, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 10,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 20,
    }  # fmt: skip
    turn = {
        "id": ids["turn_id"], "object": "agent.session.turn", "session_id": session["id"], "subagent_id": None,
        "agent_id": session["agent"]["id"], "status": "in_progress", "error": None, "usage": None, "created_at": now,
        "started_at": now, "completed_at": None,
    }  # fmt: skip
    item: JSON = {
        "id": place["item_id"], "type": "message", "role": "assistant", "status": "in_progress", "phase": None, "content": [],
        "turn_id": ids["turn_id"],
    }  # fmt: skip
    done = {**turn, "status": "completed", "usage": usage, "completed_at": now}
    events: list[tuple[str, JSON]] = [
        ("created", {"session": session}),
        ("in_progress", {"session": session}),
        ("turn.created", {"turn": {**turn, "status": "queued", "started_at": None}}),
        ("turn.in_progress", {"turn": turn}),
        ("turn.item.added", {"item": item, "output_index": 0}),
        ("turn.content_part.added", {**place, "part": {**part, "text": ""}}),
        ("turn.output_text.delta", {**place, "delta": text}),
        ("turn.output_text.done", {**place, "text": text}),
        ("turn.content_part.done", {**place, "part": part}),
        (
            "turn.item.done",
            {"item": {**item, "status": "completed", "phase": "final_answer", "content": [part]}, "output_index": 0},
        ),
        ("turn.completed", {"turn": done, "usage": usage}),
        ("idle", {"session": {**session, "status": "idle", "usage": usage}}),
    ]
    frames = []
    for number, (name, fields) in enumerate(events):
        event = {"type": f"agent.session.{name}", "event_id": f"event{end}{number:02}", **fields}
        event |= ids if name.startswith("turn.") else {}
        frames.append(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n")
    return "".join(frames).encode()
