"""Watching a project: what is saved is checked and brought to the first environment, round by round."""

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

if TYPE_CHECKING:
    from watchfiles import DefaultFilter

__all__ = ["watch"]

SHOWN = 3  # saved files that are named


def watch(root: Path, only: Iterable[str] = (), *, say: Callable[[str], None] = print) -> None:
    """Run a round now and after every save, until interrupted; what goes wrong in one is shown and survived.

    What is saved during a round leads to one more.

    Args:
        root: the project's folder; all of it is watched but what commands write and virtual environments.
        say: takes one line for people.

    Raises:
        SettingsError: watchfiles is not installed, or the settings are wrong to begin with.
    """
    try:
        import watchfiles
    except ModuleNotFoundError:
        raise SettingsError("asst.watch needs watchfiles: pip install 'invoke-assistants[watch]'") from None
    wanted = _filter(root)
    first = Settings.load(root).environments[0].name
    say(f"watching {root}: every save is checked and goes to {first}; Ctrl-C ends it")
    # The watch is on with the first answer, which is empty: what is saved during the first round is seen, too.
    for number, changes in enumerate(watchfiles.watch(root, watch_filter=None, rust_timeout=100, yield_on_timeout=True)):
        before = wanted  # of the settings that the last round had, which wrote its store
        wanted = _filter(root, before) if changes else before
        saved = sorted({os.path.relpath(path, root) for kind, path in changes if before(kind, path) and wanted(kind, path)})
        if saved:
            more = f" and {len(saved) - SHOWN} more" if len(saved) > SHOWN else ""
            say(f"\n{time.strftime('%H:%M:%S')} saved: {printable(', '.join(saved[:SHOWN]))}{more}")
        if saved or number == 0:
            _round(root, only)


def _filter(root: Path, before: DefaultFilter | None = None) -> DefaultFilter:
    """What counts as a save; as ``before`` while the settings, which say where the store is, are wrong."""
    from watchfiles import DefaultFilter

    try:
        store = os.path.normpath(Settings.load(root).store)
    except SettingsError:
        if before is None:
            raise
        return before
    virtual = [f"{marker.parent}{os.sep}" for marker in root.glob("*/pyvenv.cfg")]
    # The store's lock and temporary file lie beside it, under its name and a suffix.
    return DefaultFilter(ignore_dirs=[*DefaultFilter.ignore_dirs, ".asst"], ignore_paths=[store, *virtual])


def _round(root: Path, only: Iterable[str]) -> None:
    """Run one round, which gets a single interruption however it comes: in a session of its own, from here alone."""
    command = [sys.executable, "-m", "invoke_assistants.tasks.watch_round", str(root), *only]
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # until the round is ready for it
    process = subprocess.Popen(command, cwd=root, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise
    finally:
        process.kill()  # of a round that a second Ctrl-C did not wait for
