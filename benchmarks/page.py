"""The files of a run in a folder: its figures as JSON, and from them the pictures and the tables of ``speed.md``.

``python benchmarks/page.py FOLDER`` makes pictures and tables anew from the figures that are there.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from measure import Row
from picture import Bar, picture
from report import table

CUT_OFF = 2.0  # times the goal; a longer bar says no more


def save(folder: Path, name: str, rows: Sequence[Row], rounds: int, origin: dict[str, str]) -> Path:
    """Write the figures of a run to ``NAME.json``; return its path."""
    file = folder / f"{name}.json"
    content = {"origin": origin, "rounds": rounds, "rows": [asdict(row) for row in rows]}
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return file


def draw(folder: Path) -> list[Path]:
    """Make the pictures, and the tables of ``speed.md`` if it is there, of the figures in a folder; return what was written."""
    page, written = folder / "speed.md", []
    for name, make in (("speed", _speed), ("peers", _peers)):
        file, picture_file = folder / f"{name}.json", folder / f"{name}.svg"
        if not file.exists():
            continue
        content = json.loads(file.read_text())
        rows = [Row(**row) for row in content["rows"]]
        picture_file.write_text(make(rows, content["origin"]))
        written.append(picture_file)
        if page.exists():
            before, _, rest = page.read_text().partition(f"<!-- {name} -->\n")
            block = f"```text\n{table(rows, content['rounds'], content['origin'])}```\n"
            page.write_text(f"{before}<!-- {name} -->\n{block}<!-- end -->{rest.partition('<!-- end -->')[2]}")
    return [*written, page] if written and page.exists() else written


def _speed(rows: Sequence[Row], origin: dict[str, str]) -> str:
    """Each figure as a part of its goal."""
    bars = []
    for row in rows:
        if row.goal:
            tone = "met" if row.met else "missed"
            if row.kind == "exact":
                bars.append(Bar(row.name, None, f"{row.shown}, {'exactly' if row.met else 'not'} the goal", tone))
            else:
                bars.append(Bar(row.name, row.value / row.goal, f"{row.shown}, {row.aim}", tone))
    below = "Each bar is a figure, the line is its goal: shorter is better; a break shows a bar that is cut."
    below += f" {origin['date']}, commit {origin['commit']}."
    return picture("Speed against the goals", below, bars, CUT_OFF, 1.0)


def _peers(rows: Sequence[Row], origin: dict[str, str]) -> str:
    """The seconds of each tool, by kind of work."""
    bars: list[Bar] = []
    longest = 0.0
    for kind in dict.fromkeys(row.name.partition(":")[0] for row in rows):
        same = [row for row in rows if row.name.startswith(f"{kind}:")]
        ours = statistics.median(mine for row in same for mine, _ in row.raw)
        bars.append(Bar(f"{kind}: invoke-assistants", ours, same[0].ours, "ours"))
        theirs = [statistics.median(each[1] for each in row.raw) for row in same]
        bars += [
            Bar(row.name.rpartition(" than ")[2], seconds, row.floor, "other") for row, seconds in zip(same, theirs, strict=True)
        ]
        longest = max(longest, ours, *theirs)
    below = f"Whole processes at 50 ms per request: shorter is better. {origin['date']}, commit {origin['commit']}."
    return picture("The same work with other tools", below, bars, longest)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python benchmarks/page.py FOLDER")
    print("wrote", ", ".join(map(str, draw(Path(sys.argv[1])))) or "nothing: the folder has no speed.json and no peers.json")
