"""Every command and code block of the documentation does what its page says."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import ROOT, Session, copy_example, parse

DOCS = ROOT / "docs"
PAGES = sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))
EMPTY = {"tutorial.md"}  # pages that begin in an empty folder; the others begin in a clone of the example


@pytest.mark.parametrize("page", PAGES)
def test_a_page_does_what_it_says(page: str, tmp_path: Path) -> None:
    """A reader who types a page's commands, and makes its files, from top to bottom, sees what it shows."""
    folder = tmp_path / "quiz"
    if page in EMPTY:
        folder.mkdir()
    else:
        copy_example(folder)
    with Session(folder, {}, {}) as session:
        for example in parse(DOCS / page, session).examples():
            example.evaluate()
