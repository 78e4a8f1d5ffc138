"""Tracebacks with local variables, as rich and pytest print them, end up in logs: no frame of ours may show a key."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import CANARY, Host
from loopback import Fault, Loopback, error_body
from rich.pretty import pretty_repr

from invoke_assistants import Assistant, AsstError, commands

TALKER = 'Assistant("talker", model="gpt-6-luna", instructions="Talk.", verbosity="low", reasoning={"effort": "low"})'


def shown(error: BaseException) -> str:
    """Every local of every frame of an error, except this module's own, as rich prints it in full."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename != __file__]
    assert frames
    return "\n".join(pretty_repr(value) for frame in frames for value in frame.f_locals.values())


@pytest.fixture
def ways(host: Host, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> list[Callable[[], Any]]:
    """The calls that use a key, in a project whose assistants are created."""
    monkeypatch.setenv("ASST_PLATFORM", request.param)
    monkeypatch.setenv("ASST_ROOT", str(host.root))
    commands.create(host.root, only=["talker"])
    talker: Assistant[str] = eval(TALKER)
    return [
        lambda: commands.create(host.root, dry_run=True),
        lambda: talker.run("Hello."),
        lambda: asyncio.run(talker.arun("Hello.")),
    ]


VARIABLES = {
    "a key with a line break": ("OPENAI_API_KEY", f"{CANARY}\n"),
    "a header from outside": ("OPENAI_CUSTOM_HEADERS", f"Authorization: Bearer {CANARY}"),
    "a number that is none": ("ASST_CONCURRENCY", "many"),
    "a URL that is http": ("OPENAI_BASE_URL", "http://api.example/v1"),
    "a host that is no name": ("OPENAI_BASE_URL", "https://a..b☃/v1"),
    "nobody who listens": ("OPENAI_BASE_URL", "http://127.0.0.1:9/v1"),
    "certificates that are not there": ("SSL_CERT_FILE", "/nowhere"),
    "a root that is none": ("ASST_ROOT", "/nowhere"),
}
FILES = {
    "a quote that is not closed": f'OPENAI_API_KEY={CANARY}\nASST_STORE="open\n'.encode(),
    "a file that is not UTF-8": f"OPENAI_API_KEY={CANARY}\n# caf\xe9\n".encode("latin-1"),
}
FAULTS = {
    "a key that is rejected": Fault(status=401, raw=error_body("invalid_api_key", f"no such key: {CANARY}")),
    "an answer that is none": Fault(raw=f"<html>{CANARY}".encode()),
}


@pytest.mark.parametrize("wrong", [*VARIABLES, *FILES, *FAULTS])
@pytest.mark.parametrize("ways", ["agents", "responses"], indirect=True)
def test_no_local_shows_the_key(
    host: Host, server: Loopback, ways: list[Callable[[], Any]], monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """Whatever is wrong and whichever call meets it, no local of ours shows the key."""
    if wrong in VARIABLES:
        monkeypatch.setenv(*VARIABLES[wrong])
    if wrong in FILES:
        (host.root / ".env.local").write_bytes(FILES[wrong])
    if wrong in FAULTS:
        server.faults.append(lambda seen: FAULTS[wrong])
    errors: list[Exception] = []
    for act in ways:
        try:
            act()
        except (AsstError, OSError) as error:
            errors.append(error)
    (host.root / ".env.local").unlink(missing_ok=True)
    assert errors or wrong == "certificates that are not there"  # which plain http needs not
    for error in errors:
        assert CANARY not in shown(error)


@pytest.mark.parametrize("url", ["redis://:{}@127.0.0.1:9/0?key=k", "reddis://:{}@h/0", "redis://:{}@h h/0", "redis://:{}@h:x"])
def test_no_local_shows_the_password_of_a_store(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The URL of a store may be wrong, or nobody may listen there: no local of ours shows its password."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASST_STORE", url.format(CANARY))
    talker: Assistant[str] = eval(TALKER)
    ways: list[Callable[[], Any]] = [talker.id, lambda: talker.run("Hello."), lambda: asyncio.run(talker.arun("Hello."))]
    for ask in ways:
        with pytest.raises(AsstError) as caught:
            ask()
        assert CANARY not in shown(caught.value)


def test_pytest_shows_no_key(host: Host, tmp_path: Path) -> None:
    """``pytest -l`` prints no key for an app's tests that meet a missing instance and a bad setting."""
    test = tmp_path / "test_app.py"
    test.write_text(
        f"""
from invoke_assistants import Assistant

def test_one():
    {TALKER}.run("Hello.")

def test_two(monkeypatch):
    monkeypatch.setenv("ASST_ROOT", "/nowhere")
    {TALKER}.run("Hello.")
"""
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-l", "-vv", "--full-trace", "-p", "no:cacheprovider", str(test)],
        cwd=host.root, env=host.environ({"CI": "true"}), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "2 failed" in done.stdout, done.stdout
    assert CANARY not in done.stdout + done.stderr
