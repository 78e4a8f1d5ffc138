"""Post what a file holds, 16 in flight: ``send.py writes.json [look]``; with ``look``, after one page of the agents."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from openai import AsyncOpenAI

HEADERS = {"OpenAI-Beta": "agents=v1"}


async def main(writes: list[tuple[str, dict[str, Any]]]) -> None:
    """Post each body to its path."""
    slots = asyncio.Semaphore(16)
    async with AsyncOpenAI(max_retries=0) as client:

        async def post(path: str, body: dict[str, Any]) -> str:
            async with slots:
                path = path.removeprefix("/v1")
                agent = await client.post(path, cast_to=dict[str, Any], body=body, options={"headers": HEADERS})
            return str(agent["id"])

        if "look" in sys.argv:
            await client.get("/agents", cast_to=dict[str, Any], options={"headers": HEADERS, "params": {"limit": 100}})
        print(len(await asyncio.gather(*(post(path, body) for path, body in writes))))


asyncio.run(main(json.loads(Path(sys.argv[1]).read_bytes())))
