"""The rooms: what may import what, who owns which outside world, and what must not be loaded."""

from __future__ import annotations

import importlib
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from docs.rooms import MODULES, PAGE, SOURCE, docstring, imports, name_of, page, room_of

VALUES = {"errors", "text", "types"}  # what rooms pass to each other; they import no room
ROOMS = {
    "types": set[str](),
    "declare": set[str](),
    "store": {"declare"},
    "config": {"declare", "store"},
    "sdk": {"config"},
    "emulator": {"declare", "store", "sdk"},
    "platforms": {"declare", "config", "sdk", "emulator"},
    "reconcile": {"declare", "store", "config", "sdk", "emulator", "platforms"},
    "ask": {"declare", "store", "config", "sdk", "emulator", "platforms"},
    "migrate": {"declare"},
    "evals": {"declare", "store", "config", "ask"},
    "commands": {"declare", "store", "config", "sdk", "emulator", "platforms", "reconcile", "ask", "evals"},
    "tasks": None,
}
OWNERS = {
    "datamodel_code_generator": {"migrate"},
    "dotenv": {"config"},
    "filelock": {"store"},
    "httpx2": {"ask", "emulator", "platforms", "sdk"},
    "invoke": {"tasks"},
    "obstore": {"store"},
    "openai": {"ask", "emulator", "sdk"},
    "opentelemetry": {"sdk"},
    "psycopg": {"store"},
    "pydantic": {"ask", "declare", "emulator", "evals"},
    "pydantic_evals": {"evals"},
    "pytest": {"testing"},
    "redis": {"store"},
    "rich": {"tasks"},
    "rstr": {"declare", "emulator"},
    "tinydb": {"store"},
    "tomlkit": {"tasks"},
    "watchfiles": {"tasks"},
    "xllamacpp": {"emulator"},
    "yaml": {"evals"},
}
LONGEST = 320  # lines of a module


def test_every_module_is_in_a_room() -> None:
    """A folder is a room of the table, and at most ten modules stand outside of one."""
    assert {path.parent.name for path in MODULES if path.parent != SOURCE} == set(ROOMS)
    assert len([path for path in MODULES if path.parent == SOURCE]) <= 10


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_may_import(room: str) -> None:
    """Each room's docstring holds its line of the table."""
    allowed = ROOMS[room]
    said = "everything" if allowed is None else ", ".join(each for each in ROOMS if each in allowed) or "no other room"
    assert docstring(SOURCE / room / "__init__.py").endswith(f"\n\nMay import: {said}.")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_downward_and_dependencies_have_one_owner(path: Path) -> None:
    """A module imports its own room, those of its room's line, and the root's values; an outside world has its owners."""
    room = room_of(name_of(path))
    for name in imports(path):
        if name in OWNERS:
            assert room in OWNERS[name], f"{room} imports {name}"
        elif name.startswith("."):
            other = room_of(name[1:])
            allowed = set() if room in VALUES else ROOMS.get(room)
            assert other == room or other in VALUES or allowed is None or other in allowed, f"{room} imports {name}"


def test_no_circle() -> None:
    """The modules of the package can be read in an order in which each imports only those before it."""
    graph = {name_of(path): {name[1:] for name in imports(path) if name.startswith(".")} - {name_of(path)} for path in MODULES}
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_is_read_at_a_sitting(path: Path) -> None:
    """No module has more than 320 lines."""
    assert len(path.read_text().splitlines()) <= LONGEST


def test_the_page_about_the_architecture_is_current() -> None:
    """Its picture and its lists are what ``python docs/rooms.py`` makes of the code."""
    assert PAGE.read_text() == page()


def modules_after(code: str, cwd: Path | None = None) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], cwd=cwd, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_listing_tasks_does_not_feel_the_plugin() -> None:
    """Importing the tasks loads nothing but this package beyond what invoke itself loads, the app included."""
    extra = modules_after("import invoke_assistants.tasks") - modules_after("import invoke")
    assert {name for name in extra if not name.startswith("invoke_assistants")} <= {"tomllib", "__future__", "gc"}
    assert not {"openai", "pydantic", "tinydb", "rich", "filelock", "dotenv", "app"} & extra
    rooms = {name.split(".")[1] for name in extra if name.startswith("invoke_assistants.")}
    assert rooms <= {"errors", "tasks", "text"}, "a task module imports at its top what only its body uses"


@pytest.mark.parametrize("package", ["invoke_assistants", "invoke_assistants.commands"])
def test_names_that_are_loaded_late_are_all_there(package: str) -> None:
    """Each public name is found, listed and the same each time; another one is an ordinary AttributeError."""
    module = importlib.import_module(package)
    for name in module.__all__:
        assert getattr(module, name) is getattr(module, name)
    assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        _ = module.nothing


def test_a_verb_loads_no_other_verb() -> None:
    """Updating loads the module of its own verb, and none that rolls back, evaluates, deletes or shows."""
    loaded = modules_after("from invoke_assistants import commands; commands.update")
    verbs = {name.removeprefix("invoke_assistants.commands.") for name in loaded if ".commands." in name}
    assert verbs == {"arguments", "deploying", "gating"}


@pytest.mark.parametrize("verb", ["check('.')", "plan('.', from_store=True)"])
def test_offline_commands_load_no_openai(tmp_path: Path, verb: str) -> None:
    """check and plan --offline need neither the SDK nor its transport, nor pydantic-evals where no evals are declared."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "p"\n[tool.asst]\nassistants = "declared:ASSISTANTS"\n')
    app = 'from invoke_assistants import Assistant\nASSISTANTS = [Assistant("talker", model="m", instructions="Talk.")]\n'
    (tmp_path / "declared.py").write_text(app)
    loaded = modules_after(f"from invoke_assistants import commands; commands.{verb}", cwd=tmp_path)
    assert not {"openai", "httpx2", "pydantic_evals"} & loaded


def test_a_check_of_evals_loads_no_openai() -> None:
    """Datasets are checked by pydantic-evals, without the SDK; what it loads itself is its own."""
    loaded = modules_after("from invoke_assistants import commands; commands.check('.')", cwd=SOURCE.parent.parent)
    assert "pydantic_evals" in loaded
    assert "openai" not in loaded
