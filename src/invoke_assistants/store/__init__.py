"""The ids of the remote instances, in a TinyDB database: the only package that imports tinydb."""

from __future__ import annotations

from ._store import Store
from ._storage import FileStorage

__all__ = ["FileStorage", "Store"]
