"""How fast the commands are, as ratios to a floor in the same run: ``inv bench``. See ``README.md``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from measure import Row, opened
from page import draw, save
from parts import PARTS
from peers import peers
from report import origin, table

NAMES = (*PARTS, "peers")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """End with the message."""
        self.exit(2, f"{self.prog}: {message}\n")


def part(name: str) -> str:
    """The name of a part."""
    if name not in NAMES:
        raise argparse.ArgumentTypeError(f"there is no part {name!r}, only {', '.join(NAMES)}")
    return name


def rounds(text: str) -> int:
    """A number of rounds."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def arguments() -> argparse.Namespace:
    """What the command line says; ``parts`` are those to measure."""
    parser = Parser(prog="inv bench")
    parser.add_argument("--only", type=part, action="append", default=[])
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--rounds", type=rounds, default=7)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    given.parts = list(dict.fromkeys([*(given.only or PARTS), *(["peers"] if given.peers else [])]))
    if given.out:
        if given.only and given.parts != ["peers"]:
            parser.error("--out needs a whole run: give it without --only, or with --only peers")
        try:
            given.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            parser.error(f"--out {given.out}: {error.strerror}")
        if not os.access(given.out, os.W_OK):
            parser.error(f"--out {given.out}: it cannot be written to")
    return given


def end(number: int, _: object) -> None:
    """End with the exit code of a signal, so that the server and the processes that are measured end too."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)  # nothing interrupts the end
    sys.exit(128 + number)


def main() -> None:
    """Measure, print the tables, and write the files where a folder is given."""
    given = arguments()
    for each in SIGNALS:
        if signal.getsignal(each) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(each, end)
    where = origin()
    rows: list[Row] = []
    with opened(given.rounds) as bench:
        for name in given.parts:
            print(f"measuring {name} …", file=sys.stderr, flush=True)
            rows += (peers if name == "peers" else PARTS[name])(bench)
    groups = {"speed": [row for row in rows if row.part != "peers"], "peers": [row for row in rows if row.part == "peers"]}
    written: Sequence[Path] = []
    for name, group in groups.items():
        if group:
            counted = given.rounds if name == "speed" else len(group[0].raw)
            print(table(group, counted, where))
            if given.out:
                written = [*written, save(given.out, name, group, counted, where)]
    if given.out:
        print("wrote", ", ".join(str(each) for each in [*written, *draw(given.out)]))


if __name__ == "__main__":
    main()
