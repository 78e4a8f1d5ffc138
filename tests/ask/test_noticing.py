"""A running app notices what changed: variables, the store and the current folder at its next question, settings files soon."""

from __future__ import annotations

import json
import os
from collections import UserDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from conftest import Host
from terminals import wait_until

from invoke_assistants import Assistant, NotCreated, SettingsError, commands

TALKER: Assistant[str] = Assistant("talker", model="gpt-6-luna", instructions="Talk.")


@pytest.fixture
def app(local_host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A project whose current folder this process is in, with both instances, and of its assistants the talker only."""
    commands.create(local_host.root, only=["talker"])
    monkeypatch.chdir(local_host.root)
    monkeypatch.delenv("ASST_ROOT", raising=False)
    return local_host


def write(path: Path, text: str) -> None:
    """Write a file in its place."""
    path.write_text(text)


def replace(path: Path, text: str) -> None:
    """Write another file and rename it, as editors do."""
    other = path.with_name("other.tmp")
    other.write_text(text)
    other.replace(path)


def noticed(id: str) -> None:
    """The talker's id soon is this one."""
    wait_until(lambda: TALKER.id() == id, 2)


@pytest.mark.parametrize("how", [write, replace])
@pytest.mark.parametrize("file", [".env", ".env.local"])
def test_a_file_of_settings(app: Host, how: Callable[[Path, str], None], file: str) -> None:
    """One that is made, edited or deleted counts within a tenth of a second."""
    ids = app.ids()
    path = app.root / file
    for _ in range(3):
        noticed(ids["talker", "development"])
        how(path, "ASST_ENV=production\n")
        noticed(ids["talker", "production"])
        how(path, "ASST_ENV=development\n")
        noticed(ids["talker", "development"])
        how(path, "ASST_ENV=production\n")
        noticed(ids["talker", "production"])
        path.unlink()


@pytest.mark.parametrize("how", [write, replace])
def test_pyproject_toml(app: Host, how: Callable[[Path, str], None]) -> None:
    """An edit of it counts within a tenth of a second."""
    path = app.root / "pyproject.toml"
    before = path.read_text()
    for _ in range(3):
        noticed(app.ids()["talker", "development"])
        how(path, f'{before}environment = "production"\n')
        noticed(app.ids()["talker", "production"])
        how(path, before)


@pytest.mark.parametrize("how", [write, replace])
def test_the_store(app: Host, how: Callable[[Path, str], None]) -> None:
    """Another id in it, the whole file gone, and the file back: each is seen by the next question."""
    TALKER.id()
    tables = app.store
    for number in range(10):
        tables["assistants"]["talker"]["development"]["id"] = f"agent_{number}"
        how(app.path, json.dumps(tables))
        assert TALKER.id() == f"agent_{number}"
        app.path.unlink()
        with pytest.raises(NotCreated):
            TALKER.id()
    how(app.path, json.dumps(tables))
    assert TALKER.id() == "agent_9"


def test_a_command_in_this_process(app: Host) -> None:
    """What a command wrote is known when it returns."""
    judge: Assistant[str] = Assistant("judge", model="gpt-6-luna")
    for _ in range(3):
        with pytest.raises(NotCreated):
            judge.id()
        commands.create(app.root)
        assert judge.id() == app.ids()["judge", "development"]
        commands.delete(app.root, only=["judge"], yes=True)


def test_a_variable(app: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is set, changed, blank or unset counts at once, also where a test puts another mapping in its place."""
    ids = app.ids()
    for _ in range(3):
        assert TALKER.id() == ids["talker", "development"]
        monkeypatch.setenv("APP_ENV", "production")
        assert TALKER.id() == ids["talker", "production"]
        monkeypatch.setenv("ASST_ENV", "development")
        assert TALKER.id() == ids["talker", "development"]
        monkeypatch.setenv("ASST_ENV", " ")
        assert TALKER.id() == ids["talker", "production"]
        monkeypatch.delenv("ASST_ENV")
        monkeypatch.delenv("APP_ENV")
    for variable in ("ASST_PLATFORM", "ASST_STORE", "ASST_TIMEOUT"):
        with monkeypatch.context() as context:
            context.setenv(variable, "no://such")
            with pytest.raises(SettingsError):
                TALKER.id()
    here = dict(os.environ)
    with monkeypatch.context() as context:
        context.setattr(os, "environ", here | {"ASST_ENV": "production"})
        assert TALKER.id() == ids["talker", "production"]
        context.setattr(os, "environ", here)
        assert TALKER.id() == ids["talker", "development"]
        here["APP_ENV"] = "production"
        assert TALKER.id() == ids["talker", "production"]
    assert TALKER.id() == ids["talker", "development"]

    class OfItsOwn(UserDict[str, str]):
        _data: ClassVar[dict[str, str]] = {}

    with monkeypatch.context() as context:
        context.setattr(os, "environ", OfItsOwn(here | {"ASST_ENV": "production"}))
        assert TALKER.id() == ids["talker", "production"]


def test_the_current_folder(app: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing names the project, the folder that the process is in does; ``ASST_ROOT`` goes before it."""
    here, there = app.ids(), Host(tmp_path / "there", app.env)
    commands.create(there.root, only=["talker"])
    tables = there.store
    tables["assistants"]["talker"]["development"]["id"] = "agent_there"
    write(there.path, json.dumps(tables))
    (there.root / "below").mkdir()
    for _ in range(3):
        monkeypatch.chdir(there.root / "below")
        assert TALKER.id() == "agent_there"
        monkeypatch.setenv("ASST_ROOT", str(app.root))
        assert TALKER.id() == here["talker", "development"]
        monkeypatch.delenv("ASST_ROOT")
        assert TALKER.id() == "agent_there"
        monkeypatch.chdir(app.root)
        assert TALKER.id() == here["talker", "development"]


def test_what_a_known_id_costs(app: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A known id looks once at the store, now and then at the files of settings, and reads nothing else."""
    (app.root / ".env").write_text("ASST_ENV=development\n")
    TALKER.id()
    looks: list[str] = []

    def counting(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(path: Any, *args: Any, **options: Any) -> Any:
            looks.append(f"{name} {Path(os.fsdecode(path)).name}")
            return real(path, *args, **options)

        return call

    for name in ("stat", "lstat", "access", "open", "listdir", "scandir"):
        monkeypatch.setattr(os, name, counting(name))
    for _ in range(1000):
        TALKER.id()
    monkeypatch.undo()
    assert looks.count("stat assistants_store.json") == 1000
    others = {each: looks.count(each) for each in looks if each != "stat assistants_store.json"}
    assert others.keys() <= {"stat pyproject.toml", "stat .env", "access .env.local"}
    assert sum(others.values()) < 300
