"""The one-way street: what may import what, and what must not be loaded."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "invoke_assistants"

LAYERS = [
    # L0: nouns
    {"errors", "records", "declaration", "replies", "settings", "sources", "base_url", "text", "turns"},
    # L1: pure, and the primitives that L2 stands on
    {"plan", "payload", "configuration", "functions", "request", "schema", "parsing", "merge", "migrate", "edits"}
    | {"files", "git", "loading"},
    # L2: ports, one owner per outside world
    {"platforms", "store"},
    # L3: verbs
    {"lifecycle", "apply", "creating", "deleting", "settling", "journal", "project", "resolving", "runtime", "session", "sweep"},
    # L4: edges
    {"tasks", "ending", "render", "assistant", "merge_driver", "round", "watch", "__init__"},
]
OWNERS = {
    "openai": {"platforms"},
    "httpx2": {"platforms"},
    "xllamacpp": {"platforms"},
    "tinydb": {"store"},
    "invoke": {"tasks"},
    "rich": {"render"},
    "rstr": {"platforms"},
    "filelock": {"files"},
    "dotenv": {"sources"},
    "pydantic": {"schema", "configuration", "functions", "parsing", "platforms"},
    "watchfiles": {"watch"},
    "datamodel_code_generator": {"migrate"},
}


def part(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> list[tuple[str, int]]:
    """(what is imported, by its first name in or outside the package; how deep in the code) of one module."""
    found = []
    package = [*path.relative_to(SOURCE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - (node.level - 1)]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found += [("." + ".".join([*base, *name.split(".")]).split(".")[0], node.col_offset) for name in names]
        elif isinstance(node, ast.ImportFrom):
            found.append(((node.module or "").split(".")[0], node.col_offset))
        elif isinstance(node, ast.Import):
            found += [(alias.name.split(".")[0], node.col_offset) for alias in node.names]
    return found


MODULES = sorted(SOURCE.rglob("*.py"))


def test_every_module_has_a_layer() -> None:
    """A new module is put into a layer on purpose."""
    assert {part(path) for path in MODULES} == set().union(*LAYERS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_downward_and_dependencies_have_one_owner(path: Path) -> None:
    """No module imports one of a layer above, and each outside world is imported by its owner alone."""
    level = {name: index for index, layer in enumerate(LAYERS) for name in layer}
    for name, _ in imports(path):
        if name.startswith("."):
            assert level[name[1:]] <= level[part(path)], f"{part(path)} imports {name}"
            assert level[part(path)] != 2 or name[1:] == part(path) or level[name[1:]] < 2, f"{part(path)} imports {name}"
        elif name in OWNERS:
            assert part(path) in OWNERS[name], f"{part(path)} imports {name}"


def modules_after(code: str, cwd: Path | None = None) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], cwd=cwd, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_listing_tasks_does_not_feel_the_plugin() -> None:
    """Importing the tasks loads nothing but this package beyond what invoke itself loads, the app included."""
    extra = modules_after("import invoke_assistants.tasks") - modules_after("import invoke")
    assert {name for name in extra if not name.startswith("invoke_assistants")} <= {"tomllib", "__future__"}
    assert not {"openai", "pydantic", "tinydb", "rich", "filelock", "dotenv", "app"} & extra


@pytest.mark.parametrize("verb", ["check('.')", "plan('.', from_store=True)"])
def test_offline_commands_load_no_openai(verb: str) -> None:
    """check and plan --offline need neither the SDK nor its transport."""
    loaded = modules_after(f"from invoke_assistants import lifecycle; lifecycle.{verb}", cwd=SOURCE.parent.parent)
    assert not {"openai", "httpx2"} & loaded
