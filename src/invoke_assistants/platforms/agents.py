"""The Agents API through the openai SDK's generic client, which does not load ``client.beta.agents`` (0.7 s)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import openai

from ..config.credentials import Credentials
from ..errors import PlatformError
from ..sdk import connections
from ..sdk.error_translator import LONGEST_WAIT, SDK_ERRORS, ErrorTranslator
from ..types import ID, JSONObject

__all__ = ["AgentsPlatform"]

TIMEOUT = 30.0  # seconds for one request
DELETE_TIMEOUT = 5.0  # seconds; the loser of an election deletes its own at once and goes on
RETRIES = 2  # of reads and updates, which are safe to send again
HEADERS = {"OpenAI-Beta": "agents=v1"}  # the generic client does not add it by itself


class AgentsPlatform:
    """One API and key, for all who share them."""

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        translator: ErrorTranslator,
        say: Callable[[str], None],
        concurrency: int,
    ) -> None:
        self._slots = asyncio.Semaphore(concurrency)
        self._client = client
        self._translator = translator
        self._say = say

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        credentials: Credentials,
        transport: httpx2.AsyncBaseTransport | None = None,
        *,
        where: str,
        variable: str,
        say: Callable[[str], None],
        concurrency: int,
    ) -> AsyncGenerator[AgentsPlatform]:
        """A platform over HTTP, or over a transport in this process; closed at the end of the block."""
        limits = httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
        url = connections.url(credentials.base_url)
        http = connections.managing_client(credentials.base_url, transport, TIMEOUT, limits)
        async with openai.AsyncOpenAI(
            api_key=credentials.key.reveal(),
            base_url=url,
            project=credentials.project,
            organization=credentials.organization,
            max_retries=0,
            timeout=TIMEOUT,
            http_client=http,
        ) as client:
            translator = ErrorTranslator(credentials.key, client.base_url.host, "Agents API", where, variable)
            yield cls(client, translator, say, concurrency)

    async def page(self, after: str | None) -> tuple[list[JSONObject], bool]:
        """At most 100 objects after an id, newest first, and whether there are more.

        Where the service does not say, there may be more behind every page that is not empty, as the SDK's pager has it.
        """
        params = {"limit": 100, "order": "desc"} | ({"after": after} if after else {})
        answer = await self._read("/agents", params)
        data, more = answer.get("data"), answer.get("has_more")
        if not isinstance(data, list) or not isinstance(more, bool | None):
            raise self._translator.unexpected_answer("a list without data")
        return [self._object(item) for item in data], bool(data) if more is None else more

    async def retrieve(self, id: str) -> JSONObject | None:
        """One object, or None where the service says that there is none."""
        try:
            return self._object(await self._read(f"/agents/{_checked(id)}", {}), id)
        except PlatformError as error:
            if error.status == 404:
                return None
            raise

    async def create(self, body: JSONObject) -> JSONObject:
        """Make an object; one request, never sent twice."""
        return self._object(await self._once("POST", "/agents", body=body))

    async def update(self, id: str, body: JSONObject) -> JSONObject:
        """Change an object; safe to send again, so it is retried."""
        path = f"/agents/{_checked(id)}"
        return self._object(await self._again(lambda: self._once("POST", path, body=body)), id)

    async def delete(self, id: str) -> None:
        """Delete an object, one short request; one that is gone already is no error."""
        try:
            await self._once("DELETE", f"/agents/{_checked(id)}", timeout=DELETE_TIMEOUT)
        except PlatformError as error:
            if error.status != 404:
                raise

    async def _read(self, path: str, params: Mapping[str, Any]) -> JSONObject:
        return await self._again(lambda: self._once("GET", path, params=params))

    async def _again(self, send: Callable[[], Any]) -> JSONObject:
        for attempt in range(RETRIES + 1):
            try:
                answer: JSONObject = await send()
                return answer
            except PlatformError as error:
                wait = error.retry_after
                if attempt == RETRIES or not error.transient or (wait or 0) > LONGEST_WAIT:
                    raise
                if wait is not None:
                    self._say(f"{self._translator.where}: the service asks to wait; trying again in {wait:.0f} s")
                await asyncio.sleep(0.5 * 2**attempt if wait is None else wait)
        raise AssertionError("unreachable")

    async def _once(
        self,
        method: str,
        path: str,
        *,
        body: JSONObject | None = None,
        params: Mapping[str, Any] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - of the HTTP request, in seconds
    ) -> JSONObject:
        timeout = TIMEOUT if timeout is None else timeout
        options: Any = {
            "headers": HEADERS,
            "params": dict(params or {}),
            "max_retries": 0,
            "timeout": httpx2.Timeout(timeout, pool=None),
        }
        send: Any = {"GET": self._client.get, "POST": self._client.post, "DELETE": self._client.delete}[method]
        if body is not None:
            options_and_body: dict[str, Any] = {"options": options, "body": body}
        else:
            options_and_body = {"options": options}
        try:
            async with self._slots, asyncio.timeout(timeout):  # httpx2 bounds each read, not the whole
                answer = await send(path, cast_to=dict[str, Any], **options_and_body)
        except TimeoutError:
            raise self._translator.error(f"timed out after {timeout:g} s", unknown=True, transient=True) from None
        except SDK_ERRORS as error:
            raise self._translator.translated(error) from None
        if not isinstance(answer, dict):
            raise self._translator.unexpected_answer("no JSON object")
        return answer

    def _object(self, answer: Any, id: str | None = None) -> JSONObject:
        found = answer.get("id") if isinstance(answer, dict) else None
        if not isinstance(found, str) or not ID.fullmatch(found) or (id is not None and found != id):
            raise self._translator.unexpected_answer("an object without a proper id")
        metadata, created = answer.get("metadata"), answer.get("created_at", 0)
        shapes = {"text": dict, "reasoning": dict, "tools": list}
        if any(not isinstance(answer.get(key), shape | None) for key, shape in shapes.items()):
            raise self._translator.unexpected_answer("an object with odd text, reasoning or tools")
        tags = metadata is None or (isinstance(metadata, dict) and all(isinstance(tag, str) for tag in metadata.values()))
        if not tags or isinstance(created, bool) or not isinstance(created, int):
            raise self._translator.unexpected_answer("an object with odd metadata or created_at")
        object_: JSONObject = answer
        return object_


def _checked(id: str) -> str:
    if not ID.fullmatch(id):
        raise PlatformError(f"{id!r:.80} is no id: 3 to 128 letters, digits, '_', '-'")
    return id
