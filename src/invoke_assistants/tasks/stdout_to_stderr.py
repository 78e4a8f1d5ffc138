"""Keeping the app's output away from the results: what evaluators and the app's functions print is none."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Generator

__all__ = ["stdout_to_stderr"]


@contextlib.contextmanager
def stdout_to_stderr() -> Generator[None]:
    """Until the block ends, all that is written to stdout goes to stderr: also by other programs, and below Python."""
    with _descriptor_redirected(), contextlib.redirect_stdout(sys.stderr):
        yield


@contextlib.contextmanager
def _descriptor_redirected() -> Generator[None]:
    """Point file descriptor 1 at stderr, where it is stdout: a test or a notebook has another one."""
    stdout, stderr = sys.stdout, sys.stderr
    try:
        if stdout.fileno() != 1:
            raise OSError
        stdout.flush()
        kept = os.dup(1)
        os.dup2(stderr.fileno(), 1)
    except (AttributeError, OSError, ValueError):
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):  # what it wrote to sys.__stdout__, and a pipe that nobody reads
            stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
