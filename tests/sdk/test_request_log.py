"""The log of requests: a line for each attempt, with nothing confidential in it, where ASST_LOG or the app asks for it."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from compatible import Compatible, ModelAnswer
from conftest import CANARY, Host
from loopback import Fault, Loopback, error_body

from invoke_assistants import Assistant, AsstError, SettingsError, commands
from invoke_assistants.config.project import Project
from invoke_assistants.config.settings import Settings
from invoke_assistants.sdk.connections import sync_client
from invoke_assistants.sdk.request_log import LoggedRequest, log, show_requests

PROMPT = "the prompt of nobody else"
LINE = re.compile(r"(GET|POST|DELETE) (\S+?)(/\S*) (\d{3}|\w+) in \d+ ms(?: \((.+)\))?")


@pytest.fixture(autouse=True)
def quiet_again() -> Iterator[None]:
    """What a test turns on is off after it."""
    yield
    show_requests(False)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The lines so far, where the app's logging takes them."""
    caplog.set_level(logging.DEBUG, log.name)
    return lambda: [record.getMessage() for record in caplog.records if record.name == log.name]


def requests(text: str) -> list[tuple[str, str, str]]:
    """Method, path and outcome of each line of the log in a text."""
    return [(found[1], found[3], found[4]) for line in text.splitlines() if (found := LINE.fullmatch(line))]


def test_a_command_shows_each_request(host: Host, server: Loopback) -> None:
    """``ASST_LOG=debug`` shows what the server saw, by path alone, on stderr; stdout stays the command's."""
    done = host.inv("asst.create", "--json", env={"ASST_LOG": "debug"})
    assert done.json["ok"]
    assert sorted(requests(done.err)) == sorted((seen.method, seen.path, "200") for seen in server.seen)
    assert len(server.writes()) == 6
    assert all(line.split()[1].startswith(f"{server.origin}/v1/") for line in done.err.splitlines() if LINE.fullmatch(line))
    assert "Plan it." not in done.err
    assert "?" not in done.err


def test_nothing_is_shown_where_nobody_asks(host: Host) -> None:
    """Without ``ASST_LOG`` there is no line."""
    done = host.inv("asst.create")
    assert done.code == 0
    assert requests(done.out + done.err) == []


def test_each_retry_is_a_line_of_its_own(host: Host, server: Loopback) -> None:
    """An attempt that failed shows its status and request id, and so does the next."""
    host.create()
    server.once(Fault(status=503, headers={"Retry-After": "0", "x-request-id": "req_7"}), "GET", times=2)
    done = host.inv("asst.status", env={"ASST_LOG": "debug"})
    assert ("GET", "/v1/models", "200") in requests(done.err)
    looks = [request for request in requests(done.err) if request[1] == "/v1/agents"]
    assert looks == [("GET", "/v1/agents", "503"), ("GET", "/v1/agents", "503"), ("GET", "/v1/agents", "200")]
    assert done.err.count("(req_7)") == 2


def test_a_request_without_an_answer_shows_the_class_of_its_error(
    host: Host, server: Loopback, lines: Callable[[], list[str]]
) -> None:
    """A connection that is reset, and one that is refused: the error's name stands where the status would."""
    host.create()
    server.once(Fault(reset=True), "GET")
    done = host.inv("asst.status", env={"ASST_LOG": "debug"})
    looks = [request for request in requests(done.err) if request[1] == "/v1/agents"]
    assert looks == [("GET", "/v1/agents", "ReadError"), ("GET", "/v1/agents", "200")]
    with sync_client("http://127.0.0.1:9/v1", None) as client, pytest.raises(httpx2.ConnectError):
        client.send(client.build_request("GET", "http://127.0.0.1:9/v1/agents", timeout=5))
    assert requests("\n".join(lines())) == [("GET", "/v1/agents", "ConnectError")]


def test_the_embedded_platform_is_shown(local_host: Host) -> None:
    """Its requests go through no socket, and are shown like all others, those of a run too."""
    local_host.inv("asst.create", "--env", "development")
    assert requests(local_host.inv("asst.status", "--env", "development", env={"ASST_LOG": "debug"}).err) == [
        ("GET", "/v1/agents", "200")
    ]
    done = local_host.inv("asst.run", "talker", PROMPT, env={"ASST_LOG": "debug"})
    assert requests(done.err) == [("POST", "/v1/agents/sessions", "200")]
    assert PROMPT not in done.err


def test_the_setting_comes_from_all_files_but_pyproject(tmp_path: Path) -> None:
    """``.env.local`` beats ``.env``, the environment both; a blank value is none; pyproject.toml has no such key."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "p"\n')
    assert not Settings.load(tmp_path, {}).log_requests
    assert not Settings.load(tmp_path, {"ASST_LOG": " "}).log_requests
    (tmp_path / ".env").write_text("ASST_LOG=debug\n")
    assert Settings.load(tmp_path, {}).log_requests
    (tmp_path / ".env.local").write_text("ASST_LOG=all\n")
    with pytest.raises(SettingsError, match="no log level 'all'; known: debug .ASST_LOG names it"):
        Settings.load(tmp_path, {})
    assert Settings.load(tmp_path, {"ASST_LOG": "debug"}).log_requests
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "p"\n[tool.asst]\nlog = "debug"\n')
    with pytest.raises(SettingsError, match="unknown key 'log'"):
        Settings.load(tmp_path, {})


APP = """
import logging, sys
from invoke_assistants import Assistant
talker = Assistant("talker", model="gpt-6-luna", instructions="Talk.", verbosity="low", reasoning={"effort": "low"})
talker.run("One.")
logging.basicConfig(stream=sys.stdout, format="app: %(name)s %(message)s")
talker.run("Two.")
"""


def test_an_app_without_logging_gets_the_lines_on_stderr(local_host: Host) -> None:
    """At run time the variable prints the lines; once the app has a handler, that one gets them instead."""
    local_host.create()
    done = local_host.inv("-c", APP, env={"ASST_LOG": "debug"})
    assert (done.code, requests(done.err)) == (0, [("POST", "/v1/agents/sessions", "200")]), done.err
    assert len(done.err.splitlines()) == 1
    [line] = done.out.splitlines()
    assert line.startswith("app: invoke_assistants.requests POST local/v1/agents/sessions 200 in ")


def test_the_setting_is_followed_while_an_app_runs(
    local_host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Set later, the variable turns the log on; taken away, off."""
    monkeypatch.setenv("ASST_ROOT", str(local_host.root))
    monkeypatch.setattr(log, "propagate", False)  # pytest's own handlers are the app's otherwise
    commands.create(local_host.root)
    talker: Any = Project.load(local_host.root, ["talker"]).declared["talker"]
    shown = []
    for value in ("", "debug", ""):
        monkeypatch.setenv("ASST_LOG", value)
        talker.run(PROMPT)
        shown.append(len(requests(capsys.readouterr().err)))
    assert shown == [0, 1, 0]
    assert log.level == logging.NOTSET


@pytest.fixture
def talker(host: Host, monkeypatch: pytest.MonkeyPatch) -> Assistant[str]:
    """An assistant on the loopback server, created."""
    monkeypatch.setenv("ASST_ROOT", str(host.root))
    host.create()
    return Project.load(host.root, ["talker"]).declared["talker"]  # type: ignore[return-value]


WAYS: dict[str, Callable[[Assistant[str]], Any]] = {
    "run": lambda talker: talker.run(PROMPT),
    "arun": lambda talker: asyncio.run(talker.arun(PROMPT)),
    "stream": lambda talker: list(talker.stream(PROMPT)),
}
FAULTS = {
    "none": None,
    "the key in all that the server sends": Fault(
        status=401,
        raw=error_body("invalid_api_key", f"no such key: {CANARY}"),
        headers={"x-request-id": f"req {CANARY}", "x-other": CANARY},
    ),
    "no connection": Fault(reset=True),
    "half an answer": Fault(after=True, truncate=True),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("way", WAYS)
def test_a_line_holds_no_key_no_prompt_and_no_answer(
    talker: Assistant[str],
    server: Loopback,
    lines: Callable[[], list[str]],
    caplog: pytest.LogCaptureFixture,
    way: str,
    fault: str,
) -> None:
    """Whatever goes wrong, a line is what the pattern says; the app's level alone turns it on."""
    answer = ""
    if (found := FAULTS[fault]) is not None:
        server.once(found, path="/v1/agents/sessions", times=9)
    before = len(server.seen)
    try:
        answer = str(WAYS[way](talker))
    except AsstError:
        assert fault != "none"
    assert len(lines()) == len(server.seen) - before >= 1
    for line, record in zip(lines(), [each for each in caplog.records if each.name == log.name], strict=True):
        assert LINE.fullmatch(line)
        for secret in (CANARY, PROMPT, answer or "no answer", "Talk."):
            assert secret not in line
            assert secret not in str(vars(record))
    assert ("(req ***)" in lines()[0]) == ("key" in fault)


class Answering(httpx2.BaseTransport):
    """Answers with a body that cannot be read, and a request id that would steer a terminal."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        def body() -> Iterator[bytes]:
            raise httpx2.ReadError("the connection was lost")
            yield b""

        return httpx2.Response(200, headers={"x-request-id": "\x1b[2J" + "x" * 500}, content=body(), request=request)


def test_the_line_of_a_stream_is_there_with_its_head(lines: Callable[[], list[str]]) -> None:
    """The body of a stream, which may take minutes, is neither waited for nor read; of other answers it is a part."""
    with sync_client("http://local/v1", Answering()) as client:
        request = client.build_request("GET", "http://local/v1/agents", timeout=5)
        response = client.send(request, stream=True)
        assert requests(lines()[0].partition(" (")[0]) == [("GET", "/v1/agents", "200")]
        response.close()
        with pytest.raises(httpx2.ReadError):
            client.send(request)
    assert requests(lines()[1]) == [("GET", "/v1/agents", "ReadError")]


def test_a_line_steers_no_terminal_and_shows_no_password(lines: Callable[[], list[str]]) -> None:
    """What the server chooses is escaped and cut; of the URL, user, password and query are left out."""
    with sync_client("http://local/v1", Answering()) as client:
        url = "http://user:pass-word@local/v1/agents/a%0A%1b%5B2J?after=agent_secret#part"
        client.send(client.build_request("GET", url, timeout=5), stream=True).close()
    [line] = lines()
    assert line.startswith("GET local/v1/agents/a%0A%1b%5B2J 200 in ")
    assert line.isprintable()
    assert "\\x1b[2J" in line
    assert len(line) < 200
    assert "user" not in line
    assert "secret" not in line


def test_the_requests_to_the_model_of_the_embedded_platform_are_shown(
    local_host: Host, monkeypatch: pytest.MonkeyPatch, lines: Callable[[], list[str]]
) -> None:
    """A server that ``ASST_LOCAL_MODEL`` names is asked through the same log."""
    model = Compatible(lambda _: ModelAnswer("Good day."))
    monkeypatch.setenv("ASST_LOCAL_MODEL", model.url)
    monkeypatch.setenv("ASST_LOCAL_MODEL_NAME", "small")
    monkeypatch.setenv("ASST_ROOT", str(local_host.root))
    local_host.create()
    talker: Any = Project.load(local_host.root, ["talker"]).declared["talker"]
    before = len(lines())
    assert talker.run(PROMPT).output == "Good day."
    assert {line.split()[1] for line in lines()[before:]} == {
        "local/v1/agents/sessions",
        f"127.0.0.1:{model.server_address[1]}/v1/chat/completions",
    }
    model.shutdown()
    model.server_close()


def test_a_key_that_is_cut_or_escaped_is_masked_first(lines: Callable[[], list[str]]) -> None:
    """A request id that ends in the key, one with a command of a CI, and a path with the key show none of it."""
    key = "##vso[task]abc{}defgh-1234567890"
    ids = ("r" * 90 + key, key)
    with httpx2.Client(headers={"Authorization": f"Bearer {key}"}) as client:
        for id in ids:
            request = client.build_request("GET", f"http://127.0.0.1/v1/{key}/x")
            with LoggedRequest(request) as logged:
                logged.response = httpx2.Response(200, headers={"x-request-id": id})
    assert len(lines()) == 2
    for piece in ("vso[task]", "abc{}", "defgh-12345", "defgh-1234567890"):
        assert piece not in "".join(lines())


def test_a_handler_that_fails_stops_no_request(host: Host, server: Loopback) -> None:
    """What the app's logging does is no reason to stop a command."""

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError("no disk")

    broken = Broken()
    log.addHandler(broken)
    log.setLevel(logging.DEBUG)
    try:
        assert {step.action for step in commands.create(host.root)} == {"create"}
    finally:
        log.removeHandler(broken)
        log.setLevel(logging.NOTSET)
