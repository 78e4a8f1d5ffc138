"""Settings of a store at a URL: its cache time, a run time without a project, and its password, which nothing shows."""

from __future__ import annotations

import asyncio
import traceback
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Host
from places import missing
from rich.pretty import pretty_repr

from invoke_assistants import Assistant, AsstError, commands
from invoke_assistants.ask.process_cache import process_cache
from invoke_assistants.config.project import open_store
from invoke_assistants.config.root import runtime_root
from invoke_assistants.config.settings import Settings
from invoke_assistants.errors import SettingsError, StoreError

PASSWORD = "canary-password"
DOWN = f"redis://app:{PASSWORD}@127.0.0.1:1/0?key=k"
TALKER: Assistant[str] = Assistant("talker", model="m", instructions="Talk.")


def test_the_cache_time_is_a_number_of_seconds(tmp_path: Path) -> None:
    """It comes from a variable or a ``.env`` file; the default is 5, and 0 is each time."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "p"\n')
    assert Settings.load(tmp_path, {}).store_cache == 5
    for text, seconds in {"0": 0, "0.25": 0.25, "86400": 86400}.items():
        assert Settings.load(tmp_path, {"ASST_STORE_CACHE": text}).store_cache == seconds
    (tmp_path / ".env").write_text("ASST_STORE_CACHE=30")
    assert Settings.load(tmp_path, {}).store_cache == 30


@pytest.mark.parametrize("text", ["-1", "soon", "1e3", "nan", "inf", "5s", "0x10", "٣"])
def test_a_cache_time_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    """The message names the variable."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "p"\n')
    with pytest.raises(SettingsError, match="ASST_STORE_CACHE must be a number of seconds"):
        Settings.load(tmp_path, {"ASST_STORE_CACHE": text})


def test_a_url_or_an_absolute_path_needs_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder the project is the store's, or ``ASST_PROJECT``; a relative path needs a folder."""
    monkeypatch.chdir(tmp_path)
    for store in (DOWN, str(tmp_path / "store.json")):
        assert runtime_root({"ASST_STORE": store}) is None
        assert Settings.load(None, {"ASST_STORE": store}).project == ""
        assert Settings.load(None, {"ASST_STORE": store, "ASST_PROJECT": "p"}).project == "p"
    with pytest.raises(SettingsError, match="set ASST_ROOT to the project's folder, or ASST_STORE to an absolute path or a URL"):
        runtime_root({"ASST_STORE": "store.json"})
    (tmp_path / "pyproject.toml").write_text("")
    assert runtime_root({"ASST_STORE": DOWN}) == tmp_path
    with pytest.raises(SettingsError, match="has no name"):
        Settings.load(tmp_path, {"ASST_STORE": DOWN})


def test_nothing_prints_the_password(tmp_path: Path) -> None:
    """Settings can be logged."""
    settings = Settings.load(None, {"ASST_STORE": DOWN})
    assert PASSWORD not in repr(settings) + str(settings.store) + pretty_repr(settings)
    assert "app:***@127.0.0.1" in repr(settings)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://127.0.0.1:1/0?kee=x", "redis://127.0.0.1:1/0 has an unknown option 'kee'; did you mean 'key'?"),
        (f"redis://h/0?key=k&pasword={PASSWORD}", "unknown option 'pasword'; did you mean 'password'?"),
        ("rediss://h/0?ssl_cert_req=none&key=k", "unknown option 'ssl_cert_req'; did you mean 'ssl_cert_reqs'?"),
        ("redis://h/0?zzzz=1", "unknown option 'zzzz'; ours is key, the others are those of the driver"),
        ("postgresql://127.0.0.1:1/db?asst_tabel=t", "unknown option 'asst_tabel'; did you mean 'asst_table'?"),
        (f"postgresql://u:{PASSWORD}@127.0.0.1:1/db?sslmod=require", "unknown option 'sslmod'; did you mean 'sslmode'?"),
    ],
)
def test_an_unknown_option_of_a_stores_url(tmp_path: Path, url: str, expected: str) -> None:
    """It is named with the one that is meant, before anything is connected to, without a value and a library's own words."""
    settings = Settings.load(None, {"ASST_STORE": url, "ASST_PROJECT": "p"})
    with pytest.raises(SettingsError) as caught:
        open_store(settings)
    assert str(caught.value).endswith(expected)
    assert str(caught.value).startswith(f"ASST_STORE: {url.partition('://')[0]}://")
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis://127.0.0.1:1/0", "Connection refused"),
        ("redis://no-such-host.invalid/0", "cannot be reached"),
        ("postgresql://127.0.0.1:1/db", "Connection refused"),
        pytest.param(
            "postgresql://postgres@127.0.0.1:5432/no_such_db", '"no_such_db" does not exist',
            marks=pytest.mark.skipif(missing("postgresql") is not None, reason=str(missing("postgresql"))),
        ),
    ],
)  # fmt: skip
def test_a_server_that_cannot_be_used_is_told_with_its_setting(tmp_path: Path, url: str, why: str) -> None:
    """The message ends with where the URL comes from: the wrong server is named there as often as the right one is down."""
    (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "p"\n[tool.asst]\nstore = "{url}"\n')
    places = {"ASST_STORE": {"ASST_STORE": url}, "store in [tool.asst] of pyproject.toml": {}}
    for source, environ in places.items():
        with closing(open_store(Settings.load(tmp_path, environ))) as store, pytest.raises(StoreError, match=why) as caught:
            store.read()
        assert str(caught.value).endswith(f" ({source} names it)")


@pytest.mark.parametrize(
    "url",
    [
        "redis://h/0?key=k&db=1&socket_timeout=3&client_name=x&max_connections=5&username=u&password=p&protocol=3",
        "rediss://h/0?ssl_cert_reqs=none&ssl_ca_certs=/x&health_check_interval=3",
        "postgresql://h/db?asst_table=t&sslmode=require&application_name=x&connect_timeout=3&host=a,b&ssl=true",
    ],
)
def test_the_drivers_options_are_taken(url: str) -> None:
    """What the driver itself takes is known by asking it."""
    open_store(Settings.load(None, {"ASST_STORE": url, "ASST_PROJECT": "p"})).close()


@pytest.mark.parametrize(
    "url",
    [
        DOWN,
        f"redis://127.0.0.1:1/0?pasword={PASSWORD}",
        f"redis://app:{PASSWORD}@127.0.0.1:bad/0",
        f"rediss://a:{PASSWORD}@ /0",
        f"mysql://a:{PASSWORD}@h/d",
    ],
)
def test_no_local_shows_the_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Whatever is wrong with the URL or its server, neither the error nor a local of our frames shows the password."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASST_STORE", url)
    for act in (TALKER.id, lambda: TALKER.run("Hello."), lambda: asyncio.run(TALKER.arun("Hello."))):
        with pytest.raises(AsstError) as caught:
            act()
        frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__) if frame.f_code.co_filename != __file__]
        assert frames
        shown = "\n".join(pretty_repr(value) for frame in frames for value in frame.f_locals.values())
        assert PASSWORD not in shown + str(caught.value)
    assert PASSWORD not in pretty_repr(vars(process_cache()))


@pytest.mark.parametrize("url", [DOWN, f"redis://app:{PASSWORD}@127.0.0.1:bad/0"])
def test_no_command_prints_the_password(local_host: Host, url: str) -> None:
    """Neither the error of a command, nor its JSON, nor what ``inv --debug`` adds."""
    for args in (["asst.status", "--json"], ["--debug", "asst.create"], ["asst.run", "talker", "Hello."]):
        result = local_host.inv(*args, env={"ASST_STORE": url})
        assert result.code == 1
        assert PASSWORD not in result.out + result.err


def test_commands_without_a_name_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verb that would tag objects needs the project's name before it asks any server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASST_STORE", DOWN)
    with pytest.raises(SettingsError, match="set ASST_PROJECT to its name"):
        commands.create(None)
