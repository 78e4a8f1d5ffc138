"""At run time: which instance an app asks, and how its answer becomes the app's own type.

Settings and store are read once in a process and again when one of their files, the environment or the current folder
has changed; to find that out costs a few calls of ``stat``.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.environment import Environment
from ..config.project import Project, runtime_root
from ..config.settings import Settings
from ..config.sources import VARIABLES
from ..declare.declaration import Declaration
from ..declare.digest import canonical
from ..declare.function_tools import tool_functions
from ..declare.payload import build_payload
from ..errors import AnswerError, AnswerInvalid, AsstError, NotCreated, SchemaWarning
from ..sdk.deadline import Deadline
from ..store.file_storage import FileStorage
from ..store.store import Store
from ..types import Record, State, Step, short
from .ask import aask, ask
from .conversations import Conversations, refuse_other
from .parsing import Unfit, dumped, follows, parse
from .reply import Reply
from .turn import Answer, Owner, Turn

if TYPE_CHECKING:
    from .clients import Clients

__all__ = ["areplied", "instance", "replied"]

# What a path of a URL holds as it is (RFC 3986, 3.3), so that no request of another path comes of it.
SESSION = re.compile(r"(?!\.+\Z)[A-Za-z0-9._~!$&'()*+,;=:@-]{1,1024}")
Stamp = tuple[int, int, int] | None  # of a file: when it was modified (ns), its size, its inode


@dataclass(frozen=True)
class Known:
    """Settings and store as they were read, and what told then that nothing has changed."""

    settings: Settings
    recorded: State
    variables: tuple[str, ...]
    values: tuple[str | None, ...]
    files: tuple[str, ...]
    stamps: tuple[Stamp, ...]

    def holds(self) -> bool:
        """Whether nothing has changed since."""
        return self.values == _values(self.variables) and self.stamps == _stamps(self.files)


class Runtime:
    """What a process keeps between calls."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str | None, ...], Known] = {}
        self._clients: Clients | None = None
        self.conversations = Conversations()
        self.warned: set[tuple[str, str, str]] = set()

    def known(self, root: Path | None) -> Known:
        """Settings and store of the project at a root, or of the one that the process runs in.

        Raises:
            AsstError: one of them is wrong, or cannot be read.
        """
        where = (str(root),) if root else _where()
        known = self._known.get(where)
        if known is None or not known.holds():
            with self._lock:
                known = self._known.get(where)
                if known is None or not known.holds():
                    known = self._known[where] = _read(root)
        return known

    def clients(self) -> Clients:
        """The openai clients of this process."""
        if self._clients is None:
            from .clients import Clients

            with self._lock:
                self._clients = self._clients or Clients()
        return self._clients


_runtime = Runtime()


def _begin_anew() -> None:
    global _runtime
    _parents.append(_runtime)
    _runtime = Runtime()


_parents: list[Runtime] = []  # kept, so that no connection of the parent is closed by a child that collects it
os.register_at_fork(after_in_child=_begin_anew)


def _where() -> tuple[str | None, ...]:
    root = os.environ.get("ASST_ROOT")
    return root, os.environ.get("ASST_STORE"), None if root and Path(root).is_absolute() else os.getcwd()  # noqa: PTH109 - a Path would cost more than the call


def _values(variables: tuple[str, ...]) -> tuple[str | None, ...]:
    return tuple(map(os.environ.get, variables))


def _stamps(files: tuple[str, ...]) -> tuple[Stamp, ...]:
    return tuple(map(_stamp, files))


def _stamp(file: str) -> Stamp:
    try:
        found = os.stat(file)  # noqa: PTH116 - a Path would cost as much again
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(root: Path | None) -> Known:
    root = root or runtime_root(os.environ)
    files = [str(root / name) for name in ("pyproject.toml", ".env.local", ".env")] if root else []
    before = _stamps(tuple(files))  # stamped first: what changes meanwhile is read again
    settings = Settings.load(root)
    own = [each.variable("OPENAI_BASE_URL") for each in settings.environments]
    variables = (*VARIABLES, *own)
    files.append(str(settings.store))
    stamps = (*before, _stamp(files[-1]))
    recorded = Store(FileStorage(settings.store), settings.project).read()
    return Known(settings, recorded, variables, _values(variables), tuple(files), stamps)


def instance(
    declaration: Declaration[Any], environment: str | None, root: Path | None = None
) -> tuple[Known, Environment, Record]:
    """The instance of an assistant in an environment, or in the current one.

    Raises:
        NotCreated: there is none.
        AsstError: the settings or the store are wrong.
    """
    known = _runtime.known(root)
    here = known.settings.environment(environment or None)
    found = known.recorded.records.get((declaration.name, here.name))
    record = found.at(here.location) if found else None
    if record is None:
        elsewhere = f" (it is recorded on {found.location.shown})" if found else ""
        where = f"{here.name} on {here.location.shown}{elsewhere}"
        raise NotCreated(f"{declaration.name} is not created in {where}: run inv asst.create")
    return known, here, record


def replied(
    declaration: Declaration[Any],
    prompt: str,
    session: str | None,
    environment: str | None,
    *,
    shown: bool,
    root: Path | None = None,
) -> Iterator[str | Reply[Any]]:
    """Ask: the text as it comes, then the reply.

    Raises:
        NotCreated: there is no instance.
        AnswerError: what came is no answer that the app can use.
        PlatformError: a request failed.
        AsstError: the settings or the store are wrong.
    """
    known, here, record = instance(declaration, environment, root)
    turn = _turn(declaration, prompt, session, known, here, record, shown)
    try:
        for piece in ask(_runtime.clients(), known.settings, here, known.recorded, turn):
            yield _reply(declaration, turn, piece) if isinstance(piece, Answer) else piece
    except AnswerError as error:
        _runtime.conversations.keep(error.session, turn.owner)
        raise


async def areplied(
    declaration: Declaration[Any], prompt: str, session: str | None, environment: str | None, *, shown: bool
) -> AsyncIterator[str | Reply[Any]]:
    """As ``replied``, on the running event loop."""
    known, here, record = instance(declaration, environment)
    turn = _turn(declaration, prompt, session, known, here, record, shown)
    try:
        async for piece in aask(_runtime.clients(), known.settings, here, known.recorded, turn):
            yield _reply(declaration, turn, piece) if isinstance(piece, Answer) else piece
    except AnswerError as error:
        _runtime.conversations.keep(error.session, turn.owner)
        raise


def run(
    root: Path,
    name: str,
    prompt: str,
    *,
    env: str | None = None,
    session: str | None = None,
    show: Callable[[str], None] | None = None,
    dry: bool = False,
) -> tuple[Step, Reply[Any] | None, Any]:
    """Ask a declared assistant by its name.

    Args:
        show: is given the text of an assistant without an output model as it comes.
        dry: look who would be asked, and ask nobody.

    Returns:
        The row of the instance that answered, the reply, and its output as plain JSON; of a dry run the row alone.

    Raises:
        AsstError: as ``replied``; or there is no such assistant.
    """
    declaration = Project.load(root, [name]).selected()[0]
    _, here, record = instance(declaration, env, root)
    row = Step(name, here.name, here.location.platform, None, id=record.id, digest=record.digest)
    if dry:
        return row, None, None
    text = declaration.output is None or declaration.output is str
    for piece in replied(declaration, prompt, session, env, shown=text and show is not None, root=root):
        if not isinstance(piece, str):
            return replace(row, id=piece.id), piece, dumped(declaration.output, piece.output)
        if text and show:
            show(piece)
    raise AssertionError("unreachable")


def _turn(
    declaration: Declaration[Any],
    prompt: str,
    session: str | None,
    known: Known,
    here: Environment,
    record: Record,
    shown: bool,
) -> Turn:
    deadline = Deadline(known.settings.timeout)
    payload = known.recorded.payloads[record.digest]
    owner = Owner(known.settings.project, declaration.name, here.name)
    if not isinstance(prompt, str) or not prompt.strip():
        raise AsstError(f"{owner}: the prompt is empty, or no text")
    if session is not None and not isinstance(session, str):
        raise AsstError(f"{owner}: session is {type(session).__name__}; give the session of a reply, which is a string")
    if session is not None and not session.strip():
        raise AsstError(f"{owner}: session is empty: give the session of a reply, or leave it out to begin a new conversation")
    if session is not None and not SESSION.fullmatch(session):
        raise AsstError(f"{owner}: session {session!r:.80} can be none: give the session of a reply, as it came")
    had = _runtime.conversations.owner(session) if session else None
    _warn_of_schema(declaration, here, record, payload)
    turn = Turn(
        owner, record.id, payload, prompt, session, had is not None, tool_functions(declaration, here.name),
        lambda text: follows(declaration.output, text), shown, deadline,
    )  # fmt: skip
    refuse_other(turn, had)
    return turn


def _warn_of_schema(declaration: Declaration[Any], here: Environment, record: Record, payload: Mapping[str, Any]) -> None:
    key = (declaration.name, here.name, record.digest)
    if key in _runtime.warned:
        return
    _runtime.warned.add(key)
    declared = build_payload(declaration, here.name)["text"]["format"]
    if canonical(declared) != canonical(payload["text"]["format"]):
        name = declaration.output.__name__ if declaration.output else "text"
        message = (
            f"{declaration.name} in {here.name}: the saved instance ({short(record.digest)}) holds the model to another schema"
            f" than {name} of this code: run inv {'asst.deploy' if here.position else 'asst.update'}"
        )
        warnings.warn(message, SchemaWarning, stacklevel=_callers_level())


def _callers_level() -> int:
    """The ``stacklevel``, for the function that calls this one, of the nearest line that is the app's."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in ("invoke_assistants", "asyncio"):
        level, frame = level + 1, frame.f_back
    return level


def _reply(declaration: Declaration[Any], turn: Turn, answer: Answer) -> Reply[Any]:
    _runtime.conversations.keep(answer.session, turn.owner)
    try:
        output = parse(declaration.output, answer.text)
    except Unfit as unfit:
        name = declaration.output.__name__ if declaration.output else "text"
        more = f" (and {len(unfit.problems) - 3} more)" if len(unfit.problems) > 3 else ""
        raise AnswerInvalid(
            f"{turn.where}: the answer does not fit {name}: {unfit}{more}; .answer holds it as it came",
            answer=answer.text, session=answer.session,
        ) from None  # fmt: skip
    return Reply(output, answer.session, answer.usage, answer.instance)
