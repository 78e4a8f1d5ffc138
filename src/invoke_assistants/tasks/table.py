"""A table fitted to a width: which columns stay, how ids are shortened, what goes to a second line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import IO

__all__ = ["ABSENT", "COLUMNS", "ID", "OUTCOME", "fit_rows", "shorten", "width_of"]

COLUMNS = NAME, ENVIRONMENT, OUTCOME, ID, DIGEST = range(5)
ABSENT = "-"
WIDTH = 80  # of a terminal that does not say its own
SHORTEST_ID = 14  # agent_b3ac…0b7
_GAP = "  "

Cell = tuple[int, str]  # a column, and its text with the spaces around it


def width_of(stream: IO[str]) -> int:
    """The columns that a table may take: what the variable COLUMNS says, else the terminal's; as many as it needs without one."""
    said = os.environ.get("COLUMNS", "")
    if said.isascii() and said.isdigit() and int(said):
        return int(said)
    try:
        return os.get_terminal_size(stream.fileno()).columns or WIDTH
    except (OSError, ValueError):  # a pipe, a file, a stream of text alone: who reads it needs whole ids
        isatty = getattr(stream, "isatty", None)  # no stream at all where whoever started this process closed it
        return WIDTH if isatty is not None and isatty() else sys.maxsize


def fit_rows(rows: Sequence[Sequence[str]], width: int) -> list[list[list[Cell]]]:
    """Lay out the rows of a table, the first of which is its header: for each row its lines, for each line its cells.

    Columns that are empty below the header are left out. Where the table is wider than ``width``, the digests go first, then
    the middle of the ids. Names are never cut: where they leave no room, a row takes several lines, the later ones indented.
    """
    shown = [column for column in COLUMNS if any(row[column] != ABSENT for row in rows[1:])]
    widths = [max(_length(row[column]) for row in rows) for column in COLUMNS]
    if _total(widths, shown) > width and DIGEST in shown:
        shown.remove(DIGEST)
    excess = _total(widths, shown) - width
    if excess > 0 and ID in shown:
        widths[ID] = max(widths[ID] - excess, min(widths[ID], SHORTEST_ID))
    if _total(widths, shown) > width:
        return [list(_stack([(column, row[column]) for column in shown], width)) for row in rows]
    return [[list(_align([(column, row[column]) for column in shown], widths))] for row in rows]


def _total(widths: Sequence[int], shown: Sequence[int]) -> int:
    return sum(widths[column] for column in shown) + len(_GAP) * (len(shown) - 1)


def _align(cells: Sequence[Cell], widths: Sequence[int]) -> Iterator[Cell]:
    """The cells of a row on one line, below those of the other rows."""
    for index, (column, text) in enumerate(cells):
        text = shorten(text, widths[column]) if column == ID else text
        padding = " " * (widths[column] - _length(text)) if index + 1 < len(cells) else ""
        yield column, f"{_GAP if index else ''}{text}{padding}"


def _stack(cells: Sequence[Cell], width: int) -> Iterator[list[Cell]]:
    """The cells of a row on as few lines as hold them; only a cell that is wider than a line goes beyond the width."""
    line: list[Cell] = []
    used = 0
    for column, text in cells:
        cell = f"{_GAP if line else ''}{shorten(text, max(width - len(_GAP), SHORTEST_ID)) if column == ID else text}"
        if line and used + _length(cell) > width:
            yield line
            line, used = [], 0
            cell = cell if _length(cell) <= width else cell.removeprefix(_GAP)
        line.append((column, cell))
        used += _length(cell)
    yield line


def shorten(text: str, length: int) -> str:
    """A text without its middle, where it is longer: ``agent_b3ac…0b7``."""
    if len(text) <= length:
        return text
    tail = max((length - 1) // 4, 1)
    return f"{text[: length - 1 - tail]}…{text[-tail:]}"


def _length(text: str) -> int:
    """The columns of a terminal that a text takes."""
    if text.isascii() and text.isprintable():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)
