"""The Agents API over HTTP: the five requests that manage instances need no openai SDK, whose import takes 0.6 s."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from types import NoneType
from typing import Any

import httpx2

from ..config.credentials import Credentials
from ..declare.digest import is_too_deep
from ..errors import PlatformError
from ..sdk.error_translator import HTTP_ERRORS, ErrorTranslator
from ..types import ID, JSONObject

__all__ = ["AgentsPlatform"]

TIMEOUT = 30.0  # seconds for one request
DELETE_TIMEOUT = 5.0  # seconds; a create that lost an election deletes its own instance at once and goes on
MODELS_TIMEOUT = 5.0  # seconds; a plan does not wait longer for what is only a note
SHAPES = (("text", (dict, NoneType)), ("reasoning", (dict, NoneType)), ("tools", (list, NoneType)))  # of an agent's fields
USER_AGENT = "invoke-assistants"


class AgentsPlatform:
    """One API and key, for all environments that share them.

    Args:
        client: sends to the API's base URL, without credentials of its own.
        concurrency: the most requests in flight.
        say: takes a line for people.
        before_write: called before each request that writes, each retry included; what it raises ends the request.
    """

    def __init__(
        self,
        client: httpx2.AsyncClient,
        credentials: Credentials,
        translator: ErrorTranslator,
        concurrency: int,
        say: Callable[[str], None],
        before_write: Callable[[], None] | None,
    ) -> None:
        self._slots = asyncio.Semaphore(concurrency)
        self._client = client
        self._credentials = credentials
        self._translator = translator
        self._say = say
        self._before_write = before_write

    async def list_page(self, after: str | None) -> tuple[list[JSONObject], bool]:
        """See ``Platform``. Like the SDK's pager, a list without ``has_more`` goes on after every page that is not empty."""
        params = {"limit": 100, "order": "desc"} | ({"after": after} if after else {})
        try:
            answer = await self._retry(lambda: self._request("GET", "/agents", params=params))
        except PlatformError as error:
            if error.status == 404 and after is None:  # what is unknown can only be a cursor, or all of the API
                url = str(self._client.base_url).rstrip("/")
                raise self._translator.error(f"{error.detail}: there is no Agents API at {url}, the base URL") from None
            raise
        data, more = answer.get("data"), answer.get("has_more")
        if not isinstance(data, list) or not isinstance(more, bool | None):
            raise self._translator.unexpected_response("a list without data")
        return [self._check_agent(item) for item in data], bool(data) if more is None else more

    async def retrieve(self, id: str) -> JSONObject | None:
        """See ``Platform``."""
        path = _agent_path(id)
        try:
            return self._check_answer(await self._retry(lambda: self._request("GET", path)), id)
        except PlatformError as error:
            if error.status == 404:
                return None
            raise

    async def create(self, body: JSONObject) -> JSONObject:
        """See ``Platform``."""
        return self._check_answer(await self._request("POST", "/agents", body=body))

    async def update(self, id: str, body: JSONObject) -> JSONObject:
        """See ``Platform``."""
        path = _agent_path(id)
        return self._check_answer(await self._retry(lambda: self._request("POST", path, body=body)), id)

    async def delete(self, id: str) -> None:
        """See ``Platform``."""
        try:
            await self._request("DELETE", _agent_path(id), timeout=DELETE_TIMEOUT)
        except PlatformError as error:
            if error.status != 404:
                raise

    async def list_models(self) -> list[JSONObject] | None:
        """See ``Platform``. An entry is returned as it is where it is an object."""
        try:
            async with asyncio.timeout(MODELS_TIMEOUT):  # the wait for a slot included
                answer = await self._request("GET", "/models", beta=False)
        except TimeoutError:
            raise self._translator.error(f"timed out after {MODELS_TIMEOUT:g} s", unknown=True, transient=True) from None
        data = answer.get("data")
        if not isinstance(data, list):
            raise self._translator.unexpected_response("a list without data")
        return [each for each in data if isinstance(each, dict)]

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
        beta: bool = True,
        timeout: float | None = None,  # noqa: ASYNC109 - of the HTTP request, in seconds
    ) -> JSONObject:
        """Send one request, once."""
        timeout = TIMEOUT if timeout is None else timeout
        headers = _headers(self._credentials, beta=beta)
        try:
            async with self._slots:
                if self._before_write and method != "GET":
                    self._before_write()
                async with asyncio.timeout(timeout):  # httpx2 limits each read, not the whole
                    response = await self._client.request(
                        method, path, params=params, json=body, headers=headers, timeout=httpx2.Timeout(timeout, pool=None)
                    )  # fmt: skip
            if not response.is_success:
                raise self._translator.status_error(response, _error_body(response))
            answer = response.json()
        except TimeoutError:
            raise self._translator.error(f"timed out after {timeout:g} s", unknown=True, transient=True) from None
        except HTTP_ERRORS as error:
            raise self._translator.translate(error) from None
        if not isinstance(answer, dict):
            raise self._translator.unexpected_response("no JSON object")
        return answer

    def _check_answer(self, agent: JSONObject, id: str | None = None) -> JSONObject:
        """Return the agent that is a whole response, checked as ``_check_agent`` does, and for what a store could not hold."""
        try:
            json.dumps(agent, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, RecursionError):  # NaN, or half of a surrogate pair
            raise self._translator.unexpected_response("an object that is not plain JSON") from None
        return self._check_agent(agent, id)

    def _check_agent(self, agent: Any, id: str | None = None) -> JSONObject:
        """Return an agent of a response, checked for what other code reads of it."""
        actual = agent.get("id") if isinstance(agent, dict) else None
        if not isinstance(actual, str) or not ID.fullmatch(actual) or (id is not None and actual != id):
            raise self._translator.unexpected_response("an object without a valid id")
        if self._credentials.mask(actual) != actual:  # it would be kept and shown
            raise self._translator.unexpected_response("an object with the key as its id")
        if any(not isinstance(agent.get(key), shapes) for key, shapes in SHAPES):
            raise self._translator.unexpected_response("an object with malformed text, reasoning or tools")
        if not isinstance((agent.get("text") or {}).get("format"), (dict, NoneType)):
            raise self._translator.unexpected_response("an object with a malformed text.format")
        metadata, created = agent.get("metadata"), agent.get("created_at", 0)
        tags = metadata is None or (isinstance(metadata, dict) and all(isinstance(tag, str) for tag in metadata.values()))
        if not tags or isinstance(created, bool) or not isinstance(created, int):
            raise self._translator.unexpected_response("an object with malformed metadata or created_at")
        if is_too_deep(agent):
            raise self._translator.unexpected_response("an object that is nested too deep")
        checked: JSONObject = agent
        return checked


def _agent_path(id: str) -> str:
    if not ID.fullmatch(id):
        raise PlatformError(f"{id!r:.80} is not an id: 3 to 128 letters, digits, '_', '-'")
    return f"/agents/{id}"


def _headers(credentials: Credentials, *, beta: bool) -> httpx2.Headers:
    """The headers that the openai SDK would send with these credentials; ``beta`` asks for the Agents API."""
    headers = httpx2.Headers({"Accept": "application/json", "User-Agent": USER_AGENT})
    headers["Authorization"] = f"Bearer {credentials.key.reveal()}"
    if credentials.organization:
        headers["OpenAI-Organization"] = credentials.organization
    if credentials.project:
        headers["OpenAI-Project"] = credentials.project
    for name, value in credentials.headers:
        headers[name] = value.reveal()
    if beta:
        headers["OpenAI-Beta"] = "agents=v1"
    return headers


def _error_body(response: httpx2.Response) -> object:
    """What an error's body says: its JSON, without the envelope ``error``, or its text."""
    try:
        text = response.text
    except (AssertionError, LookupError, TypeError, ValueError):  # its charset is no encoding of text
        text = response.content.decode(errors="replace")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return body.get("error", body) if isinstance(body, dict) else body
