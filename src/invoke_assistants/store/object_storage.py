"""The store in S3, or in a store like it: an object that is replaced where its ETag matches, and numbered earlier ones."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import obstore
from obstore import exceptions
from obstore.store import AzureStore, GCSStore, S3Store

from ..errors import SettingsError, StoreError
from .aws import aws_settings
from .deadline import CONNECT, OPERATION, Deadline
from .storage import KEPT_REVISIONS, Conflict, Revision, Storage, Stored, Unreachable
from .url import StoreURL

__all__ = ["ObjectStorage"]

T = TypeVar("T")
_STATUS = re.compile(r"status code: (\d{3})")


class ObjectStorage(Storage):
    """An object in a bucket; its version is the ETag, and the generation where the service has one.

    Args:
        url: the bucket and perhaps the key.
        project: for the default key, ``assistants_store/PROJECT.json``.

    Raises:
        SettingsError: the URL has neither a key nor a project to make one of.
    """

    def __init__(self, url: StoreURL, project: str | None) -> None:
        if url.option is None and project is None:
            raise SettingsError(f"{url}: set ASST_PROJECT to the project whose store to use, or name its key: {url}/KEY")
        self.kind = url.scheme
        self._url = url
        self._key = url.option or f"assistants_store/{project}.json"
        self.address = url.masked
        self.label = url.masked if url.option else f"{url.masked.rstrip('/')}/{self._key}"
        self._bucket: Deadline[Any] = Deadline(self.label, self._open, lambda _: None, url.named_by)
        self._loaded = Stored(None, None)
        self._last_kept: bytes | None = None
        self._last_number: int | None = None

    def load(self) -> Stored:
        """See ``Storage``."""

        def get(bucket: Any) -> Stored:
            try:
                found = obstore.get(bucket, self._key)
                return Stored(bytes(found.bytes()), _version(found.meta))
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
                return Stored(None, None)

        self._loaded = self._call(get)
        return self._loaded

    def compare_and_set(self, content: bytes, version: str | None, *, keep: bool) -> str:
        """See ``Storage``. The object that is replaced is kept first, so that it is never lost."""
        if self._loaded.version != version and self.load().version != version:
            raise Conflict
        if keep and self._loaded.content not in (None, self._last_kept):  # it was, where its own write was lost
            self._keep(self._loaded.content or b"")
            self._last_kept = self._loaded.content
        mode = _expected(version)
        new = self._call(lambda bucket: _version(obstore.put(bucket, self._key, content, mode=mode, use_multipart=False)))
        self._loaded = Stored(content, new)
        if keep and (extra := (self._last_number or 0) - KEPT_REVISIONS) > 0:
            with contextlib.suppress(StoreError):  # one too many does no harm, and the document is written
                self._call(partial(_delete, path=self._path(extra)))
        return new

    def revisions(self) -> Sequence[Revision]:
        """See ``Storage``."""
        kept = [(number, f"{meta['last_modified']:%Y-%m-%dT%H:%M:%S+00:00}") for number, meta in self._kept()[:KEPT_REVISIONS]]
        found = ((number, at, self.load_revision(number)) for number, at in kept)
        return [Revision(number, at, content) for number, at, content in found if content is not None]

    def load_revision(self, number: int) -> bytes | None:
        """See ``Storage``."""

        def get(bucket: Any) -> bytes | None:
            try:
                return bytes(obstore.get(bucket, self._path(number)).bytes())
            except FileNotFoundError:
                return None

        return self._call(get)

    def close(self) -> None:
        """See ``Storage``."""
        self._bucket.close()

    def _path(self, number: int) -> str:
        return f"{self._key}.history/{number}"

    def _kept(self) -> list[tuple[int, Any]]:
        """The earlier objects by their numbers, newest first."""
        prefix = self._path(0).removesuffix("0")
        found = self._call(lambda bucket: obstore.list(bucket, prefix).collect())
        names = [(meta["path"].rpartition("/")[2], meta) for meta in found]
        return sorted(((int(name), meta) for name, meta in names if name.isdecimal()), key=lambda each: -each[0])

    def _keep(self, content: bytes) -> None:
        """Put an earlier object under the next number."""
        while True:
            if self._last_number is None:
                self._last_number = next((number for number, _ in self._kept()), 0)
            number = self._last_number + 1
            try:
                self._call(partial(obstore.put, path=self._path(number), file=content, mode="create", use_multipart=False))
            except Conflict:  # another run has kept one under this number
                self._last_number = None
                continue
            self._last_number = number
            return

    def _open(self) -> Any:
        name = urlsplit(self._url.raw).netloc
        options: dict[str, Any] = {
            "timeout": timedelta(seconds=OPERATION),
            "connect_timeout": timedelta(seconds=CONNECT),
        }
        retries: Any = {"max_retries": 2, "retry_timeout": timedelta(seconds=OPERATION / 2)}
        if self.kind == "gs":
            return GCSStore(name, client_options=options, retry_config=retries)  # type: ignore[arg-type]
        if self.kind == "az":
            return AzureStore(name, client_options=options, retry_config=retries)  # type: ignore[arg-type]
        config, provider = aws_settings(os.environ)
        options["allow_http"] = config.pop("allow_http", False)
        return S3Store(name, config=config, client_options=options, retry_config=retries, credential_provider=provider)  # type: ignore[arg-type]

    def _call(self, work: Callable[[Any], T]) -> T:
        try:
            return self._bucket.call(work)
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
            raise Conflict from None
        except FileNotFoundError:
            raise self._failed(StoreError, f"there is no bucket {urlsplit(self._url.raw).netloc}: make it first") from None
        except (PermissionError, exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
            raise self._failed(StoreError, f"refused: {_first_line(error)}") from None
        except (exceptions.BaseError, OSError) as error:
            status = _STATUS.search(str(error))
            refused = status is not None and status[1].startswith("4") and status[1] not in ("408", "409", "429")
            raise self._failed(StoreError if refused else Unreachable, _first_line(error)) from None
        except (ValueError, TypeError) as error:
            raise self._failed(StoreError, _first_line(error)) from None

    def _failed(self, kind: type[StoreError], why: str) -> StoreError:
        return kind(f"{self.label}: {self._url.mask(why)}{self._url.named_by}")


def _version(meta: Mapping[str, Any]) -> str:
    return " ".join(part for part in (meta["e_tag"], meta["version"]) if part)


def _expected(version: str | None) -> Any:
    if version is None:
        return "create"
    e_tag, _, generation = version.partition(" ")
    return {"e_tag": e_tag, **({"version": generation} if generation else {})}


def _delete(bucket: Any, path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        obstore.delete(bucket, path)


def _first_line(error: BaseException) -> str:
    """What a driver says, without the dump of its own values; the code that S3 gives for it, if it does."""
    code = re.search(r"<Code>(\w+)</Code>", str(error))
    line = str(error).partition("\n")[0].partition(": <?xml")[0]
    return f"{line} ({code[1]})" if code else line
