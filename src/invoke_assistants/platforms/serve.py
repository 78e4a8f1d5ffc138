"""Serving the embedded platform over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..config.project import load_settings, open_store

__all__ = ["serve"]


def serve(root: str | Path | None = None, port: int = 8787, *, announce: Callable[[str], None] = print) -> None:
    """Serve the embedded platform over HTTP on 127.0.0.1 until interrupted.

    Args:
        port: 0 takes a free one.
        announce: told the base URL once the port is bound.

    Raises:
        SettingsError: the port cannot be had.
    """
    from ..emulator.api import EmbeddedAPI
    from ..emulator.http_server import Server

    settings = load_settings(root)
    api = EmbeddedAPI(settings.local_file, local_model=settings.local_model)
    api.restore_agents(open_store(settings).read(), settings.project)
    with Server(api, port) as server:
        announce(server.url)
        server.serve_forever()
