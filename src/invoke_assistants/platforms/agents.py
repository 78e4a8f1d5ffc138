"""The Agents API through the openai SDK's generic client, which does not load ``client.beta.agents`` (0.7 s)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import openai

from ..errors import PlatformError
from ..sdk.error_translator import SDK_ERRORS, ErrorTranslator
from ..types import ID, JSONObject

__all__ = ["AgentsPlatform"]

TIMEOUT = 30.0  # seconds for one request
DELETE_TIMEOUT = 5.0  # seconds; a create that lost an election deletes its own instance at once and goes on
HEADERS = {"OpenAI-Beta": "agents=v1"}  # the generic client does not add it


class AgentsPlatform:
    """One API and key, for all environments that share them.

    Args:
        concurrency: the most requests in flight.
        say: takes a line for people.
        before_write: called before each request that writes, each retry included; what it raises ends the request.
    """

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        translator: ErrorTranslator,
        concurrency: int,
        say: Callable[[str], None],
        before_write: Callable[[], None] | None,
    ) -> None:
        self._slots = asyncio.Semaphore(concurrency)
        self._client = client
        self._translator = translator
        self._say = say
        self._before_write = before_write

    async def list_page(self, after: str | None) -> tuple[list[JSONObject], bool]:
        """See ``Platform``. Like the SDK's pager, a list without ``has_more`` goes on after every page that is not empty."""
        params = {"limit": 100, "order": "desc"} | ({"after": after} if after else {})
        answer = await self._retry(lambda: self._request("GET", "/agents", params=params))
        data, more = answer.get("data"), answer.get("has_more")
        if not isinstance(data, list) or not isinstance(more, bool | None):
            raise self._translator.unexpected_response("a list without data")
        return [self._check_agent(item) for item in data], bool(data) if more is None else more

    async def retrieve(self, id: str) -> JSONObject | None:
        """See ``Platform``."""
        path = _agent_path(id)
        try:
            return self._check_agent(await self._retry(lambda: self._request("GET", path)), id)
        except PlatformError as error:
            if error.status == 404:
                return None
            raise

    async def create(self, body: JSONObject) -> JSONObject:
        """See ``Platform``."""
        return self._check_agent(await self._request("POST", "/agents", body=body))

    async def update(self, id: str, body: JSONObject) -> JSONObject:
        """See ``Platform``."""
        path = _agent_path(id)
        return self._check_agent(await self._retry(lambda: self._request("POST", path, body=body)), id)

    async def delete(self, id: str) -> None:
        """See ``Platform``."""
        try:
            await self._request("DELETE", _agent_path(id), timeout=DELETE_TIMEOUT)
        except PlatformError as error:
            if error.status != 404:
                raise

    async def _retry(self, send: Callable[[], Awaitable[JSONObject]]) -> JSONObject:
        """Send a request that can be repeated, and retry it where that can help."""
        attempt = 0
        while True:
            try:
                return await send()
            except PlatformError as error:
                delay = self._translator.retry_delay(error, attempt, repeatable=True)
                if delay is None:
                    raise
                if error.retry_after is not None:
                    self._say(f"{self._translator.where}: the service asks to wait; trying again in {delay:.0f} s")
            await asyncio.sleep(delay)
            attempt += 1

    async def _request(
        self,
        method: str,
        path: str,
        *,
        body: JSONObject | None = None,
        params: JSONObject | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - of the HTTP request, in seconds
    ) -> JSONObject:
        """Send one request, once."""
        timeout = TIMEOUT if timeout is None else timeout
        options = {
            "headers": HEADERS,
            "params": dict(params or {}),
            "max_retries": 0,
            "timeout": httpx2.Timeout(timeout, pool=None),
        }
        arguments: JSONObject = {"cast_to": JSONObject, "options": options} | ({} if body is None else {"body": body})
        send: Any = {"GET": self._client.get, "POST": self._client.post, "DELETE": self._client.delete}[method]
        try:
            async with self._slots:
                if self._before_write and method != "GET":
                    self._before_write()
                async with asyncio.timeout(timeout):  # httpx2 limits each read, not the whole
                    answer = await send(path, **arguments)
        except TimeoutError:
            raise self._translator.error(f"timed out after {timeout:g} s", unknown=True, transient=True) from None
        except SDK_ERRORS as error:
            raise self._translator.translate(error) from None
        if not isinstance(answer, dict):
            raise self._translator.unexpected_response("no JSON object")
        return answer

    def _check_agent(self, agent: Any, id: str | None = None) -> JSONObject:
        """Return an agent of a response, checked for what other code reads of it."""
        actual = agent.get("id") if isinstance(agent, dict) else None
        if not isinstance(actual, str) or not ID.fullmatch(actual) or (id is not None and actual != id):
            raise self._translator.unexpected_response("an object without a valid id")
        if self._translator.secret.mask(actual) != actual:  # it would be kept and shown
            raise self._translator.unexpected_response("an object with the key as its id")
        shapes = {"text": dict, "reasoning": dict, "tools": list}
        if any(not isinstance(agent.get(key), shape | None) for key, shape in shapes.items()):
            raise self._translator.unexpected_response("an object with malformed text, reasoning or tools")
        metadata, created = agent.get("metadata"), agent.get("created_at", 0)
        tags = metadata is None or (isinstance(metadata, dict) and all(isinstance(tag, str) for tag in metadata.values()))
        if not tags or isinstance(created, bool) or not isinstance(created, int):
            raise self._translator.unexpected_response("an object with malformed metadata or created_at")
        checked: JSONObject = agent
        return checked


def _agent_path(id: str) -> str:
    if not ID.fullmatch(id):
        raise PlatformError(f"{id!r:.80} is not an id: 3 to 128 letters, digits, '_', '-'")
    return f"/agents/{id}"
