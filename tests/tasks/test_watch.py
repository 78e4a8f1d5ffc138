"""asst.watch: every save starts a round, whatever it holds; only the person at the keyboard ends the watch."""

from __future__ import annotations

import os
import queue
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import THREE, Host, inv_script
from invoke import Context, Exit

from invoke_assistants import commands, tasks

BROKEN = THREE + "\n)("


class Watching:
    """``inv asst.watch`` in a project, and what it has printed."""

    def __init__(self, host: Host, *args: str) -> None:
        self.app = host.root / "hosted.py"
        self.seen: list[str] = []
        self._lines: queue.Queue[str] = queue.Queue()
        reading, writing = os.pipe()
        with Path(os.devnull).open() as stdin:
            streams = [stdin.fileno(), writing, writing]
            self.process = host.start_on(streams, "asst.watch", *args, env={"ASST_ASSISTANTS": "hosted:ASSISTANTS"})
        os.close(writing)
        threading.Thread(target=self._read, args=[reading], daemon=True).start()

    def _read(self, reading: int) -> None:
        with os.fdopen(reading) as output:
            for line in output:
                self._lines.put(line)

    def until(self, pattern: str) -> str:
        """The next line that matches; it and those before it are added to ``seen``."""
        end = time.monotonic() + 30
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no line like {pattern!r} after:\n{''.join(self.seen)}") from None
            self.seen.append(line)
            if re.search(pattern, line):
                return line

    def save(self, source: str) -> None:
        self.app.write_text(source)

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


@pytest.fixture
def project(local_host: Host) -> Host:
    """A project with three instances in each environment; the Python of its tasks forks what it starts, as ``Host.inv`` does."""
    python = local_host.root / ".git" / "python"  # where no save is seen
    python.parent.mkdir()
    python.write_text(inv_script())
    python.chmod(0o755)
    tasks = local_host.root / "tasks.py"
    tasks.write_text(f"{tasks.read_text()}\nimport sys\nsys.executable = {str(python)!r}\n")
    (local_host.root / "hosted.py").write_text(THREE)
    commands.create(local_host.root)
    return local_host


@pytest.fixture
def watching(project: Host) -> Iterator[Watching]:
    """A watch after its first round."""
    watch = Watching(project)
    watch.until("watching .*every save is checked and goes to development; Ctrl-C ends it")
    watch.until("^3 unchanged$")
    yield watch
    if watch.process.poll() is None:
        watch.process.kill()
        watch.process.wait()


def instructions(host: Host) -> str:
    """The planner's instructions in development, as recorded."""
    store = host.store
    digest: str = store["assistants"]["planner"]["development"]["digest"]
    return str(store["payloads"][digest]["instructions"])


def test_what_is_saved_is_updated_and_what_is_wrong_is_survived(project: Host, watching: Watching) -> None:
    """A good save reaches the store, a broken one is an error of one line, a mended one goes on; Ctrl-C exits with 130."""
    production = project.store["assistants"]["planner"]["production"]
    watching.save(THREE.replace("Plan it.", "Plan it well."))
    watching.until("saved: hosted.py$")
    watching.until("planner +development +updated")
    watching.until("^1 updated$")
    assert instructions(project) == "Plan it well."
    watching.save(BROKEN)
    watching.until("cannot import hosted: SyntaxError.*hosted.py, line")
    watching.save(THREE.replace("tools=TOOLS", "tools=[lambda: None]"))
    watching.until("planner +development +refused")
    watching.until("a lambda cannot be a tool")
    watching.until("2 of 6 would be refused")
    watching.save(THREE.replace("Plan it.", "Plan it better."))
    watching.until("^1 updated$")
    assert instructions(project) == "Plan it better."
    assert project.store["assistants"]["planner"]["production"] == production
    assert watching.end(signal.SIGINT) == 130
    watching.until("^stopped$")
    assert "Traceback" not in "".join(watching.seen)


def test_only_a_save_starts_a_round(project: Host, watching: Watching) -> None:
    """No round starts for what commands write (the store, its lock, the platform's file), nor for a virtual environment."""
    watching.save(THREE.replace("Plan it.", "Plan it well."))
    watching.until("^1 updated$")
    project.inv("asst.deploy", env={"ASST_ASSISTANTS": "hosted:ASSISTANTS"})
    (project.root / "env").mkdir()
    (project.root / "env" / "pyvenv.cfg").touch()
    (project.root / "env" / "installed.py").touch()
    (project.root / "last.txt").touch()
    watching.until("saved: .*last.txt$")
    watching.until("^3 unchanged$")
    saved = {name for line in watching.seen if "saved: " in line for name in line.partition("saved: ")[2].strip().split(", ")}
    assert saved - {"env"} == {"hosted.py", "last.txt"}  # the folder itself, while it is no virtual environment yet


def test_a_moved_store_is_no_save_either(project: Host, watching: Watching) -> None:
    """Once the settings name another store, writing it starts no round either."""
    settings = project.root / "pyproject.toml"
    settings.write_text(settings.read_text() + 'store = "moved.json"\n')
    watching.until("saved: pyproject.toml$")
    watching.until("run inv asst.create")
    commands.create(project.root)
    (project.root / "last.txt").touch()
    watching.until("saved: last.txt$")
    watching.until("^3 unchanged$")
    assert not any("moved.json" in line for line in watching.seen)


def test_a_save_during_a_round_leads_to_one_more(project: Host, watching: Watching) -> None:
    """A running round has what was saved before it. A later save is not lost, and not run at the same time."""
    going, on = project.root / "going", project.root / "on"
    os.mkfifo(going)
    os.mkfifo(on)
    wait = f"\nopen({str(going)!r}, 'w').close(); open({str(on)!r}).close()\n"
    watching.save(THREE.replace("Plan it.", "Plan it slowly.") + wait)
    going.open().close()
    watching.save(THREE.replace("Plan it.", "Plan it at last."))
    on.open("w").close()
    watching.until("^1 updated$")
    assert instructions(project) == "Plan it slowly."
    watching.until("^1 updated$")
    assert instructions(project) == "Plan it at last."


def test_two_saves_alike_in_second_and_size_are_two(project: Host, watching: Watching) -> None:
    """The second save is not run with the bytecode of the first, which Python takes for current."""
    for text in ("Plan ten.", "Plan two."):
        watching.save(THREE.replace("Plan it.", text))
        os.utime(watching.app, (1_800_000_000, 1_800_000_000))
        watching.until("^1 updated$")
        assert instructions(project) == text


def test_an_interrupted_round_ends_before_the_watch_does(project: Host, watching: Watching) -> None:
    """SIGTERM in a round interrupts the round first, prints one line, and exits with 143; the store is whole."""
    going = project.root / "going"
    os.mkfifo(going)
    watching.save(THREE + f"\nopen({str(going)!r}, 'w').close()\nimport time; time.sleep(60)\n")
    going.open().close()
    assert watching.end(signal.SIGTERM) == 143
    watching.until("interrupted; the same command goes on from here")
    watching.until("^stopped$")
    assert "Traceback" not in "".join(watching.seen)
    assert instructions(project) == "Plan it."


def test_only_narrows_every_round(project: Host) -> None:
    """``--only`` narrows each round, and a wrong name is an error of each round."""
    watch = Watching(project, "--only", "planner", "--only", "judge")
    watch.until("^2 unchanged$")
    watch.save(THREE.replace("Talk.", "Talk more.").replace("Plan it.", "Plan it well."))
    watch.until("^1 updated$")
    assert instructions(project) == "Plan it well."
    watch.save(THREE.replace('"judge"', '"jury"'))
    watch.until("no assistant 'judge'; declared: planner, jury, talker")
    assert watch.end(signal.SIGINT) == 130


def test_a_name_that_is_not_declared_ends_it_at_the_start(project: Host) -> None:
    """No save would mend a typing error: it is said once, and the watch ends with 1. A broken app is waited for."""
    watch = Watching(project, "--only", "planer")
    assert watch.process.wait(30) == 1
    watch.until("no assistant 'planer'; declared: planner, judge, talker; did you mean 'planner'")
    (project.root / "hosted.py").write_text(BROKEN)
    watch = Watching(project, "--only", "planer")
    watch.until("cannot import hosted: SyntaxError")
    watch.save(THREE)
    watch.until("no assistant 'planer'")
    assert watch.end(signal.SIGINT) == 130


def test_without_its_extra_it_says_what_to_install(local_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line before anything is done; ``inv -R``, which must not write, is refused as clearly."""
    monkeypatch.chdir(local_host.root)
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(Exit) as missing:
        tasks.watch(Context())
    assert missing.value.code == 1
    assert missing.value.message == "asst.watch needs watchfiles: pip install 'invoke-assistants[watch]'"
    context = Context()
    context.config.run.dry = True
    with pytest.raises(Exit, match="inv asst.plan shows"):
        tasks.watch(context)
