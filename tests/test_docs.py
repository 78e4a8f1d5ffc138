"""The README and the docs say what is so, and everything that a user meets has its place in them."""

from __future__ import annotations

import importlib
import inspect
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pages import ROOT

import invoke_assistants
from docs import reference
from invoke_assistants import errors, tasks
from invoke_assistants.config import sources
from invoke_assistants.config.settings import Settings

DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text()
SETTINGS = (DOCS / "reference" / "settings.md").read_text()
PAGES = sorted(DOCS.rglob("*.md"))
NAV = (ROOT / "zensical.toml").read_text()


def test_the_readme_is_short() -> None:
    """Somebody who has never heard of the project reads the README to its end."""
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("name", reference.PARTS)
def test_a_generated_page_is_current(name: str) -> None:
    """What ``python docs/reference.py`` makes of the code is what the page says."""
    [(path, text)] = [(path, text) for path, text in reference.pages() if path.name == name]
    assert path.read_text() == text


def test_every_flag_has_its_help() -> None:
    """Each argument of each task says what it is."""
    for name, task in tasks.ns.tasks.items():
        for argument in task.get_arguments():
            assert argument.help, f"asst.{name} --{argument.name}"


def test_every_setting_has_its_row() -> None:
    """Each key of [tool.asst] and each variable that is read has a row of the table, and nothing else has."""
    keys = set(re.findall(r"^\| `(\w+)` \|", SETTINGS, re.M))
    assert keys == set(sources._KEYS)
    rows = "\n".join(line for line in SETTINGS.splitlines() if line.startswith("|"))
    variables = set(re.findall(r"`([A-Z][A-Z_]+)`", rows))
    assert variables == {*sources.OUR_VARIABLES, *sources.OPENAI_VARIABLES, "ASST_ROOT", "ACTION"}


def test_the_defaults_in_the_table_are_the_defaults(tmp_path: Path) -> None:
    """A project that sets nothing has what the table says."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "p"\n')
    settings = Settings.load(tmp_path, {})
    found = re.findall(r"^\| `?([\w–]+)`? \| `?(\w+)`?.*? \| (.*) \|$", SETTINGS, re.M)
    rows = {variable if key == "–" else key: default for key, variable, default in found}
    assert f"`{settings.assistants}`" in rows["assistants"]
    assert isinstance(settings.store, Path)
    assert f"`{settings.store.name}`" in rows["store"]
    assert f"`{settings.environments[0].location.platform}`" in rows["platform"]
    assert rows["concurrency"].startswith(f"`{settings.concurrency}`")
    assert rows["timeout"].startswith(f"`{settings.timeout:g}` seconds")
    assert rows["ASST_STORE_CACHE"].startswith(f"`{settings.store_cache:g}` seconds")
    assert f"`{settings.environments[0].base_url}`" in rows["OPENAI_BASE_URL"]


def is_described(value: Any) -> bool:
    """Whether it has a docstring of its own, not its parent's and not the signature that a dataclass has without one."""
    text = value.__doc__ or ""
    return bool(text) and not text.startswith(f"{getattr(value, '__name__', '')}(")


def test_every_public_name_has_a_docstring_and_a_place() -> None:
    """Each name of the package is described, with its parts, and stands in the reference."""
    api, listed = (DOCS / "reference" / "api.md").read_text(), (DOCS / "reference" / "errors.md").read_text()
    for name in invoke_assistants.__all__:
        value = getattr(invoke_assistants, name)
        assert is_described(value), name
        assert f"### {name}\n" in api or f"| `{name}` |" in listed, name
        members = vars(value).items() if inspect.isclass(value) else ()
        for member, part in members:
            if not member.startswith("_") and (inspect.isfunction(part) or isinstance(part, property)):
                assert is_described(part), f"{name}.{member}"


@pytest.mark.parametrize("module", ["commands", "tasks", "testing"])
def test_every_function_for_users_has_a_docstring(module: str) -> None:
    """The other modules that a project imports describe what they offer."""
    found = importlib.import_module(f"invoke_assistants.{module}")
    for name in found.__all__:
        assert name == "ns" or is_described(getattr(found, name)), name


def test_every_error_has_its_place() -> None:
    """Each class of errors is public and in the tree of the module that defines them."""
    assert set(errors.__all__) <= set(invoke_assistants.__all__)
    for name in errors.__all__:
        assert name in (errors.__doc__ or "")


def test_a_type_is_taken_or_has_something_to_use_instead() -> None:
    """The table of types says of each type that is refused, and of no other, what to use instead."""
    for written, kind, instead in reference.TYPES:
        assert bool(reference.problems_of(kind)) == bool(instead), written


def test_every_page_is_in_the_navigation() -> None:
    """A page that no menu shows is a page that nobody finds."""
    navigated = set(re.findall(r'"([\w/-]+\.md)"', NAV))
    assert navigated == {str(path.relative_to(DOCS)) for path in PAGES}
    assert tomllib.loads(NAV)


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES], ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link of a page leads to a file, and where it names a heading, that is there."""
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(#[^)\s]+)?\)", page.read_text()):
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), target
        if anchor and path.suffix == ".md":
            headings = {
                "#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
                for heading in re.findall(r"^#+ (.*)$", path.read_text(), re.M)
            }
            assert anchor in headings, f"{target}{anchor}"


def test_the_changelog_has_an_entry() -> None:
    """Keep a Changelog: what is not released yet stands at the top."""
    assert "## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text()


RELIABILITY = (DOCS / "explanation" / "reliability.md").read_text()


def test_the_tests_named_in_the_docs_exist() -> None:
    """Each test that the page about reliability names exists."""
    named = set(re.findall(r"`(test_\w+)`", RELIABILITY))
    defined = {
        name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
    }
    assert named - defined == set()
    assert len(named) > 40


def test_the_counts_in_the_docs_are_those_of_the_suite(request: pytest.FixtureRequest) -> None:
    """The numbers of tests on the page about reliability are right, in the rows whose tests are all collected."""
    here = Counter(item.originalname for item in request.session.items if isinstance(item, pytest.Function))
    wrong: list[str] = []
    for said, named in re.findall(r"\| (\d+), (`test_.*) \|$", RELIABILITY, re.M):
        counts = [here[name] for name in re.findall(r"`(test_\w+)`", named)]
        if all(counts) and sum(counts) != int(said):
            wrong.append(f"{sum(counts)}, not {said}: {named}")
    assert not wrong


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/explanation/architecture.md", "docs/explanation/reliability.md"])
def test_the_files_named_in_the_docs_exist(page: str) -> None:
    """A path in code quotes leads to a file of the repository or of the package; a NAME in it stands for a new one."""
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", (ROOT / page).read_text())
    missing = [
        each
        for each in named
        if "NAME" not in each and not any((root / each).exists() for root in (ROOT, ROOT / "src" / "invoke_assistants"))
    ]
    assert missing == []
    assert named
