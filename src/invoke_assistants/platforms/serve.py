"""Serving the embedded platform over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..config.project import load_settings, read_store

__all__ = ["serve"]


def serve(root: str | Path | None = None, port: int = 8787, *, announce: Callable[[str], None] = print) -> None:
    """Serve the embedded platform over HTTP on 127.0.0.1 until interrupted.

    Args:
        port: 0 takes a free one.
        announce: told the base URL once the port is bound.

    Raises:
        SettingsError: the port cannot be had.
        StoreError: the store is not the project's, or cannot be read.
    """
    from ..emulator.api import EmbeddedAPI
    from ..emulator.http_server import Server
    from ..sdk.request_log import show_requests

    settings, recorded = read_store(load_settings(root))
    show_requests(settings.log_requests)  # those to the model's server
    api = EmbeddedAPI(settings.local_file, local_model=settings.local_model)
    api.restore_agents(recorded, settings.project)
    with Server(api, port) as server:
        announce(server.url)
        server.serve_forever()
