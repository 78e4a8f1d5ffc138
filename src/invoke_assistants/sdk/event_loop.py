"""Whether an event loop runs in this thread, as in a notebook or an async app."""

from __future__ import annotations

import asyncio

__all__ = ["is_running"]


def is_running() -> bool:
    """Whether an event loop runs in this thread, so that another one needs a thread of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
