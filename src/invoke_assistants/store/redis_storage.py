"""The store in Redis: a hash with the document and its version, changed by one Lua script; a list of earlier documents."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import redis
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from ..errors import SettingsError, StoreError
from .deadline import CONNECT, OPERATION, Deadline
from .storage import KEPT_REVISIONS, Conflict, Revision, Storage, Stored, Unreachable
from .url import StoreURL

__all__ = ["RedisStorage"]

# KEYS: the hash, the list. ARGV: the version ("" for none), the document, the time, how many revisions to keep (0: make none).
COMPARE_AND_SET = """
local version = redis.call('HGET', KEYS[1], 'version')
if (version or '') ~= ARGV[1] then return false end
local kept = tonumber(ARGV[4])
if version and kept > 0 then
  local document = redis.call('HGET', KEYS[1], 'document') or ''
  redis.call('LPUSH', KEYS[2], cjson.encode({version = version, replaced_at = ARGV[3]}) .. '\\n' .. document)
  redis.call('LTRIM', KEYS[2], 0, kept - 1)
end
local new = string.format('%d', tonumber(version or '0') + 1)
redis.call('HSET', KEYS[1], 'document', ARGV[2], 'version', new)
return new
"""


class RedisStorage(Storage):
    """A hash of a Redis server.

    Args:
        url: the server and perhaps the key.
        project: for the default key, ``asst:PROJECT``.

    Raises:
        SettingsError: the URL has neither a key nor a project to make one of, or an option that redis does not know.
    """

    kind = "redis"

    def __init__(self, url: StoreURL, project: str | None) -> None:
        if url.option is None and project is None:
            raise SettingsError(f"{url}: set ASST_PROJECT to the project whose store to use, or name its key with ?key=KEY")
        if given := url.driver_options:
            known = _connection_options(url.scheme)
            for name in given:
                if name not in known:
                    raise url.unknown_option(name, known)
        self._url = url
        self._key = url.option or f"asst:{project}"
        self.address = url.masked
        self.label = url.masked if url.option else f"{url.masked} (key {self._key})"
        self._client: Deadline[redis.Redis] = Deadline(self.label, self._connect, lambda client: client.close(), url.named_by)

    def load(self) -> Stored:
        """See ``Storage``."""
        document, version = self._call(lambda client: client.hmget(self._key, "document", "version"))
        if (document is None) is not (version is None):
            raise StoreError(f"{self.label}: the hash is not ours: it must have the fields document and version, or neither")
        return Stored(document, version.decode() if version is not None else None)

    def compare_and_set(self, content: bytes, version: str | None, *, keep: bool) -> str:
        """See ``Storage``."""
        keys = [self._key, f"{self._key}:history"]
        args: list[str | bytes | int] = [
            version or "",
            content,
            datetime.now(UTC).isoformat(timespec="seconds"),
            KEPT_REVISIONS if keep else 0,
        ]
        new: bytes | None = self._call(lambda client: client.register_script(COMPARE_AND_SET)(keys=keys, args=args))
        if new is None:
            raise Conflict
        return new.decode()

    def revisions(self) -> Sequence[Revision]:
        """See ``Storage``."""
        return self._history()

    def load_revision(self, number: int) -> bytes | None:
        """See ``Storage``."""
        return next((each.content for each in self._history() if each.number == number), None)

    def close(self) -> None:
        """See ``Storage``."""
        self._client.close()

    def _history(self) -> list[Revision]:
        entries: list[bytes] = self._call(lambda client: client.lrange(f"{self._key}:history", 0, -1))
        try:
            return [_parse_entry(entry) for entry in entries]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise StoreError(f"{self.label}: the list {self._key}:history is not ours") from None

    def _connect(self) -> redis.Redis:
        client = redis.Redis.from_url(
            self._url.raw, socket_connect_timeout=CONNECT, socket_timeout=OPERATION, retry=Retry(NoBackoff(), 0)
        )
        try:
            client.connection_pool.release(client.connection_pool.get_connection())  # connects, TLS and password included
        except BaseException:
            client.close()
            raise
        return client

    def _call(self, work: Callable[[redis.Redis], Any]) -> Any:
        try:
            return self._client.call(work)
        except (redis.AuthenticationError, exceptions.NoPermissionError) as error:
            raise self._failed(StoreError, f"refused: {error}") from None
        except (redis.ConnectionError, redis.TimeoutError, exceptions.ReadOnlyError, OSError) as error:
            raise self._failed(Unreachable, f"cannot be reached: {error}") from None
        except (redis.RedisError, ValueError, TypeError) as error:
            raise self._failed(StoreError, str(error)) from None

    def _failed(self, kind: type[StoreError], why: str) -> StoreError:
        return kind(f"{self.label}: {self._url.mask(why)}{self._url.named_by}")


def _connection_options(scheme: str) -> list[str]:
    """The names that redis takes for a connection and its pool; each class hands on what it does not know to the next."""
    connection = redis.SSLConnection if scheme == "rediss" else redis.Connection
    classes = [each for each in (*connection.__mro__, *redis.ConnectionPool.__mro__) if "__init__" in vars(each)]
    parameters = [each for cls in classes for each in inspect.signature(vars(cls)["__init__"]).parameters.values()]
    return sorted({each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD} - {"self"})


def _parse_entry(entry: bytes) -> Revision:
    """An earlier document: a line about it, then its bytes as they were; in older entries it is a text in that line."""
    head, _, document = entry.partition(b"\n")
    about = json.loads(head)
    return Revision(int(about["version"]), about["replaced_at"], about["document"].encode() if "document" in about else document)
