"""The embedded Agents API: objects in a file, in process behind the SDK's transport or served over HTTP."""

from __future__ import annotations

from .service import Service
from .transport import Transport

__all__ = ["Service", "Transport"]
