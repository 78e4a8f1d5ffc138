"""What two other tools ask of their services, in memory: agents are made, read and changed."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from answers import JSON, Answer, error, ok


class ManagedAgentsAPI:
    """Anthropic's managed agents, for agentlift."""

    def __init__(self) -> None:
        self.agents: dict[str, JSON] = {}

    def answer(self, method: str, parts: list[str], _query: JSON, body: bytes) -> Answer | None:
        """Answer a request to ``parts`` below ``/v1``; None where there is no such route."""
        match method, *parts:
            case "POST", "agents":
                given = json.loads(body)
                now = datetime.now(UTC).isoformat()
                id = f"agent_{len(self.agents):024}"
                self.agents[id] = {
                    "id": id, "type": "agent", "archived_at": None, "created_at": now, "updated_at": now, "description": None,
                    "execution_identity": {"type": "service_account"}, "mcp_servers": [], "metadata": {}, "multiagent": None,
                    "skills": [], "system": None, "tools": [], "version": 1, **given,
                    "model": {"id": given["model"], "speed": "standard"},
                }  # fmt: skip
                return ok(self.agents[id])
            case "GET", "agents", id:
                return ok(self.agents[id]) if id in self.agents else error(404, f"No agent {id}.")
            case _:
                return None


class ConversationalAPI:
    """ElevenLabs' conversational agents, for its CLI."""

    def __init__(self) -> None:
        self.agents: dict[str, JSON] = {}

    def answer(self, method: str, parts: list[str], _query: JSON, body: bytes) -> Answer | None:
        """Answer a request to ``parts`` below ``/v1``; None where there is no such route."""
        match method, *parts:
            case "POST", "convai", "agents", "create":
                id = f"agent_{len(self.agents):024}"
                self.agents[id] = {"agent_id": id, **json.loads(body)}
                return ok({"agent_id": id})
            case (("GET" | "PATCH"), "convai", "agents", id) if id in self.agents:
                self.agents[id] |= json.loads(body) if method == "PATCH" else {}
                return ok(self.agents[id])
            case _:
                return None
