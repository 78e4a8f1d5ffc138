"""Every command and code block of the documentation does what its page says."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pages import ROOT, Session, copy_example, parse
from places import SHARED, missing, place

DOCS = ROOT / "docs"
PAGES = ["../README.md", *sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))]
EMPTY = {"tutorial.md"}  # pages that begin in an empty folder; the others begin in a clone of the example
INSTALLED = {  # the environment of the tests stands in for one that a page makes; .ci/run makes one for real
    "python3 -m venv .venv && . .venv/bin/activate": ":",
    "python3.11 -m venv .venv && .venv/bin/pip install -q -e . && ": "",
    "python3.11 -m venv .venv && .venv/bin/pip install -q -e '.[dev]' && .venv/bin/inv test": ":",
    ".venv/bin/inv": "inv",
}


@contextlib.contextmanager
def shared_stores() -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """Servers of this machine for the addresses of the page."""
    for kind in SHARED:
        if reason := missing(kind):
            pytest.skip(reason)
    with place("redis") as redis, place("postgresql") as postgres, place("s3") as s3:
        words = {
            "redis://redis.example/0?key=asst:quiz": redis.address,
            "postgresql://deployer@db.example/app?sslmode=verify-full": postgres.address,
            "s3://team-bucket/assistants_store/quiz.json": s3.address,
            "--restore REVISION": '--restore "$kept"',  # a number from the list, as the reader takes one
        }
        env = {name: value for name, value in s3.env.items() if name != "ASST_STORE"}
        yield {**env, "ASST_TEST_REDIS": redis.address}, words


SERVICES: dict[str, Callable[[], contextlib.AbstractContextManager[tuple[dict[str, str], dict[str, str]]]]] = {
    "how-to/shared-stores.md": shared_stores,
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_does_what_it_says(page: str, tmp_path: Path) -> None:
    """A reader who types a page's commands, and makes its files, from top to bottom, sees what it shows."""
    folder = tmp_path / "quiz"
    if page in EMPTY:
        folder.mkdir()
    else:
        copy_example(folder)
    services = SERVICES.get(page, lambda: contextlib.nullcontext(({}, {})))
    with services() as (env, words), Session(folder, env, words, INSTALLED) as session:
        for example in parse(DOCS / page, session).examples():
            example.evaluate()
