"""Every page of the agents, one after another, as the cursor has it; only the ids are kept."""

from typing import Any

from openai import OpenAI

client = OpenAI(max_retries=0)
ids: set[str] = set()
params: dict[str, Any] = {"limit": 100}
while True:
    page: dict[str, Any] = client.get(
        "/agents", cast_to=dict[str, Any], options={"headers": {"OpenAI-Beta": "agents=v1"}, "params": params}
    )
    ids.update(agent["id"] for agent in page["data"])
    if not page["has_more"]:
        break
    params["after"] = page["last_id"]
print(len(ids))
