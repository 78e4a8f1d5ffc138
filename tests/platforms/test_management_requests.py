"""What manages instances sends is what the openai SDK would send, although it is not loaded."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import openai
import pytest
from conftest import CANARY, Host
from loopback import Fault, Loopback, Seen

from invoke_assistants import AsstError, PlatformError, RowsFailed, commands
from invoke_assistants.reconcile.timing import Timing

SENT = ("accept", "authorization", "content-type", "openai-beta", "openai-organization", "openai-project", "x-team")


def essence(seen: Seen) -> tuple[Any, ...]:
    """What an API can tell from a request, but for who sends it and how long the connection is kept."""
    headers = {name.lower(): value for name, value in seen.headers.items()}
    return seen.method, seen.path, seen.query, seen.body, {name: headers.get(name) for name in SENT if name in headers}


def test_each_request_is_the_one_that_the_sdk_would_send(host: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """Method, path, query, body, credentials and own headers of a list, create, update, retrieve, delete and of the models."""
    custom = "X-Team: blue\nx-team: blue: and green\nno header\nOpenAI-Project: proj_own\nOpenAI-Beta: assistants=v2"
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", custom)
    monkeypatch.setenv("OPENAI_ORG_ID", "org_1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj_1")
    commands.create(host.root, ["talker"], "development")
    host.edit("Talk.", "Talk more.")
    commands.plan(host.root, ["talker"], "development")
    [step] = commands.update(host.root, ["talker"])
    commands.show("talker", "development", host.root, remote=True)
    commands.delete(host.root, ["talker"], "development", confirm=lambda *_: True)
    ours = [essence(each) for each in server.seen]
    kinds = {(method, path.replace(step.id or "-", "ID")) for method, path, *_ in ours}
    assert kinds == {
        ("GET", "/v1/agents"), ("POST", "/v1/agents"), ("POST", "/v1/agents/ID"), ("GET", "/v1/agents/ID"),
        ("DELETE", "/v1/agents/ID"), ("GET", "/v1/models"),
    }  # fmt: skip
    server.seen.clear()
    with openai.OpenAI(max_retries=0) as client:
        for method, path, query, body, headers in ours:
            beta = {"OpenAI-Beta": headers["openai-beta"]} if "openai-beta" in headers else {}
            send: Any = {"GET": client.get, "POST": client.post, "DELETE": client.delete}[method]
            more = {} if body is None else {"body": body}
            with contextlib.suppress(openai.NotFoundError):  # it is deleted by now
                send(path.removeprefix("/v1"), cast_to=object, options={"headers": beta, "params": query}, **more)
    # The SDK says that the body of a request without one is JSON.
    theirs = [essence(each) for each in server.seen]
    for *_, body, headers in theirs:
        if body is None:
            headers.pop("content-type", None)
    for *_, body, headers in ours:
        if body is None:
            headers.pop("content-type", None)
    assert ours == theirs
    assert all(headers["openai-project"] == "proj_own" for *_, headers in ours)


@pytest.mark.parametrize(
    ("status", "raw", "message"),
    [
        (
            400,
            b'{"error": {"message": "no such model", "code": "bad_model", "param": "model"}}',
            "400 no such model [param model]",
        ),
        (400, b'{"error": "no such model"}', "400 no such model"),
        (422, b'{"detail": [{"loc": ["body", "model"], "msg": "unknown"}]}', "422 body.model: unknown"),
        (400, b"no such model", "400 no such model"),
        (400, b"<html>Bad Request</html>", "400 Bad Request"),
        (400, b"\xff\xfe", "400 "),
        (400, b"[" * 100_000, "400 "),
        (400, b'{"error": ' + b"[" * 900 + b'"deep"' + b"]" * 900 + b"}", "400 "),
        (307, b"", "307 "),
        (403, CANARY.encode(), "the service rejected the key in OPENAI_API_KEY (403)"),
        (
            429,
            b'{"error": {"message": "\xe9puis\xe9", "code": "insufficient_quota"}}',
            "the quota of the key in OPENAI_API_KEY is used up",
        ),
    ],
)
def test_a_refusal_says_what_the_server_said(host: Host, server: Loopback, status: int, raw: bytes, message: str) -> None:
    """Whatever the shape of an error's body, the message is one short line with the status, and no request is repeated."""
    server.faults.append(lambda seen: Fault(status=status, raw=raw) if seen.method == "POST" else None)
    with pytest.raises(AsstError) as raised:
        commands.create(host.root, ["talker"], "development")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 800
    assert CANARY not in str(raised.value)
    assert sum(seen.method == "POST" for seen in server.seen) == 1


@pytest.mark.parametrize("charset", ["hex", "rot13", "undefined", "utf-16", "nonsense", "iso-8859-1"])
def test_a_refusal_in_any_charset_keeps_its_status(host: Host, server: Loopback, charset: str) -> None:
    """Whatever a server calls the encoding of an error, even one of no text, its status is told, and its row fails alone."""
    headers = {"Content-Type": f"text/plain; charset={charset}"}
    server.faults.append(
        lambda seen: (
            Fault(status=400, raw=b"Nope", headers=headers) if seen.body and seen.body["name"].startswith("talker") else None
        )
    )
    with pytest.raises(RowsFailed, match="talker in development: 400 ") as raised:
        commands.create(host.root, env="development")
    assert [step.error is None for step in raised.value.rows] == [True, True, False]


@pytest.mark.parametrize(
    "answer", ['{"id": "agent_1", "x": NaN}', '{"id": "agent_1", "x": -Infinity}', '{"id": "agent_1", "x": "\\ud800"}']
)
def test_an_answer_that_no_store_could_hold_is_not_believed(host: Host, server: Loopback, answer: str) -> None:
    """It is not recorded; the create stays open until a list shows what was made."""
    server.faults.append(lambda seen: Fault(raw=answer.encode()) if seen.method == "POST" else None)
    with pytest.raises(RowsFailed, match="not plain JSON"):
        commands.create(host.root, ["talker"], "development", timing=Timing(unknown=0.0, grace=0.0))
    assert host.store["assistants"] == {}
    assert sum(seen.method == "POST" for seen in server.seen) == 1


def test_no_cookie_is_kept(host: Host, server: Loopback) -> None:
    """One that cannot be sent back would end every further request; the others go on as well without theirs."""
    server.faults += [
        lambda seen: Fault(headers={"Set-Cookie": "cf=caf\xe9"}, after=True) if seen.method == "GET" else None,
        lambda seen: Fault(headers={"Set-Cookie": "a=b"}, after=True),
    ]
    commands.create(host.root, ["talker"], "development")
    assert {seen.method for seen in server.seen} == {"GET", "POST"}
    assert not any("cookie" in {name.lower() for name in seen.headers} for seen in server.seen)


def test_a_server_without_the_api_is_named_with_its_url(host: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 404 for the list itself means another base URL; a server that is not there is named with its port."""
    elsewhere = server.url.replace("/v1", "/v2")
    monkeypatch.setenv("OPENAI_BASE_URL", elsewhere)
    with pytest.raises(PlatformError, match=f"404 .*: there is no Agents API at {elsewhere}, the base URL"):
        commands.create(host.root)
    assert len(server.seen) == 1
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    with pytest.raises(PlatformError, match=r"cannot reach 127\.0\.0\.1:9 "):
        commands.create(host.root)


def test_a_success_that_is_no_object_is_not_believed(host: Host, server: Loopback) -> None:
    """A page of HTML, half of a JSON text, a list and an empty body each end the command; nothing is concluded from them."""
    for raw in (b"<html>Sign in</html>", b'{"data": [', json.dumps([1]).encode(), b""):
        server.faults = [lambda seen, raw=raw: Fault(raw=raw)]
        with pytest.raises(PlatformError, match=r"the answer is not the Agents API's .*; is the base URL right\?"):
            commands.create(host.root)
    assert {seen.method for seen in server.seen} == {"GET"}


def test_a_server_that_sends_a_custom_header_back_cannot_show_it(host: Host, server: Loopback) -> None:
    """A gateway's own key is as secret as the service's, in the errors of managing and of asking; the word before it is not."""
    own = "gateway-0123456789"
    host.env["OPENAI_CUSTOM_HEADERS"] = f"X-Gateway-Auth: Bearer {own}\nX-Team: blue"
    host.create()
    answer = Fault(status=400, raw=b'{"error": {"message": "Bearer %s of blue is no good"}}' % own.encode())
    server.faults += [lambda _: answer] * 2
    for failed in (host.inv("asst.status"), host.inv("asst.run", "talker", "Hello.")):
        assert failed.code == 1
        assert "Bearer *** of blue is no good" in failed.err
        assert own not in failed.out + failed.err
