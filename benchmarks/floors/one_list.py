"""One page of the agents, with the SDK's generic client, which does not load ``client.beta.agents``."""

from typing import Any

from openai import OpenAI

client = OpenAI(max_retries=0)
page: dict[str, Any] = client.get(
    "/agents", cast_to=dict[str, Any], options={"headers": {"OpenAI-Beta": "agents=v1"}, "params": {"limit": 100}}
)
print(len(page["data"]))
