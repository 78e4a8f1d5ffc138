"""Where the prompt of ``asst.run`` comes from: the argument, a file, stdin."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Host
from invoke.context import Context
from invoke.exceptions import Exit
from terminals import Terminal, inv_with_input

from invoke_assistants import tasks
from invoke_assistants.errors import SettingsError
from invoke_assistants.tasks.prompts import read_prompt

PREFIX = "This is a sample answer of the embedded platform, to: "


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Sets what this process reads from stdin."""
    return lambda content: monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"Hello.\n", "Hello."), (b"\xef\xbb\xbfH\xc3\xa9\r\nyou\r\n\r\n", "Hé\r\nyou"), (b"  kept \n", "  kept ")],
)
def test_stdin_and_a_file_are_the_same_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Callable[[bytes], None], content: bytes, text: str
) -> None:
    """UTF-8 without its mark and without the line breaks at the end; the file's path begins at the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "ask me.txt").write_bytes(content)
    given(content)
    assert read_prompt("-") == read_prompt("@docs/ask me.txt") == read_prompt(f"@{tmp_path}/docs/ask me.txt") == text


@pytest.mark.parametrize(("argument", "prompt"), [("@@home", "@home"), ("@@", "@"), ("a @b", "a @b"), ("--", "--"), ("", "")])
def test_any_text_can_be_a_prompt(argument: str, prompt: str) -> None:
    """Two @ stand for one; all else is the prompt itself."""
    assert read_prompt(argument) == prompt


@pytest.mark.parametrize(
    ("argument", "content", "message"),
    [
        ("@nowhere.txt", b"", "there is no file 'nowhere.txt'; @@ begins a prompt that begins with @"),
        ("@", b"", "@ needs the name of a file; @@ begins a prompt that begins with @"),
        ("@docs", b"", "'docs' is a folder: @FILE takes a file"),
        ("@a\0b", b"", "'a\\x00b' cannot be read: embedded null byte"),
        ("@latin.txt", b"", "@latin.txt is not UTF-8 (byte 1): a prompt is UTF-8 text"),
        ("@blank.txt", b"", "@blank.txt is empty: there is no prompt in it, and nobody was asked"),
        ("-", b"", "stdin is empty: there is no prompt in it, and nobody was asked"),
        ("-", b" \n\t\n", "stdin is empty: there is no prompt in it, and nobody was asked"),
        ("-", b"\xff", "stdin is not UTF-8 (byte 0): a prompt is UTF-8 text"),
    ],
)
def test_what_holds_no_prompt_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Callable[[bytes], None], argument: str, content: bytes, message: str
) -> None:
    """The error names the file or stdin, and what is wrong with it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "latin.txt").write_bytes(b"h\xe9")
    (tmp_path / "blank.txt").write_bytes(b"\xef\xbb\xbf \n")
    given(content)
    with pytest.raises(SettingsError) as caught:
        read_prompt(argument)
    assert str(caught.value) == message


def test_a_file_that_may_not_be_read_and_a_closed_stdin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Both are one line that says what cannot be read."""
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(SettingsError, match="cannot be read: Too many levels of symbolic links"):
        read_prompt(f"@{loop}")
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(SettingsError, match="stdin is closed: there is no prompt to read"):
        read_prompt("-")


def test_run_asks_what_stdin_says(local_host: Host) -> None:
    """``inv asst.run NAME -`` in a pipe prints the answer to it."""
    local_host.create()
    done = inv_with_input(local_host, b"How much\nis it?\n", "asst.run", "talker", "-")
    assert (done.code, done.out) == (0, f"{PREFIX}How much is it?\n")
    assert "reading" not in done.err


def test_run_asks_nobody_without_a_prompt(
    local_host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: Callable[[bytes], None]
) -> None:
    """Exit 1 and one line; with --json the error is in the document."""
    local_host.create()
    monkeypatch.chdir(local_host.root)
    given(b"")
    for prompt, error in (("-", "stdin is empty"), ("@none", "there is no file 'none'")):
        with pytest.raises(Exit) as ended:
            tasks.run(Context(), "talker", prompt, json=True)
        document = json.loads(capsys.readouterr().out)
        assert (ended.value.code, document["ok"], document["session"]) == (1, False, None)
        assert document["error"] == ended.value.message
        assert document["error"].startswith(error)
    assert not (local_host.root / ".asst" / "sessions").exists()


def test_a_prompt_typed_at_a_terminal(local_host: Host) -> None:
    """The terminal says what it waits for; Ctrl-D at the beginning of a line ends the prompt."""
    local_host.create()
    with Terminal(local_host, "asst.run", "talker", "-") as terminal:
        terminal.expect("reading the prompt from the terminal, until Ctrl-D\r\n")
        terminal.type("Hello\rthere.\r\x04")
        terminal.expect(f"{PREFIX}Hello there.")
        assert terminal.end() == 0


def test_a_prompt_without_an_end_is_cut_short(given: Callable[[bytes], None]) -> None:
    """A device that never ends, and a stream that is too long, are refused, and nobody is asked."""
    with pytest.raises(SettingsError, match="@/dev/zero is longer than"):
        read_prompt("@/dev/zero")
    given(b"a" * (10 * 1024 * 1024 + 1))
    with pytest.raises(SettingsError, match="stdin is longer than"):
        read_prompt("-")


def test_what_a_function_prints_is_not_the_answer(local_host: Host) -> None:
    """With ``--json`` and in a pipe, stdout holds the answer alone; what the app's functions print goes to stderr."""
    local_host.declare(
        '''
from invoke_assistants import Assistant

def noisy(word: str) -> str:
    """Print."""
    print("PRINTED", word)
    return word

ASSISTANTS = [Assistant("talker", model="m", tools=[noisy])]
'''
    )
    local_host.create()
    done = local_host.inv("asst.run", "talker", "Use noisy, please.", "--json")
    assert json.loads(done.out)["ok"]
    assert "PRINTED" in done.err
    assert "PRINTED" not in local_host.inv("asst.run", "talker", "Use noisy, please.").out


def test_bytes_that_are_not_utf_8_are_named_before_anybody_is_asked(local_host: Host) -> None:
    """The message blames the prompt, not the server."""
    local_host.create()
    done = local_host.inv("asst.run", "talker", "a\udcff")
    assert done.code == 1
    assert "the prompt holds bytes that are not UTF-8" in done.err
