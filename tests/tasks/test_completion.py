"""Completion: a TAB in bash, zsh and fish offers the project's names, and what Invoke knows."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import MODELS, TASKS, Host

from invoke_assistants import commands
from invoke_assistants.config.name_cache import cache_names
from invoke_assistants.config.project import Project
from invoke_assistants.config.settings import Settings
from invoke_assistants.tasks.completion import SHELLS, make_script
from invoke_assistants.tasks.program import make_program

NAMES = ("planner", "judge.v-2", "talker_1")
ENVIRONMENTS = 'environments = ["development", "staging", "production"]\n'
OWN_TASKS = TASKS.replace(
    "ns = Collection(asst, ",
    '@task\ndef mine(c, name, only=""):\n    """A flag that one of ours has, too."""\n\n\nns = Collection(asst, mine, ',
)
# In an interactive shell, Ctrl-T puts every match into the line, and Ctrl-Y prints the line for the test and empties it.
KEYS = {
    "bash": r"""
bind '"\C-t": insert-completions'
show() { printf '%s\n' "$READLINE_LINE" >&"$ANSWERS"; READLINE_LINE=; }
bind -x '"\C-y": show'
""",
    "zsh": r"""
every() { _main_complete; compstate[insert]=all compstate[list]= }
zle -C every complete-word every
show() { print -r -- "$BUFFER" >&$ANSWERS; BUFFER= }
zle -N show
bindkey '^T' every
bindkey '^Y' show
""",
}
EVERY, TAB, SHOW = "\x14", "\t", "\x19"


class Shell:
    """A shell that has read the script; bash and zsh at a terminal, where keys are typed."""

    def __init__(self, name: str, host: Host, script: str | None = None) -> None:
        self.name = name
        self.folder = host.root
        self.screen = ""
        self._script = host.root.parent / f"completion.{name}"
        self._script.write_text(make_script(name))
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # where inv is
        self._env = host.environ({"PATH": path, "TERM": "dumb", "LC_ALL": "C.UTF-8"})
        self._process: subprocess.Popen[bytes] | None = None
        if name in KEYS:
            self._start(script or f". '{self._script}'")

    def _start(self, script: str) -> None:
        self._answers, writing = os.pipe()
        self._terminal, inner = pty.openpty()
        arguments = ["--noprofile", "--norc"] if self.name == "bash" else ["-f"]
        self._process = subprocess.Popen(
            [self.name, *arguments, "-i"], stdin=inner, stdout=inner, stderr=inner, pass_fds=[writing], start_new_session=True,
            env={**self._env, "ANSWERS": str(writing)}, cwd=self.folder,
        )  # fmt: skip
        os.close(writing)
        os.close(inner)
        rc = self._script.with_suffix(".rc")
        rc.write_text(f"{script}\n{KEYS[self.name]}\necho ready >&$ANSWERS\n")
        assert self._type(f". '{rc}'\n") == "ready"

    def _type(self, keys: str) -> str:
        """Type; return the next line that the shell prints for the test. What it shows meanwhile goes to ``screen``."""
        self.screen = ""
        os.write(self._terminal, keys.encode())
        answer = b""
        while not answer.endswith(b"\n"):
            readable, _, _ = select.select([self._answers, self._terminal], [], [], 60)
            assert readable, f"{self.name} is silent: {self.screen}"
            if self._terminal in readable:
                self.screen += os.read(self._terminal, 4096).decode()
            if self._answers in readable:
                answer += os.read(self._answers, 1)
        return answer.decode().rstrip("\n")

    def enter(self, folder: Path) -> None:
        """Go to a folder."""
        self.folder = folder
        if self._process:
            assert self._type(f"cd '{folder}'; echo there >&$ANSWERS\n") == "there"

    def press_tab(self, line: str) -> str:
        """The line after a TAB at its end."""
        return self._type(line + TAB + SHOW)

    def offer(self, line: str) -> set[str]:
        """What the shell offers at the end of a line; of ``--flag=VALUE`` and ``NAME:ENV`` the last part."""
        if self._process:
            after = self._type(line + EVERY + SHOW)
            offered = after[line.rindex(" ") :].split() if after != line else []
        else:
            command = ["fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", str(self._script), line]
            done = subprocess.run(command, cwd=self.folder, env=self._env, capture_output=True, text=True, check=True)
            self.screen = done.stderr
            offered = [each.partition("\t")[0] for each in done.stdout.splitlines()]
        return {re.split("[=:]", each)[-1].strip("\"'") for each in offered}

    def close(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            os.close(self._terminal)
            os.close(self._answers)


def needs(name: str) -> None:
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")


def declare(host: Host, *names: str) -> None:
    assistants = "".join(f'    Assistant("{name}", model="m", instructions="Do."),\n' for name in names)
    host.declare(f"{MODELS}\nASSISTANTS = [\n{assistants}]\n", ENVIRONMENTS)


def make_project(root: Path) -> Host:
    """A project in a folder with a space in its name, after one command."""
    host = Host(root / "my project", {"ASST_PLATFORM": "local"})
    (host.root / "tasks.py").write_text(OWN_TASKS)
    declare(host, *NAMES)
    assert host.inv("asst.check").code == 0
    return host


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A project that no test changes."""
    return make_project(tmp_path_factory.mktemp("completion"))


@pytest.fixture(scope="module", params=SHELLS)
def shell(request: pytest.FixtureRequest, project: Host) -> Iterator[Shell]:
    """Each shell, in that project; a test that leaves it comes back."""
    needs(request.param)
    opened = Shell(request.param, project)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("inv asst.plan --only ", {*NAMES}),
        ("invoke asst.plan --only ", {*NAMES}),
        ("inv asst --only ", {*NAMES}),
        ("inv asst.plan --only ju", {"judge.v-2"}),
        ("inv asst.plan --only judge.v-", {"judge.v-2"}),
        ("inv asst.plan --only talker_", {"talker_1"}),
        ("inv asst.plan --only=", {*NAMES}),
        ("inv asst.plan --only=pl", {"planner"}),
        ("inv asst.plan --only planner --only ", {*NAMES}),
        ("inv asst.plan --only=planner --only=ju", {"judge.v-2"}),
        ("inv asst.plan --only planner --env ", {"development", "staging", "production"}),
        ("inv asst.plan --json --env=sta", {"staging"}),
        ("inv asst.plan --only tas", set()),  # not tasks.py
        ("inv asst.run ", {*NAMES}),
        ('inv asst.run "ju', {"judge.v-2"}),
        ("inv asst.run --env staging ", {*NAMES}),
        ("inv asst.run --env=staging ", {*NAMES}),
        ("inv asst.run planner ", set()),
        ("inv asst.run planner 'with --only x=y: ' --env ", {"development", "staging", "production"}),
        ("inv asst.forget ", {*NAMES}),
        ("inv asst.forget planner ", {"development", "staging", "production"}),
        ("inv asst.forget --name planner ", {"development", "staging", "production"}),
        ("inv asst.forget --name=planner sta", {"staging"}),
        ("inv asst.adopt planner sta", {"staging"}),
        ("inv asst.adopt planner staging ", set()),
        ("inv asst.resolve --ours ta", {"talker_1"}),
        ("inv asst.resolve --ours planner:", {"development", "staging", "production"}),
        ("inv asst.resolve --theirs planner --ours=planner:sta", {"staging"}),
        ("inv hello asst.plan --only ju", {"judge.v-2"}),
        ("inv asst.forget planner staging asst.plan --only ju", {"judge.v-2"}),
        ("inv asst.migrate task", {"tasks.py"}),
        ("inv asst.store --recover=task", {"tasks.py"}),
    ],
)
def test_names(shell: Shell, line: str, offered: set[str]) -> None:
    """A value completes to what it is: an assistant, an environment, a file, or nothing."""
    assert shell.offer(line) == offered


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("inv asst.pl", {"asst.plan"}),
        ("inv asst.run planner 'a --only b' --ses", {"--session"}),
        ("inv mine --on", {"--only"}),
        ("inv mine ju", set()),
    ],
)
def test_invoke_completes_the_rest(shell: Shell, line: str, offered: set[str]) -> None:
    """Tasks and flags come from Invoke; a task of the project's own is left to it, whatever its flags are called."""
    assert shell.offer(line) == offered


def test_where_names_are_looked_for(shell: Shell, project: Host, tmp_path: Path) -> None:
    """In every folder of a project; not in a project within it; outside of one there is nothing, without a word."""
    try:
        below = project.root / "some folder" / "below"
        inner = project.root / "inner"
        for folder in (below, inner):
            folder.mkdir(parents=True, exist_ok=True)
        for name in ("pyproject.toml", "tasks.py"):
            (inner / name).touch()
        (below.parent / "pyproject.toml").touch()  # a package of the project
        shell.enter(below)
        assert shell.offer("inv asst.plan --only ") == {*NAMES}
        for folder in (inner, tmp_path, Path("/")):
            shell.enter(folder)
            for line in ("inv asst.plan --only ", "inv asst.plan --only=zz", "inv asst.run zz"):
                assert shell.offer(line) == set(), (folder, line)
        shell.enter(tmp_path)
        assert shell.offer("inv zz") == set()
        assert not re.search(r"rror|annot|an't|No such|not found", shell.screen)
    finally:
        shell.enter(project.root)


@pytest.mark.parametrize("name", SHELLS)
def test_names_after_an_edit(name: str, tmp_path: Path) -> None:
    """The next command brings the names up to date, one that fails over another name too."""
    needs(name)
    host = make_project(tmp_path)
    shell = Shell(name, host)
    try:
        declare(host, "planner", "newcomer")
        assert shell.offer("inv asst.plan --only ") == {*NAMES}
        assert host.inv("asst.plan", "--only", "newcomr").code == 1
        assert shell.offer("inv asst.plan --only ") == {"planner", "newcomer"}
    finally:
        shell.close()


@pytest.mark.parametrize("name", SHELLS)
def test_a_file_with_traps_instead_of_names(name: str, tmp_path: Path) -> None:
    """What a repository holds as .asst/names runs nothing, and only names come onto the command line."""
    needs(name)
    host = make_project(tmp_path)
    traps = ["$(touch trap)", "`touch trap`", "a;touch${IFS}trap", "x|sh", "\x1b[2J", "*", "-rf", "two words"]
    (host.root / ".asst" / "names").write_text("".join(f"assistant {each}\n" for each in [*traps, "fine"]))
    shell = Shell(name, host)
    try:
        assert shell.offer("inv asst.plan --only ") == {"fine"}
        assert not (host.root / "trap").exists()
    finally:
        shell.close()


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_a_tab_at_a_terminal(project: Host, name: str) -> None:
    """One TAB puts the rest of the word into the line, and nothing else."""
    needs(name)
    shell = Shell(name, project)
    try:
        for line, rest in [
            ("inv asst.plan --only ju", "dge.v-2 "),
            ("inv asst.plan --only=ju", "dge.v-2 "),
            ('inv asst.plan --only "ju', 'dge.v-2" '),
            ("inv asst.resolve --ours=planner:sta", "ging "),
            ("inv asst.plan --only tas", ""),
            ("inv =", ""),
            ("inv : =", ""),
        ]:
            assert shell.press_tab(line) == line + rest
    finally:
        shell.close()


def test_bash_without_word_breaks(project: Host) -> None:
    """Where = and : do not end a word, the whole word is replaced."""
    needs("bash")
    script = f"COMP_WORDBREAKS=$' \\t\\n\"\\''; . '{project.root.parent}/completion.bash'"
    shell = Shell("bash", project, script)
    try:
        assert shell.press_tab("inv asst.plan --only=ju") == "inv asst.plan --only=judge.v-2 "
        assert shell.press_tab("inv asst.resolve --ours planner:sta") == "inv asst.resolve --ours planner:staging "
    finally:
        shell.close()


@pytest.mark.parametrize(
    ("word", "replaced", "offered"),
    [("--only=", "", {*NAMES}), ("--only=ju", "ju", {"judge.v-2"}), ("--env=sta", "sta", {"staging"})],
)
def test_bash_3_2_keeps_words_whole(project: Host, word: str, replaced: str, offered: set[str]) -> None:
    """Bash 3.2 has ``--only=ju`` as one word, and replaces what is after the ``=``; it has no compopt."""
    needs("bash")
    driver = """
        compopt() { return 127; }
        eval "$1"
        COMP_WORDS=(inv asst.plan "$2") COMP_CWORD=2 COMP_LINE="inv asst.plan $2" COMP_POINT=99
        _asst_complete inv "$3" asst.plan
        printf '%s\n' "${COMPREPLY[@]}"
    """
    command = ["bash", "--norc", "-c", driver, "bash", make_script("bash"), word, replaced]
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == offered
    assert not done.stderr


def test_zsh_finds_the_script_in_its_path(project: Host, tmp_path: Path) -> None:
    """As the file ``_inv`` in a folder of fpath, it is read at the first TAB."""
    needs("zsh")
    (tmp_path / "_inv").write_text(make_script("zsh"))
    shell = Shell("zsh", project, f"fpath=('{tmp_path}' $fpath); autoload -Uz compinit; compinit -D")
    try:
        for _ in range(2):
            assert shell.press_tab("inv asst.plan --only ju") == "inv asst.plan --only judge.v-2 "
    finally:
        shell.close()


def test_the_task_prints_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    """``completion SHELL`` prints the script alone; an unknown shell is one line that names the known ones."""
    for name in SHELLS:
        make_program().run(["invoke-assistants", "completion", name], exit=False)
        assert capsys.readouterr() == (make_script(name), "")
        assert not re.search(r"@\w+@", make_script(name))
    with pytest.raises(SystemExit) as ended:
        make_program().run(["invoke-assistants", "completion", "bsh"])
    assert ended.value.code == 1
    assert capsys.readouterr() == ("", "no completion for 'bsh'; known: bash, zsh, fish; did you mean 'bash'?\n")
    make_program().run(["invoke-assistants", "--help", "completion"], exit=False)
    assert 'eval "$(python -m invoke_assistants completion bash)"' in capsys.readouterr().out


def test_the_names_are_written_once(local_host: Host) -> None:
    """A command writes them for the owner alone; where they are the same, the file stays."""
    commands.check(local_host.root)
    path = local_host.root / ".asst" / "names"
    names = ["assistant planner", "assistant judge", "assistant talker", "environment development", "environment production"]
    assert path.read_text().splitlines() == names
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent)] == [0o600, 0o700]
    before = path.stat()
    commands.plan(local_host.root, from_store=True)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert [each.name for each in path.parent.iterdir()] == ["names"]


@pytest.mark.parametrize("trouble", ["a file", "a folder", "read-only", "a dead link"])
def test_names_that_cannot_be_written(host: Host, trouble: str) -> None:
    """A command does the same without them, and says nothing."""
    folder = host.root / ".asst"
    if trouble == "a file":
        folder.write_text("")
    elif trouble == "a folder":
        (folder / "names").mkdir(parents=True)
    elif trouble == "a dead link":
        folder.symlink_to(host.root / "nowhere")
    else:
        folder.mkdir(mode=0o500)
    before = sorted(host.root.rglob("*"))
    result = host.inv("asst.check")
    assert (result.code, result.err) == (0, "")
    if trouble != "read-only" or os.geteuid():  # root writes there all the same
        assert [each for each in sorted(host.root.rglob("*")) if "__pycache__" not in each.parts] == before


def test_a_running_app_writes_no_names(local_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """``Assistant.run`` asks; it is no command, and a server's folder is left alone."""
    monkeypatch.setenv("ASST_ROOT", str(local_host.root))
    local_host.create()
    talker: Any = Project.load(local_host.root, ()).declared["talker"]
    (local_host.root / ".asst" / "names").unlink()
    assert talker.run("Hello.").output
    assert not (local_host.root / ".asst" / "names").exists()


def test_many_commands_write_names_at_once(local_host: Host) -> None:
    """The file is whole at any moment, and nothing else is left behind."""
    settings = Settings.load(local_host.root)
    lists = [[f"{letter}{number}" for number in range(2000)] for letter in "ab"]
    cache_names(settings, lists[0])
    path = settings.private_folder / "names"
    stop = threading.Event()

    def write(names: list[str]) -> None:
        while not stop.is_set():
            cache_names(settings, names)

    threads = [threading.Thread(target=write, args=[names]) for names in lists * 2]
    for each in threads:
        each.start()
    try:
        for _ in range(200):
            lines = path.read_text().splitlines()
            assert len(lines) == 2002
            assert len({line[:11] for line in lines[:2000]}) == 1
    finally:
        stop.set()
        for each in threads:
            each.join()
    assert [each.name for each in path.parent.iterdir()] == ["names"]


def test_without_a_project_folder_there_is_nowhere_to_write(local_host: Host) -> None:
    """Where the settings have no root, no folder is made anywhere."""
    settings = replace(Settings.load(local_host.root), root=None)
    cache_names(settings, ["planner"])
    assert not settings.private_folder.exists()
