"""The ids of the remote instances, in a TinyDB database: the only package that imports tinydb."""

from __future__ import annotations

from ._storage import FileStorage, Version
from ._store import Store

__all__ = ["FileStorage", "Store", "Version"]
