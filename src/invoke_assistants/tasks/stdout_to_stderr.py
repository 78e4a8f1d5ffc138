"""Keeping the app's output away from the results: what evaluators and the app's functions print is none."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Generator
from typing import Any

__all__ = ["stdout_to_stderr"]


@contextlib.contextmanager
def stdout_to_stderr() -> Generator[None]:
    """Until the block ends, all that is written to stdout goes to stderr: also by other programs, and below Python.

    Then both streams are again what they were, whatever the app's code did to them.
    """
    before = [(name, getattr(sys, name), _descriptor(getattr(sys, name))) for name in ("stdout", "stderr")]
    try:
        with _descriptors_kept(before[0][2], before[1][2]):
            sys.stdout = sys.stderr
            yield
    finally:
        for name, stream, descriptor in before:
            if descriptor is not None and stream.closed:
                setattr(sys, name, open(descriptor, "w", 1, stream.encoding, stream.errors, closefd=False))  # noqa: SIM115
            else:
                setattr(sys, name, stream)


def _descriptor(stream: Any) -> int | None:
    """The file descriptor of a stream; a test or a notebook has streams without."""
    try:
        return int(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return None


@contextlib.contextmanager
def _descriptors_kept(stdout: int | None, stderr: int | None) -> Generator[None]:
    """Point file descriptor 1 at stderr, where it is stdout, and put both back at the end."""
    if stdout != 1 or stderr is None:
        yield
        return
    opened = sys.stdout
    try:
        opened.flush()
        kept = {each: os.dup(each) for each in (stdout, stderr)}
        os.dup2(stderr, stdout)
    except OSError:
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):  # what it wrote to sys.__stdout__, and a pipe that nobody reads
            opened.flush()
        for each, copy in kept.items():
            os.dup2(copy, each)
            os.close(copy)
