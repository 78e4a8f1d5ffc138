"""The pictures in the docs show what commands print today."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest
from conftest import forking

from docs.pictures import FOLDER, PICTURES, draw, words_of


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_current(name: str) -> None:
    """What the commands of a picture print is what it shows, byte for byte where it was made with the same rich."""
    kept, made = (FOLDER / f"{name}.svg").read_text(), draw(name, forking.start_on)
    assert words_of(kept) == words_of(made), "run inv pictures"
    assert kept == made or f"with rich {version('rich')} " not in kept, "run inv pictures"


def test_there_is_no_other_picture() -> None:
    """Each file in the folder is one that ``inv pictures`` makes."""
    assert {path.name for path in FOLDER.iterdir()} == {f"{name}.svg" for name in PICTURES}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.svg")), ids=lambda path: path.name)
def test_a_picture_needs_nothing_from_elsewhere(path: Path) -> None:
    """No address but the name of the format, no script, no path and no name of a machine."""
    picture = path.read_text()
    assert set(re.findall(r"\w+://[^\"' )]*", picture)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"@import|@font-face|<script|<image|<foreignObject|/tmp|/home|/root", picture)
