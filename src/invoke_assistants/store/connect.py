"""From the setting that names a store to the storage of its kind; a driver is imported only where its URL is used."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SettingsError
from .file_storage import FileStorage
from .storage import Storage

if TYPE_CHECKING:
    from .url import StoreURL

__all__ = ["open_storage"]

# By scheme: the module and class of the storage, the driver's module, the extra that brings it.
_KINDS = {
    "redis": ("redis_storage", "RedisStorage", "redis", "redis"),
    "rediss": ("redis_storage", "RedisStorage", "redis", "redis"),
    "postgresql": ("postgres_storage", "PostgresStorage", "psycopg", "postgres"),
    "s3": ("object_storage", "ObjectStorage", "obstore", "s3"),
    "gs": ("object_storage", "ObjectStorage", "obstore", "s3"),
    "az": ("object_storage", "ObjectStorage", "obstore", "s3"),
}


def open_storage(where: Path | StoreURL, project: str | None) -> Storage:
    """The storage at a path or a URL; nothing is read yet.

    Args:
        project: whose store it is, for a default key, row or object; None where it is not known.

    Raises:
        SettingsError: the driver is not installed, or the URL's address needs a project and there is none.
    """
    if isinstance(where, Path):
        return FileStorage(where)
    module, name, driver, extra = _KINDS[where.scheme]
    try:
        importlib.import_module(driver)
    except ImportError:
        raise SettingsError(
            f"a store at {where.scheme}:// needs the driver {driver}: pip install 'invoke-assistants[{extra}]'"
        ) from None
    storage: Storage = getattr(importlib.import_module(f".{module}", __package__), name)(where, project)
    return storage
