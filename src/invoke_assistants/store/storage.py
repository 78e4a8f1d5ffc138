"""What every place that keeps the store's document can do, whichever kind it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from ..errors import StoreError

__all__ = ["KEPT_REVISIONS", "Conflict", "Revision", "Storage", "Stored", "Unreachable"]

KEPT_REVISIONS = 20  # earlier documents that a shared store keeps


class Conflict(Exception):
    """The document is no longer of the version that a write named: nothing was written."""


class Unreachable(StoreError):
    """The server of a shared store cannot be reached, or did not answer: a write may have been carried out or not."""


@dataclass(frozen=True)
class Stored:
    """A document as it was read: its bytes, and the version that the next write must name; both None where there is none."""

    content: bytes | None
    version: str | None


@dataclass(frozen=True)
class Revision:
    """An earlier document of a shared store: its number, when it was replaced (UTC, for people), its bytes."""

    number: int
    replaced_at: str
    content: bytes = field(repr=False)

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return len(self.content)


class Storage(ABC):
    """One document, and its version for a compare-and-set.

    Attributes:
        kind: as ``inv asst.store`` names it: ``file``, ``redis``, ``postgresql``, ``s3``, ``gs``, ``az``.
        shared: whether it is on a server: then the lock of a run is a record in the document, and revisions are kept.
        address: a path, or a URL without its password.
        label: where it is, for messages: the address, and the key or table where that is a default.
        remedy: how an earlier document is brought back, for messages.
    """

    kind: str
    shared: ClassVar[bool] = True
    address: str
    label: str
    remedy: str = "inv asst.store --history lists the earlier revisions, --restore REVISION brings one back"

    @abstractmethod
    def load(self) -> Stored:
        """Read the document.

        Raises:
            Unreachable: there is no answer.
            StoreError: it cannot be read.
        """

    @abstractmethod
    def compare_and_set(self, content: bytes, version: str | None, *, keep: bool) -> str:
        """Replace the document of a version, or make the first one where ``version`` is None; return the new version.

        Args:
            keep: keep the document that is replaced as a revision; the oldest of more than ``KEPT_REVISIONS`` goes.

        Raises:
            Conflict: the document is of another version.
            Unreachable: there is no answer; it may have been written or not.
            StoreError: it cannot be written; the old document stands.
        """

    def revisions(self) -> Sequence[Revision]:
        """The earlier documents that are kept, newest first.

        Raises:
            Unreachable: there is no answer.
            StoreError: they cannot be read.
        """
        raise StoreError(f"{self.label}: a {self.kind} keeps no revisions; {self.remedy}")

    def load_revision(self, number: int) -> bytes | None:
        """An earlier document by its number; None where it is not kept.

        Raises:
            Unreachable: there is no answer.
            StoreError: it cannot be read.
        """
        raise StoreError(f"{self.label}: a {self.kind} keeps no revision {number}; {self.remedy}")

    def close(self) -> None:  # noqa: B027 - a file has nothing to close
        """Close the connection, if there is one; the next operation opens another."""
