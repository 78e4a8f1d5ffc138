"""Creates that merely begin a test: the first of a kind in a process is made, the others are copies of what it left."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loopback import Loopback, Seen

from invoke_assistants import commands

if TYPE_CHECKING:
    from conftest import Host


@dataclass
class Created:
    """What a create left."""

    origin: str
    files: dict[Path, bytes]
    objects: bytes
    seen: list[Seen]
    at: float

    def again(self, host: Host, origin: str) -> None:
        """Leave it in another project and on its service, as if it were made now."""
        later = int(time.time() - self.at)

        def moved(content: bytes) -> bytes:
            dated = re.sub(rb'(?<=ed_at":)\d+', lambda found: b"%d" % (int(found[0]) + later), content)
            return dated.replace(self.origin.encode(), origin.encode())

        for path, content in self.files.items():
            (host.root / path).parent.mkdir(exist_ok=True)
            (host.root / path).write_bytes(moved(content))
        if host.server:
            host.server.objects = moved(self.objects)
            host.server.seen.extend(self.seen)


_created: dict[Hashable, Created] = {}
_begun: dict[Hashable, tuple[str, bytes]] = {}


def create_or_copy(host: Host, settings: set[tuple[str, str]]) -> None:
    """Run ``asst.create`` in a new project, or copy what it left in one with the same files and settings.

    Args:
        settings: the variables that it sees.
    """
    there = host.server
    origin = there.origin if there else "no service"
    key = _made_from(host, origin, settings)
    if key in _created:
        _created[key].again(host, origin)
        return
    before = set(host.root.rglob("*"))
    commands.create(host.root)
    made = [path for path in host.root.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    files = {path.relative_to(host.root): path.read_bytes() for path in made if path not in before}
    _created[key] = Created(origin, files, there.objects if there else b"", list(there.seen) if there else [], time.time())


def _made_from(host: Host, origin: str, settings: set[tuple[str, str]]) -> Hashable:
    """All that decides what a create makes: declarations, the other files, and settings."""
    module = re.compile(r"hosted_\d+_\d+")
    files = {path for path in host.root.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    others = {(path.relative_to(host.root), module.sub("", path.read_text())) for path in files if not module.match(path.name)}
    return host.source, frozenset(others), frozenset((name, value.replace(origin, "")) for name, value in settings)


def begin(host: Host, server: Loopback, key: Hashable, make: Callable[[], object]) -> None:
    """Bring a store and a server to where ``make`` brings them, which runs for the first test alone that begins there."""
    if key not in _begun:
        make()
        _begun[key] = host.path.read_text().replace(server.origin, "ORIGIN"), server.objects
    store, server.objects = _begun[key]
    host.path.write_text(store.replace("ORIGIN", server.origin))
    server.seen.clear()
