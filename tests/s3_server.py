"""moto's server, which stands in for S3, one request at a time: ``python s3_server.py PORT [USERS]``.

It ends once nobody holds a lock on the file USERS any more.

Its own server compares an ETag and replaces the object in two steps, between which another request can come.
"""

from __future__ import annotations

import fcntl
import os
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

inner, one_at_a_time = DomainDispatcherApplication(create_backend_app), threading.Lock()


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer one request."""
    with one_at_a_time:
        return list(inner(environ, start_response))


def end_after(users: Path) -> None:
    """Wait for the last user, and end."""
    fcntl.flock(os.open(users, os.O_RDWR), fcntl.LOCK_EX)
    users.unlink()
    users.with_suffix("").unlink()
    os._exit(0)


if __name__ == "__main__":
    for path in sys.argv[2:]:
        threading.Thread(target=end_after, args=[Path(path)], daemon=True).start()
    run_simple("127.0.0.1", int(sys.argv[1]), app, threaded=True)
