"""``python -m invoke_assistants init``: it makes what is missing, and leaves the rest byte for byte."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from conftest import CANARY, Host, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from invoke.context import Context
from invoke.exceptions import Exit
from terminals import read_to_end

from invoke_assistants.errors import SettingsError
from invoke_assistants.tasks import spelling
from invoke_assistants.tasks._init import init
from invoke_assistants.tasks.scaffold import Scaffold, plan_scaffold
from invoke_assistants.tasks.scaffold_pyproject import add_keys
from invoke_assistants.tasks.scaffold_tasks_file import Uneditable, add_collection, has_collection

PACKAGES = {"a/__init__.py": "", "corner_shop/__init__.py": ""}
ALL = [".env", "pyproject.toml", "app/__init__.py", "app/assistants.py", "tasks.py", ".gitignore", ".gitattributes"]


class Folder(Host):
    """A folder with nothing but the files given."""

    def __init__(self, root: Path, files: Mapping[str, str | bytes] | None = None) -> None:
        self.root, self.env = root, {}
        root.mkdir(parents=True, exist_ok=True)
        for path, content in (files or {}).items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content if isinstance(content, bytes) else content.encode())

    def contents(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.root)): path.read_bytes() for path in self.root.rglob("*") if path.is_file()}

    def init(self, package: str | None = None, *, yes: bool = True, dry_run: bool = False) -> tuple[int, str]:
        """Run init in this process; return its exit code and its message."""
        before = Path.cwd()
        os.chdir(self.root)
        try:
            init(Context(), package=package, yes=yes, dry_run=dry_run)
        except Exit as ended:
            return ended.code, ended.message or ""
        finally:
            os.chdir(before)
        return 0, ""

    def module(self, *args: str) -> Result:
        """Run ``python -m invoke_assistants ARGS``, with no terminal."""
        return self.inv("-m", "invoke_assistants", *args)

    def plan(self, package: str | None = None, environ: Mapping[str, str] | None = None) -> Scaffold:
        return plan_scaffold(self.root.resolve(), environ or {}, package)


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Folder]:
    """Makes a folder called shop with some files."""
    return lambda files=None: Folder(tmp_path / "shop", files)


def test_an_empty_folder_becomes_a_project_that_answers(
    folder: Callable[..., Folder], capsys: pytest.CaptureFixture[str]
) -> None:
    """After init, the three commands that it names work without a key: the answer has the fields of the model."""
    shop = folder()
    assert shop.init() == (0, "")
    out = capsys.readouterr().out
    assert "--- /dev/null\n+++ b/app/assistants.py\n" in out
    commands = [line.strip() for line in out.partition("next:\n")[2].splitlines()]
    assert commands == ["inv asst.create", 'inv asst.run triage "My parcel is a week late."', "inv asst.plan"]
    assert set(shop.contents()) == set(ALL)
    assert shop.inv("asst.create").code == 0
    answer = shop.inv("asst.run", "triage", "My parcel is a week late.", "--json")
    assert answer.code == 0, answer.err
    assert set(answer.json["output"]) == {"summary", "topic", "urgent"}
    assert shop.inv("asst.plan", "--check").code == 0


def test_the_second_run_changes_nothing(folder: Callable[..., Folder], capsys: pytest.CaptureFixture[str]) -> None:
    """It says so, needs no --yes, and --dry-run exits with 0 then and with 2 before."""
    shop = folder()
    assert shop.init(dry_run=True) == (2, "7 files to write")
    assert shop.contents() == {}
    assert shop.init()[0] == 0
    before = shop.contents()
    capsys.readouterr()
    assert shop.init(yes=False) == (0, "")
    assert capsys.readouterr().out.startswith("nothing to write: everything is there\nnext:\n    inv asst.create\n")
    assert shop.init(dry_run=True)[0] == 0
    assert shop.contents() == before


def test_without_a_terminal_or_yes_nothing_is_written(folder: Callable[..., Folder], capsys: pytest.CaptureFixture[str]) -> None:
    """The diff is shown all the same, and the exit code is 3."""
    shop = folder()
    code, message = shop.init(yes=False)
    assert (code, shop.contents()) == (3, {})
    assert message == "nothing was written: there is no terminal to ask at; --yes writes 7 files"
    assert "+ASST_PLATFORM=local" in capsys.readouterr().out


def on_a_terminal(shop: Folder, answer: str, meanwhile: Callable[[], object] = lambda: None) -> tuple[int, str]:
    """Run init on a terminal of its own; return its exit code and what it showed."""
    main, side = pty.openpty()
    process = shop.start_on([side] * 3, "-m", "invoke_assistants", "init", env={"TERM": "xterm-256color"})
    os.close(side)
    shown = b""
    while b"[y/N]" not in shown:
        shown += os.read(main, 65536)
    meanwhile()
    os.write(main, answer.encode())
    shown += read_to_end(main)
    os.close(main)
    return process.wait(), shown.decode()


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 3), ("\n", 3)])
def test_a_terminal_is_asked(folder: Callable[..., Folder], answer: str, code: int) -> None:
    """The diff is in colour; anything but a yes writes nothing."""
    shop = folder()
    ended, shown = on_a_terminal(shop, answer)
    assert ended == code, shown
    assert "Write 7 files? [y/N]" in shown
    assert "\x1b[32m+ASST_PLATFORM=local" in shown
    assert bool(shop.contents()) == (code == 0)


def test_what_changes_while_the_question_waits_is_not_overwritten(folder: Callable[..., Folder]) -> None:
    """What was shown is what is written, or nothing is."""
    shop = folder()
    code, shown = on_a_terminal(shop, "y\n", lambda: (shop.root / ".env").write_text("A=1\n"))
    assert code == 3
    assert "were changed while the question waited" in shown
    assert shop.contents() == {".env": b"A=1\n"}


def test_the_generated_code_passes_linters(folder: Callable[..., Folder]) -> None:
    """ruff as it comes and with many rules finds nothing; the type checkers look at the same code in ``tests/test_typing.py``."""
    shop = folder()
    shop.init("desk")
    rules = ["--select", "A,ARG,B,C4,D1,E,F,I,N,PL,RUF,SIM,UP,W"]
    for command in (["check", "--isolated", "--no-cache", *rules, "."], ["format", "--isolated", "--check", "."]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command], cwd=shop.root, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


# pyproject.toml

POETRY = """\
# The shop.
[tool.poetry]
name = "corner-shop"   # its name
version = "1.2"

[tool.poetry.dependencies]
python = "^3.11"

[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
"""
RUFF = "[tool.ruff]  # ours\nline-length = 100\n\n# the end"


@pytest.mark.parametrize(
    ("files", "package", "path", "added"),
    [
        ({"pyproject.toml": POETRY}, None, "app/assistants.py", {}),
        ({"pyproject.toml": POETRY, "corner_shop/__init__.py": ""}, None, "corner_shop/assistants.py", "corner_shop"),
        ({"pyproject.toml": POETRY, **PACKAGES}, None, "corner_shop/assistants.py", "corner_shop"),
        ({"pyproject.toml": POETRY, "a/__init__.py": "", "b/__init__.py": ""}, None, "app/assistants.py", {}),
        ({"pyproject.toml": POETRY, "src/shop/__init__.py": ""}, None, "src/shop/assistants.py", "shop"),
        ({"pyproject.toml": POETRY, "src/shop/__init__.py": "", "tests/__init__.py": ""}, "ai", "src/ai/assistants.py", "ai"),
        ({"pyproject.toml": POETRY, "src/a/__init__.py": "", "src/b/__init__.py": ""}, None, "src/app/assistants.py", {}),
        ({"pyproject.toml": POETRY, "src/__init__.py": ""}, None, "src/assistants.py", "src"),
        ({"pyproject.toml": POETRY, "tests/__init__.py": "", "docs/__init__.py": ""}, None, "app/assistants.py", {}),
        ({"pyproject.toml": POETRY, "app/.keep": "", "app/x.py": ""}, None, "app/assistants.py", {}),
        ({"pyproject.toml": POETRY}, "shop.ai", "shop/ai/assistants.py", "shop.ai"),
        ({"pyproject.toml": RUFF}, None, "app/assistants.py", {"project": {"name": "shop", "version": "0.1.0"}}),
        ({"pyproject.toml": RUFF, "setup.py": ""}, None, "app/assistants.py", {"tool": {"asst": {"project": "shop"}}}),
        ({"setup.py": ""}, None, "app/assistants.py", {"tool": {"asst": {"project": "shop"}}}),
        ({"pyproject.toml": RUFF, ".env": "ASST_PROJECT=x\n"}, None, "app/assistants.py", {}),
        ({"pyproject.toml": '[project]\ndependencies = [] # none\n'}, None, "app/assistants.py", {"project": {"name": "shop"}}),
        ({"pyproject.toml": POETRY + '[tool.asst]\nassistants = "x.y:Z"\n'}, None, "x/y.py", {}),
        ({"pyproject.toml": POETRY + '[tool.asst]\nstore = "s.json"\n'}, "ai", "ai/assistants.py", "ai"),
        ({"pyproject.toml": POETRY + '[tool.asst.environments.dev]\nplatform = "local"\n'}, "ai", "ai/assistants.py", "ai"),
        ({"pyproject.toml": POETRY.replace("\n", "\r\n")}, "ai", "ai/assistants.py", "ai"),
    ],
)  # fmt: skip
def test_an_existing_pyproject_gets_the_missing_keys_alone(
    folder: Callable[..., Folder], files: dict[str, str], package: str | None, path: str, added: object
) -> None:
    """Its lines, comments and line endings stay; the assistants go where the project's code is; the settings find them."""
    shop = folder(files)
    old = files.get("pyproject.toml", "")
    assert shop.init(package)[0] == 0
    assert (shop.root / path).is_file()
    new = (shop.root / "pyproject.toml").read_bytes().decode()
    assert lines_are_kept(old.encode(), new.encode())
    assert ("\r" in old) == ("\r\n" in new) == ("\n" not in new.replace("\r\n", ""))
    expected = {"tool": {"asst": {"assistants": f"{added}.assistants:ASSISTANTS"}}} if isinstance(added, str) else added
    assert tomllib.loads(new) == merged(tomllib.loads(old), expected)
    checked = shop.inv("asst.check")
    assert checked.code == 0, checked.err
    assert "would be taken" in checked.out
    before = shop.contents()
    assert shop.init()[0] == 0
    assert shop.contents() == before


def merged(old: object, new: object) -> object:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return {key: merged(old[key], new[key]) if key in old and key in new else {**old, **new}[key] for key in {**old, **new}}


def lines_are_kept(before: bytes, after: bytes) -> bool:
    """Whether the old lines stand in the new file in their order; the last one may get its line ending."""
    mark = b"\xef\xbb\xbf"
    assert before.startswith(mark) == after.startswith(mark)
    lines = iter(after.removeprefix(mark).splitlines(keepends=True))
    old_lines = before.removeprefix(mark).splitlines(keepends=True)
    return all(any(line in (old, old + b"\n", old + b"\r\n") for line in lines) for old in old_lines)


@pytest.mark.parametrize("name", ["My Shop", "shop_2", "invoke-assistants", "äöü", "-x-"])
def test_a_new_project_has_a_valid_name(tmp_path: Path, name: str) -> None:
    """It comes from the folder's, and is none that the project depends on."""
    shop = Folder(tmp_path / name)
    assert shop.init()[0] == 0
    project = tomllib.loads((shop.root / "pyproject.toml").read_text())["project"]["name"]
    assert {"My Shop": "my-shop", "shop_2": "shop-2", "invoke-assistants": "invoke-assistants-app", "äöü": "app", "-x-": "x"}[
        name
    ] == project


def test_a_new_project_packages_what_is_there(folder: Callable[..., Folder]) -> None:
    """An install brings each package, the new one too."""
    shop = folder({"a/__init__.py": "", "b/__init__.py": ""})
    shop.init()
    built = tomllib.loads((shop.root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert built == {"packages": ["a", "app", "b"]}


TABLES = [
    "[project]\nversion = '1' # v", "[tool.ruff]\nx = 1\n\n", "# c", "", "[tool.mypy]\nstrict = true",
    "[build-system]\nrequires = []",    "[tool.asst]\nplatform = 'local'\n# after", "[[tool.x.y]]\nz = 1",
]  # fmt: skip


@given(
    st.lists(st.sampled_from(TABLES), unique=True),
    st.sampled_from(["\n", "\r\n"]), st.booleans(),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_keys_are_added_to_any_toml(parts: list[str], newline: str, ends: bool) -> None:
    """Every line stays, and the values are the old ones and the new ones."""
    text = ("\n".join(parts) + "\n" * ends).replace("\n", newline)
    new = add_keys(text.encode(), {("project",): {"name": "n"}, ("tool", "asst"): {"assistants": "a:B"}}).decode()
    assert lines_are_kept(text.encode(), new.encode())
    assert tomllib.loads(new) == merged(tomllib.loads(text), {"project": {"name": "n"}, "tool": {"asst": {"assistants": "a:B"}}})


def test_tables_that_take_no_more_keys_are_left(folder: Callable[..., Folder]) -> None:
    """An inline table would have to be rewritten: the message holds the lines to add."""
    with pytest.raises(SettingsError, match=r"add this yourself: \[tool\.asst\] assistants = .a:B."):
        add_keys(b"tool = {x = 1}\n", {("tool", "asst"): {"assistants": "a:B"}})


# tasks.py

WITH_NS = '''\
"""Tasks."""

from invoke import Collection, task


@task
def build(c):
    """Build it."""
    print("built")


ns = Collection(build)
ns.configure({"x": 1})
'''
WITHOUT_NS = """\
import os
from pathlib import Path

from invoke import task

print(os.sep, Path.name)
if True:
    HERE = 1


@task(default=True)
def build(c):
    print("built")


@task(pre=[build], name="deploy-all")
def deploy_all(c): print("deployed")
"""


IMPORT = "from invoke_assistants.tasks import ns as asst"
FUTURE = "from __future__ import annotations"
MAIN = 'if __name__ == "__main__":\n    from invoke import Program\n\n    Program().run()\n'


def edited(text: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (WITH_NS, ["build"]),
        (WITH_NS.replace("ns", "namespace"), ["build"]),
        (WITH_NS.replace("ns =", "ns: Collection ="), ["build"]),
        (edited(WITH_NS, ("Collection, task", "Collection as C, task"), ("Collection(", "C(")), ["build"]),
        (edited(WITH_NS, ("from", "import invoke\nfrom"), ("Collection(", "invoke.Collection(")), ["build"]),
        (WITH_NS.replace("Collection(build)", "Collection(\n    build,\n)  # all"), ["build"]),
        (WITHOUT_NS, ["build", "deploy-all"]),
        (WITHOUT_NS.rstrip("\n"), ["build", "deploy-all"]),
        (WITHOUT_NS.replace("\n", "\r\n"), ["build", "deploy-all"]),
        ("\ufeff" + WITHOUT_NS, ["build", "deploy-all"]),
        ("\ufefffrom invoke import task\n\n\n@task\ndef build(c): ...\n", ["build"]),
        ("#!/usr/bin/env inv\n" + WITHOUT_NS.replace("import os", "import sys, os"), ["build", "deploy-all"]),
        (edited(WITHOUT_NS, ("import os\nfrom pathlib import Path", FUTURE), ("os.sep, Path.name", "")), ["build", "deploy-all"]),
        (edited(WITHOUT_NS, ("import task", "import task, Collection as Coll")), ["build", "deploy-all"]),
        (WITHOUT_NS + MAIN, ["build", "deploy-all"]),
        ("", []),
        ("\n\n", []),
    ],
)  # fmt: skip
def test_an_existing_tasks_file_gets_the_collection(folder: Callable[..., Folder], before: str, expected: list[str]) -> None:
    """Its lines stay, byte for byte; its tasks and its default run as before, and ours beside them."""
    shop = folder({"tasks.py": before})
    default = shop.inv() if "default=True" in before else None
    assert shop.init()[0] == 0
    after = (shop.root / "tasks.py").read_bytes()
    assert not before.strip() or lines_are_kept(before.encode(), after)
    listed = shop.inv("--list", "--list-format=json")
    assert listed.code == 0, listed.err
    found = json.loads(listed.out.splitlines()[-1])
    assert sorted(each["name"] for each in found["tasks"]) == expected
    assert [each["name"] for each in found["collections"]] == ["asst"]
    assert default is None or shop.inv().out == default.out
    assert has_collection(after)
    shop.init()
    assert (shop.root / "tasks.py").read_bytes() == after


def test_imports_stay_sorted(folder: Callable[..., Folder]) -> None:
    """ruff's import sorter and formatter find nothing to do in an edited file that was clean."""
    for number, before in enumerate(
        (WITH_NS, WITHOUT_NS, WITHOUT_NS.replace("from pathlib import Path", "import zlib").replace("Path.name", "zlib"))
    ):
        shop = folder({f"{number}/tasks.py": add_collection(before.replace("c): print", "c):\n    print").encode())})
        for command in (["check", "--select", "E,F,I"], ["format", "--check"]):
            done = subprocess.run(
                [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", str(number)],
                cwd=shop.root, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("before", "why"),
    [
        ("def (", "it is not valid Python, line 1"),
        (b"from invoke import task\nx = 'caf\xe9'\n", "it is not valid Python, line 2"),
        ("x\0y", "it is not valid Python"),
        ("from celery import Celery\n", "it imports nothing from invoke"),
        (WITH_NS.replace("Collection(build)", "make()"), "its ns is not made by one statement, ns = Collection(...)"),
        (WITH_NS + "ns = Collection()\n", "its ns is not made by one statement, ns = Collection(...)"),
        (WITH_NS + "namespace = ns\n", "its ns is not made by one statement, ns = Collection(...)"),
        (WITH_NS.replace("ns = Collection(build)", "if True:\n    ns = Collection(build)"), "its ns is not made by one"),
        (edited(WITH_NS, ("from invoke import Collection,", "from typing import Collection\nfrom invoke import")), "its ns"),
        (WITH_NS.replace("build", "asst"), "it uses the name asst for something else"),
        (WITH_NS.replace("@task", '@task(name="asst")'), "it uses the name asst for something else"),
        (WITHOUT_NS + "from x import *\n", "an import of * may bring anything"),
        (WITHOUT_NS.replace("import os", "import os as sys").replace("os.sep", "1"), "its sys is not Python's"),
        (WITHOUT_NS + "Collection = list\n", "its Collection is not Invoke's"),
        (WITHOUT_NS + "from invoke_assistants.tasks import ns as asst\n", "it imports the collection and adds it to none"),
        ("from invoke import task\nfrom invoke_assistants.tasks import ns\n", "it imports the collection and adds it to none"),
        (WITH_NS.replace("ns = Collection(build)", "ns = Collection(build); x = [\n    1]"), "several statements share a line"),
        (FUTURE + "; from invoke import task\n", "several statements share a line"),
        (WITHOUT_NS.replace("import os", "import os, sys") + "del sys\n", "its sys is not Python's"),
        (edited(WITH_NS, ("\n\n\n@task", "\nimport tools.asst\n\n\n@task")), "it uses the name asst"),
        (edited(WITH_NS, ("\n\n\n@task", "\nfrom tools import asst as a\n\n\n@task")), "it uses the name asst"),
        (edited(WITH_NS, ("\n\n\n@task", f"\n{IMPORT}\n\n\n@task")), "it imports the collection"),
        ("from invoke import Collection\nimport x\nns = Collection(asst=x)\n", "it uses the name asst for something else"),
        (WITHOUT_NS + "try:\n    pass\nexcept OSError as sys:\n    pass\n", "its sys is not Python's"),
        (WITHOUT_NS + "def f():\n    global ns\n    ns = 1\n", "its ns is not made by one statement, ns = Collection(...)"),
    ],
)  # fmt: skip
def test_a_tasks_file_that_is_not_plain_is_left(
    folder: Callable[..., Folder], capsys: pytest.CaptureFixture[str], before: str | bytes, why: str
) -> None:
    """init says why, prints the lines to add, makes the rest, and names commands that work without them."""
    shop = folder({"tasks.py": before})
    content = (shop.root / "tasks.py").read_bytes()
    with pytest.raises(Uneditable) as raised:
        add_collection(content)
    assert why in str(raised.value)
    assert shop.init()[0] == 0
    out = capsys.readouterr().out
    assert "    from invoke_assistants.tasks import ns as asst\n    ns.add_collection(asst)" in out
    assert "next:\n    python -m invoke_assistants create\n" in out
    assert (shop.root / "tasks.py").read_bytes() == content
    assert set(shop.contents()) == set(ALL)


def test_the_commands_without_a_tasks_file_work(folder: Callable[..., Folder]) -> None:
    """python -m invoke_assistants create, run and plan do what inv would."""
    shop = folder({"tasks.py": "import celery\n"})
    shop.init()
    assert shop.module("create").code == 0
    assert "topic: billing" in shop.module("run", "triage", "Hello.").out


def test_tasks_in_a_package(folder: Callable[..., Folder]) -> None:
    """The file that Invoke loads is the one that gets the lines."""
    shop = folder({"tasks/__init__.py": WITHOUT_NS})
    shop.init()
    assert not (shop.root / "tasks.py").exists()
    assert shop.inv("asst.create").code == 0


FRAGMENTS = [
    "from invoke import task", "from invoke import task, Collection", "import sys", "import os; import re", "ns = Collection(a)",
    "'''A text\nns = 1'''", "x = (1 +\n    2)  # \\", "@task\ndef a(c):\n    ns = 1\n    return ns", "namespace = Collection()",
    "if x:\n    pass", "# a comment", "", "\x0c", "y = 1; z = 2", "class A:\n    ns = 1", FUTURE, "z = 'é'", "del x",
    "x = \\\n  1",
]  # fmt: skip


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=8), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(), st.booleans())
@settings(max_examples=300, deadline=None)
def test_what_was_in_a_tasks_file_is_still_in_it(parts: list[str], newline: str, mark: bool, ends: bool) -> None:
    """Whatever the file is: it is left, or every line of it stays, it is valid Python, and it has the collection."""
    text = "\ufeff" * mark + ("\n".join(parts) + "\n" * ends).replace("\n", newline)
    try:
        after = add_collection(text.encode())
    except Uneditable:
        return
    assert lines_are_kept(text.encode(), after)
    assert has_collection(after)


# .gitignore, .gitattributes, .env


@pytest.mark.parametrize(
    ("before", "added"),
    [
        ("", [".asst/", ".env.local", "assistants_store.json.lock", "assistants_store.json.tmp"]),
        ("*.pyc", [".asst/", ".env.local", "assistants_store.json.lock", "assistants_store.json.tmp"]),
        ("/.asst\n.env.*\r\n", ["assistants_store.json.lock", "assistants_store.json.tmp"]),
        (".asst/\n.env*\n*.lock\n*.tmp\n", []),
        (".*\n!.env.local\n*.tmp\n", [".env.local", "assistants_store.json.lock"]),
        ("# .asst/\n*.lock # x\n.env.local \n*.tmp\n", [".asst/", "assistants_store.json.lock"]),
    ],
)
def test_gitignore_gets_the_missing_lines(folder: Callable[..., Folder], before: str, added: list[str]) -> None:
    """What git ignores already is not added again; its line endings are kept."""
    shop = folder({".gitignore": before})
    shop.init()
    after = (shop.root / ".gitignore").read_bytes().decode()
    assert after.startswith(before)
    assert after[len(before) :].split() == added
    subprocess.run(["git", "init", "-q", str(shop.root)], check=True)
    for path in (".asst/local.json", ".env.local", "assistants_store.json.lock", "assistants_store.json.tmp"):
        assert subprocess.run(["git", "-C", str(shop.root), "check-ignore", "-q", path], check=False).returncode == 0, path
    attribute = subprocess.run(
        ["git", "-C", str(shop.root), "check-attr", "merge", "assistants_store.json"], check=True, capture_output=True
    )
    assert attribute.stdout == b"assistants_store.json: merge: asst\n"


def test_another_store_has_its_own_lines(folder: Callable[..., Folder]) -> None:
    """The lines name the store's file; a store at a URL needs none, and is no embedded platform's."""
    shop = folder({".env": "ASST_STORE=data/ids.json"})
    shop.init()
    assert b"\ndata/ids.json.lock\ndata/ids.json.tmp\n" in shop.contents()[".gitignore"]
    assert shop.contents()[".gitattributes"].endswith(b"\ndata/ids.json merge=asst\n")
    assert shop.contents()[".env"] == b"ASST_STORE=data/ids.json\nASST_PLATFORM=local\n"
    paths = {edit.path: edit.after for edit in shop.plan(environ={"ASST_STORE": "redis://h/1"}).edits}
    assert paths == {}
    other = Folder(shop.root.parent / "other", {".env": "ASST_STORE=redis://h/1\n"})
    planned = {edit.path: edit.after for edit in other.plan().edits}
    assert not {".env", ".gitattributes"} & set(planned)
    assert b"lock" not in planned[".gitignore"]


@pytest.mark.parametrize(
    ("files", "environ"),
    [
        ({".env": "ASST_PLATFORM=agents\n"}, {}),
        ({".env": "ASST_PLATFORM=\n"}, {}),
        ({".env.local": "ASST_PLATFORM=agents\n"}, {}),
        ({}, {"ASST_PLATFORM": "responses"}),
        ({"pyproject.toml": '[project]\nname = "x"\n[tool.asst]\nplatform = "responses"\n'}, {}),
        ({"pyproject.toml": '[project]\nname = "x"\n[tool.asst.environments.dev]\nplatform = "local"\n'}, {}),
        ({"assistants_store.json": "{}"}, {}),
    ],
)
def test_a_platform_that_is_chosen_stays(folder: Callable[..., Folder], files: dict[str, str], environ: dict[str, str]) -> None:
    """.env gets no platform where any source has one, nor where instances are recorded already."""
    assert ".env" not in {edit.path for edit in folder(files).plan(environ=environ).edits}


# refusals


def link(path: str, target: str) -> Callable[[Path], object]:
    return lambda root: (root / path).symlink_to(target)


@pytest.mark.parametrize(
    ("prepare", "package", "message"),
    [
        ({"pyproject.toml": "[project"}, None, "pyproject.toml is not valid TOML"),
        ({"pyproject.toml": b"# \xff"}, None, "pyproject.toml is not valid TOML: it is not UTF-8"),
        ({"pyproject.toml": "[tool.asst]\nx = 1\n"}, None, "unknown key 'x' in [tool.asst]"),
        ({"pyproject.toml": "tool = {ruff = {}}\n"}, "ai", "pyproject.toml cannot be extended without rewriting it"),
        ({".env": 'A="\n'}, None, ".env, line 1: cannot be read"),
        ({}, "my-shop", "--package 'my-shop' is not the name of a Python package"),
        ({}, "class", "--package 'class' is not the name of a Python package"),
        ({}, "", "--package '' is not the name of a Python package"),
        ({}, "tasks", "--package tasks: that name has another meaning"),
        ({}, "json", "a package json would hide Python's own module"),
        ({}, "pydantic", "a package pydantic would hide the installed one"),
        ({"app.py": ""}, None, "app.py is in the way of a package app: name another package with --package"),
        ({"app": ""}, None, "app is a file: app/__init__.py needs a folder there"),
        ({"app/index.html": ""}, None, "app is a folder without any Python: name another package"),
        ({"app/assistants.py": "x = 1\n"}, None, "app/assistants.py defines no ASSISTANTS"),
        ({"app/assistants.py": "def (\n"}, None, "app/assistants.py is not valid Python"),
        ({"app/assistants.py": "ASSISTANTS = []\n"}, "shop", "the assistants are in app.assistants:ASSISTANTS already"),
        ({".env": "ASST_ASSISTANTS=x:Y\n"}, "shop", "the assistants are in x:Y already (ASST_ASSISTANTS says so)"),
        ({".env": "ASST_ASSISTANTS=x\n"}, None, "assistants is 'x', which is not MODULE:ATTRIBUTE"),
        (link("tasks.py", "elsewhere.py"), None, "tasks.py is a symbolic link"),
        (link("app", ".."), None, "app is a symbolic link: app/"),
        (lambda root: (root / ".gitignore").mkdir(), None, ".gitignore cannot be read: Is a directory"),
        (lambda root: os.mkfifo(root / ".gitignore"), None, ".gitignore is not a regular file"),
        ({".gitignore": b"\xff\xfea\0"}, None, ".gitignore is not UTF-8: save it as UTF-8 text"),
        ({"tasks.py.tmp": "mine"}, None, "tasks.py.tmp is in the way of writing tasks.py"),
        (lambda root: (root.parent / "pyproject.toml").write_text(""), None, "this folder is part of the project in"),
    ],
)  # fmt: skip
def test_a_refusal_is_one_line_and_writes_nothing(
    folder: Callable[..., Folder], prepare: dict[str, str] | Callable[[Path], object], package: str | None, message: str
) -> None:
    """Everything is known before the first file is written."""
    shop = folder(prepare if isinstance(prepare, dict) else None)
    if callable(prepare):
        prepare(shop.root)
    before = shop.contents()
    code, said = shop.init(package)
    assert (code, "\n" in said) == (1, False)
    assert message in said
    assert shop.contents() == before


@pytest.mark.parametrize(("path", "message"), [(".", "is read-only: "), ("tasks.py", "tasks.py is read-only")])
def test_what_is_read_only_is_refused(folder: Callable[..., Folder], path: str, message: str) -> None:
    """A folder or a file that cannot be written is named before anything is."""
    shop = folder({"tasks.py": WITH_NS})
    (shop.root / path).chmod(0o555 if path == "." else 0o444)
    if os.access(shop.root / path, os.W_OK):
        pytest.skip("this user may write everywhere")
    code, said = shop.init()
    (shop.root / path).chmod(0o755)
    assert code == 1
    assert message in said
    assert set(shop.contents()) == {"tasks.py"}


# the program


def test_messages_name_commands_that_work(folder: Callable[..., Folder]) -> None:
    """Without a tasks.py that has the collection: errors, JSON and last lines say python -m invoke_assistants; else inv."""
    shop = folder()
    shop.init()
    (shop.root / "tasks.py").rename(shop.root / "mine.py")
    assert shop.module("status").out.endswith("next: python -m invoke_assistants create\n")
    failed = shop.module("deploy", "--json")
    for said in (failed.err, failed.json["error"], failed.json["rows"][0]["error"]):
        assert "run python -m invoke_assistants create" in said
        assert "inv " not in said
    (shop.root / "mine.py").rename(shop.root / "tasks.py")
    assert shop.module("status").out.endswith("next: inv asst.create\n")


@pytest.mark.parametrize("args", [[], ["--list"], ["--help"], ["--help", "init"], ["--version"], ["init", "--dry-run"]])
def test_a_closed_pipe_ends_the_program_quietly(folder: Callable[..., Folder], tmp_path: Path, args: list[str]) -> None:
    """Nothing is on stderr when nobody reads."""
    shop = (
        folder()
        if args[:1] == ["init"]
        else folder({"pyproject.toml": "[project]\nname = 'x'\n", "app/assistants.py": "ASSISTANTS = []"})
    )
    reading, writing = os.pipe()
    os.close(reading)
    with (tmp_path / "err").open("w+") as err:
        process = shop.start_on([os.open(os.devnull, os.O_RDONLY), writing, err.fileno()], "-m", "invoke_assistants", *args)
        os.close(writing)
        code = process.wait()
        assert (code, (tmp_path / "err").read_text()) == (1 if args else 0, "")  # a status that was looked up stays one


def test_inv_is_spelled_as_ever(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only python -m invoke_assistants spells commands anew, and only ours."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(spelling, "_as_module", False)
    assert spelling.spell_commands("run inv asst.create") == "run inv asst.create"
    monkeypatch.setattr(spelling, "_as_module", True)
    assert spelling.spell_commands("run inv asst.create; inv --debug shows") == (
        "run python -m invoke_assistants create; python -m invoke_assistants --debug shows"
    )
    assert spelling.spell_commands("inv --help asst.run shows") == "python -m invoke_assistants --help run shows"
    assert spelling.spell_commands("inv build, asst.project") == "inv build, asst.project"


def test_a_diff_shows_no_secret(folder: Callable[..., Folder], capsys: pytest.CaptureFixture[str]) -> None:
    """The lines beside a new one in ``.env`` stay unseen."""
    shop = folder({".env": f"OPENAI_API_KEY={CANARY}\n"})
    assert shop.init(dry_run=True)[0] == 2
    assert shop.init()[0] == 0
    shown = capsys.readouterr()
    assert "+ASST_PLATFORM=local" in shown.out
    assert CANARY not in shown.out + shown.err


def test_a_project_with_assistants_keeps_its_platform(folder: Callable[..., Folder]) -> None:
    """Where the assistants are declared already, something may be live: no platform is chosen for it."""
    shop = folder({"app/__init__.py": "", "app/assistants.py": "ASSISTANTS = []\n"})
    assert ".env" not in {edit.path for edit in shop.plan().edits}


def test_what_a_killed_run_left_is_no_obstacle(folder: Callable[..., Folder]) -> None:
    """The beginning of what is to be written may lie under the temporary name, in a folder of its own, too."""
    shop = folder()
    whole = {edit.path: edit.after for edit in shop.plan().edits}
    for path in ("tasks.py", "app/__init__.py"):
        (shop.root / path).parent.mkdir(exist_ok=True)
        (shop.root / f"{path}.tmp").write_bytes(whole[path][:20])
    assert shop.init()[0] == 0
    assert set(shop.contents()) == set(ALL)


def test_a_pattern_for_folders_ignores_no_file(folder: Callable[..., Folder]) -> None:
    """``.env.local/`` means a folder, so the file with the secrets gets a line of its own."""
    shop = folder({".gitignore": "*/\n.env.local/\n"})
    assert shop.init()[0] == 0
    assert ".env.local" in (shop.root / ".gitignore").read_text().splitlines()


def test_what_is_left_to_the_person_is_said(folder: Callable[..., Folder], capsys: pytest.CaptureFixture[str]) -> None:
    """A missing dependency, ignored files that belong into git: each is a line, in a dry run as well."""
    shop = folder({"pyproject.toml": '[project]\nname = "shop"\n', ".gitignore": ".env\n*.json\n"})
    for dry_run in (True, False):
        shop.init(dry_run=dry_run)
        out = capsys.readouterr().out
        assert "add invoke-assistants>=" in out
        assert "git ignores .env" in out
        assert "git ignores assistants_store.json" in out


def test_a_killed_run_goes_on_as_if_it_had_not_been(folder: Callable[..., Folder]) -> None:
    """After any number of the files, a second run ends with all of them, the choice of the platform among them."""
    for number in range(1, len(ALL)):
        shop = Folder(folder().root.with_name(f"shop{number}"))
        for edit in shop.plan().edits[:number]:
            (shop.root / edit.path).parent.mkdir(exist_ok=True)
            (shop.root / edit.path).write_bytes(edit.after)
        assert shop.init()[0] == 0
        assert set(shop.contents()) == set(ALL)
