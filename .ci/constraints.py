"""Print the lowest version of every dependency in pyproject.toml as constraints, for ``pip install -c``.

uv's ``--resolution lowest-direct`` does the same for a folder, but takes the newest for a wheel.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

with (Path(__file__).parent.parent / "pyproject.toml").open("rb") as file:
    dependencies = tomllib.load(file)["project"]["dependencies"]
for dependency in dependencies:
    requirement, _, marker = dependency.partition(";")
    found = re.fullmatch(r"([\w.-]+)>=([\w.]+)(,<[\w.]+)?", requirement.strip())
    if found is None:
        raise SystemExit(f"pyproject.toml: {dependency!r} has no lowest version: write NAME>=VERSION")
    print(f"{found[1]}=={found[2]}{marker and f' ;{marker}'}")
