"""One small protocol for every platform, and opening the platform of an environment; CONTRIBUTING.md says how to add one."""

from __future__ import annotations

from typing import Protocol

from ..types import JSONObject

__all__ = ["Platform"]


class Platform(Protocol):
    """One API with one set of credentials. Every method raises ``PlatformError``."""

    async def list_page(self, after: str | None) -> tuple[list[JSONObject], bool]:
        """Return at most 100 objects after an id, newest first, and whether there may be more."""
        ...

    async def retrieve(self, id: str) -> JSONObject | None:
        """Return one object, or None if the service answers 404."""
        ...

    async def create(self, body: JSONObject) -> JSONObject:
        """Create an object with one request, which is never retried."""
        ...

    async def update(self, id: str, body: JSONObject) -> JSONObject:
        """Change an object; the request can be repeated, so it is retried."""
        ...

    async def list_models(self) -> list[JSONObject] | None:
        """Return the models of the account with one short request, or None where the platform has no such list."""
        ...

    async def delete(self, id: str) -> None:
        """Delete an object with one short request; a 404 is no error."""
        ...
