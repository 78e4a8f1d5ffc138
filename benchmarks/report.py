"""What is shown of the figures: a table, and where they come from."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from measure import Row

ROOT = Path(__file__).parents[1]
PACKAGES = ("openai", "pydantic", "invoke")


def origin() -> dict[str, str]:
    """The day, the commit and the machine."""
    commit = _git("rev-parse", "--short=10", "HEAD") + ("" if not _git("status", "--porcelain") else ", with changes")
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": commit,
        "machine": f"{_cpu()}, {os.cpu_count()} cores, {platform.system()} {platform.release().split('-')[0]}",
        "versions": ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in PACKAGES)]),
    }


def table(rows: Sequence[Row], rounds: int, where: dict[str, str]) -> str:
    """The figures as lines of text, and below them where they come from."""
    titles = ("figure", "ours", "floor", "measured", "least–most", "goal", "")
    cells = [titles, *(_cells(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(titles))]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:6], widths[1:6]), row[6]]).rstrip() for row in cells]
    return "\n".join(
        [
            *lines,
            "",
            f"{rounds} round{'s' * (rounds != 1)}; {where['date']}, commit {where['commit']}",
            where["machine"],
            where["versions"],
            "",
        ]
    )


def _cells(row: Row) -> tuple[str, ...]:
    least = f"{row.digits(row.low)}–{row.digits(row.high)}" if row.low is not None and row.high is not None else ""
    met = {True: "met", False: "missed", None: ""}[row.met]
    return row.name, row.ours, row.floor, row.shown, least, row.aim, met


def _git(*arguments: str) -> str:
    """What git prints; nothing where there is no repository."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def _cpu() -> str:
    """The processor's model."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
