"""Watch a project: each save is checked and brought to the first environment, one round after another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..config.settings import Settings
from ..errors import SettingsError
from ..text import printable
from .exit_codes import NOT_DECLARED

if TYPE_CHECKING:
    from watchfiles import DefaultFilter

__all__ = ["watch_project"]

NAMED = 3  # saved files that a message names


def watch_project(root: Path, only: Iterable[str] = (), *, say: Callable[[str], None] = print) -> None:
    """Run a round now and after every save, until interrupted. A round that fails shows its error and ends alone.

    What is saved during a round leads to one more. Return where the first round finds that a name in ``only`` is not
    declared, and has said so; an app that cannot be imported yet is waited for.

    Args:
        root: the project's folder; all of it is watched except what commands write and virtual environments.
        say: takes one line for people.

    Raises:
        SettingsError: watchfiles is not installed, or the settings are wrong at the start.
    """
    try:
        import watchfiles
    except ModuleNotFoundError:
        raise SettingsError("asst.watch needs watchfiles: pip install 'invoke-assistants[watch]'") from None
    after = _save_filter(root)
    first = Settings.load(root).environments[0].name
    say(f"watching {root}: every save is checked and goes to {first}; Ctrl-C ends it")
    # The first changes, which are empty, come once the watch is on: a save during the first round is seen, too.
    for number, changes in enumerate(watchfiles.watch(root, watch_filter=None, rust_timeout=100, yield_on_timeout=True)):
        before = after  # by the settings of the last round, which wrote its store
        after = _save_filter(root, before) if changes else before
        saved = sorted({os.path.relpath(path, root) for kind, path in changes if before(kind, path) and after(kind, path)})
        if saved:
            more = f" and {len(saved) - NAMED} more" if len(saved) > NAMED else ""
            say(f"\n{time.strftime('%H:%M:%S')} saved: {printable(', '.join(saved[:NAMED]))}{more}")
        if (saved or number == 0) and _run_round(root, only) == NOT_DECLARED and number == 0:
            return


def _save_filter(root: Path, before: DefaultFilter | None = None) -> DefaultFilter:
    """Which changes are saves. While the settings are wrong, which say where the store is, ``before`` stays."""
    from watchfiles import DefaultFilter

    try:
        where = Settings.load(root).store
    except SettingsError:
        if before is None:
            raise
        return before
    environments = [f"{marker.parent}{os.sep}" for marker in root.glob("*/pyvenv.cfg")]
    # The store's lock and temporary file lie beside it, under its name and a suffix.
    store = [os.path.normpath(where)] if isinstance(where, Path) else []
    return DefaultFilter(ignore_dirs=[*DefaultFilter.ignore_dirs, ".asst"], ignore_paths=[*store, *environments])


def _run_round(root: Path, only: Iterable[str]) -> int:
    """Run one round and return its exit code.

    It has a session of its own: a Ctrl-C reaches it once, from here, and not from the terminal as well.
    """
    command = [sys.executable, "-m", "invoke_assistants.tasks.watch_round", str(root), *only]
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # the round unblocks it once it is ready
    process = subprocess.Popen(command, cwd=root, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        return process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise
    finally:
        process.kill()  # a second Ctrl-C does not wait for the round
