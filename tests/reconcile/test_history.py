"""The history of instances: the digests that each had, by the store's records and git's history of its file."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Host, examples
from hypothesis import given, settings
from hypothesis import strategies as st
from invoke.collection import Collection
from invoke.exceptions import ParseError
from invoke.parser import Argument, Parser, ParserContext
from places import SHARED, missing, place

from invoke_assistants import commands
from invoke_assistants import tasks as asst_tasks
from invoke_assistants.commands import HistoryReport
from invoke_assistants.declare.digest import canonical, digest
from invoke_assistants.errors import SettingsError, StoreError
from invoke_assistants.reconcile.diff import payload_changes
from invoke_assistants.reconcile.history import instance_histories
from invoke_assistants.reconcile.records import successor
from invoke_assistants.store.document import dump_tables
from invoke_assistants.store.file_storage import FileStorage
from invoke_assistants.store.git import _offline
from invoke_assistants.store.store import Store
from invoke_assistants.store.versions import StoreVersion, StoreVersions
from invoke_assistants.tasks.history_output import describe_evals, print_history
from invoke_assistants.types import LOCAL, Desired, EvalCase, EvalResult, Held, JSONObject, Location, Record, State

AGENTS = Location("agents", "api.openai.com")
DEVELOPMENT, PRODUCTION = ("judge", "development"), ("judge", "production")


def payload(text: str) -> JSONObject:
    return {"model": "m", "instructions": text, "text": {"format": {"type": "text"}}, "tools": []}


def of(text: str) -> str:
    return digest(payload(text))


class Repository:
    """A project in a git repository, whose store is written as a deployment would."""

    def __init__(self, root: Path, name: str = "assistants_store.json") -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        about = {"platform": "local", "store": name, "assistants": "no.such.app:ASSISTANTS"}
        lines = ["[project]", 'name = "host"', "[tool.asst]", *(f'{key} = "{value}"' for key, value in about.items())]
        (root / "pyproject.toml").write_text("\n".join(lines))
        self.store = Store(FileStorage(root / name), "host")
        self.git("init", "--quiet", "--initial-branch", "main")

    def git(self, *args: str, author: str = "Ada") -> str:
        who = {
            f"GIT_{role}_{what}": value
            for role in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", author), ("EMAIL", "e@x"))
        }
        settings = ["-c", "protocol.file.allow=always", "-c", "commit.gpgsign=false"]
        return subprocess.run(
            ["git", *settings, *args], cwd=self.root, env={**os.environ, **who}, capture_output=True, text=True, check=True
        ).stdout.strip()

    def commit(self, author: str = "Ada", message: str = "deployed") -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message, author=author)
        commit = self.git("rev-parse", "HEAD")
        self.git("commit", "--quiet", "--allow-empty", "--message", "something else")
        return commit

    def deploy(self, text: str, *keys: tuple[str, str], **more: Any) -> None:
        """Record a payload for these instances."""
        records = {}
        for key in keys:
            before = self.store.read().records.get(key) or Record(f"agent_{key[0]}_{key[1]}", LOCAL, of(text))
            desired = Desired(*key, int(key[1] != "development"), LOCAL, "host", payload(text), of(text))
            records[key] = replace(successor(before, of(text), None, desired), **more)
        self.store.commit(records=records, payloads=[(of(text), payload(text))])

    def texts(self, *args: Any, **more: Any) -> list[str]:
        """The instructions that an instance had, newest first."""
        [instance] = commands.history(self.root, *args, **more).instances
        return [entry.payload["instructions"] for entry in instance.entries]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "host")


def commits(report: HistoryReport) -> list[tuple[str | None, str | None]]:
    [instance] = report.instances
    return [(entry.change.commit, entry.change.author) if entry.change else (None, None) for entry in instance.entries]


# What the records alone tell.


def versions_of(states: Sequence[Mapping[Any, Record]], texts: str) -> StoreVersions:
    """A line of versions, oldest first; the last is the store as it is."""
    line = list(reversed(states))
    found = [StoreVersion(records, None, (at + 1,) if at + 1 < len(line) else ()) for at, records in enumerate(line)]
    payloads = {of(text): payload(text) for text in texts}
    return StoreVersions(found, State(line[0], payloads), "host", payloads, tracked=True)


Moves = st.lists(
    st.tuples(st.sampled_from(["deploy", "rollback", "resume"]), st.sampled_from("abcd"), st.booleans()), max_size=25
)


@settings(max_examples=examples(600), deadline=None)
@given(Moves)
def test_every_digest_is_told_once_and_in_order(moves: Sequence[tuple[str, str, bool]]) -> None:
    """Whatever was deployed, rolled back, resumed and committed, the history is what the instance had, newest first.

    Deployments between two commits are told, too, unless one comes again; a rollback is committed before the next move.
    """
    record = Record("agent_1", LOCAL, of("a"))
    truth, states = [of("a")], [{PRODUCTION: record}]
    since = {of("a")}  # what the instance had since the last commit
    for kind, text, commit in moves:
        here = Desired(*PRODUCTION, 1, LOCAL, "host", payload(text), of(text))
        earlier = [each for each in record.history if each != record.digest]
        if kind == "rollback" and earlier:
            held = Held(record.held.origin if record.held else record.digest)
            record = successor(record, earlier[0], None, here, held)
        elif kind == "resume" or (kind == "deploy" and not record.held):
            if of(text) in since and of(text) != record.digest:
                states.append({PRODUCTION: record})
                since = {record.digest}
            record = successor(record, of(text), None, here)
        truth += [record.digest] if record.digest != truth[-1] else []
        since.add(record.digest)
        if commit or kind != "deploy":
            states.append({PRODUCTION: record})
            since = {record.digest}
    states.append({PRODUCTION: record})
    [instance] = instance_histories(versions_of(states, "abcd"), [PRODUCTION])
    assert [entry.digest for entry in instance.entries] == truth[::-1]
    assert [entry.current for entry in instance.entries] == [True, *[False] * (len(truth) - 1)]


Letters = st.sampled_from("xy")
Values = st.recursive(st.booleans() | st.integers(0, 2) | Letters, lambda below: st.lists(below, max_size=2))
Objects = st.dictionaries(Letters, Values)
Tools = st.fixed_dictionaries({"type": st.sampled_from(["function", "mcp"])}, optional={"name": Letters, "parameters": Objects})
Formats = st.fixed_dictionaries({"type": st.just("json_schema"), "schema": Objects})
Payloads = st.fixed_dictionaries(
    {
        "model": Letters,
        "instructions": st.sampled_from([None, "i", "j\nk"]),
        "tools": st.lists(Tools, max_size=2),
        "text": st.fixed_dictionaries({"format": Formats}, optional={"verbosity": Letters}),
    },
    optional={
        "reasoning": st.fixed_dictionaries({}, optional={"effort": Letters, "summary": Letters}),
        "metadata": st.dictionaries(st.sampled_from(["team", "a.b"]), Letters),
        "service_tier": Letters,
    },
)


@settings(max_examples=examples(200), deadline=None)
@given(Payloads, Payloads)
def test_payloads_that_differ_have_changes_and_equal_ones_none(before: JSONObject, after: JSONObject) -> None:
    """Each change names a field once, with two values that differ."""
    changes = payload_changes(before, after)
    assert len({change.field for change in changes}) == len(changes)
    assert all(canonical(change.before) != canonical(change.after) for change in changes)
    assert bool(changes) is (canonical(before) != canonical(after))
    for key in before:
        without = {other: before[other] for other in before if other != key}
        if before[key] is not None:
            assert [change.field for change in payload_changes(before, without)] == [key]
            assert [change.field for change in payload_changes(without, before)] == [key]


# What git knows.


def test_each_digest_has_the_commit_that_brought_it(repository: Repository) -> None:
    """Commit, author, date and subject are git's; what is not committed says so; a later environment keeps what no commit has."""
    repository.deploy("one", DEVELOPMENT, PRODUCTION)
    first = repository.commit("Ada", "The first one")
    repository.deploy("two", DEVELOPMENT)
    second = repository.commit("Grace")
    repository.deploy("two", PRODUCTION)
    repository.deploy("three", DEVELOPMENT, PRODUCTION)
    third = repository.commit("Edsger")
    repository.deploy("four", DEVELOPMENT, allowed=("a[].b",), evals_skipped=True)
    development = commands.history(repository.root, env="development")
    assert commits(development) == [(None, None), (third, "Edsger"), (second, "Grace"), (first, "Ada")]
    entries = development.instances[0].entries
    assert [entry.committed for entry in entries] == [False, True, True, True]
    assert entries[-1].change
    assert entries[-1].change.subject == "The first one"
    assert [[(each.field, each.before, each.after) for each in entry.changes] for entry in entries] == [
        [("instructions", "three", "four")], [("instructions", "two", "three")], [("instructions", "one", "two")], [],
    ]  # fmt: skip
    assert (entries[0].allowed, entries[0].evals_skipped, entries[1].allowed) == (("a[].b",), True, ())
    production = commands.history(repository.root, env="production")
    assert commits(production) == [(third, "Edsger"), (third, "Edsger"), (first, "Ada")]
    assert production.notes == ()


def test_evals_and_what_holds_an_instance_are_told(repository: Repository) -> None:
    """What evals found stands with its digest, in earlier versions too; a rollback says what it left."""
    result = EvalResult(0.5, 0.9, False, (EvalCase("first", "fail", ("fail",)),))
    repository.deploy("one", PRODUCTION)
    repository.store.commit(evals={of("one"): {"local local": {f"sha256:{'f' * 64}": result}}})
    repository.commit()
    repository.deploy("two", PRODUCTION)
    repository.commit()
    record = repository.store.read().records[PRODUCTION]
    repository.store.commit(records={PRODUCTION: replace(record, digest=of("one"), held=Held(of("two"), "too slow"))})
    [instance] = commands.history(repository.root).instances
    assert [entry.payload["instructions"] for entry in instance.entries] == ["one", "two", "one"]
    assert instance.entries[0].held == Held(of("two"), "too slow")
    assert [bool(entry.evals) for entry in instance.entries] == [True, False, True]
    assert instance.entries[2].evals["local local"][f"sha256:{'f' * 64}"] == result


def test_a_changed_output_schema_is_told_with_its_verdict(repository: Repository) -> None:
    """Each digest says whether the app that ran before could read its answers, by what the store keeps of its readers.

    What was let through is said once: with its reason, or where that is not shown, by its path.
    """

    def schema(*fields: str) -> JSONObject:
        properties = {name: {"type": "string"} for name in fields}
        return {"type": "object", "properties": properties, "required": [*fields], "additionalProperties": False}

    payloads = [
        {**payload("one"), "text": {"format": {"type": "json_schema", "schema": schema(*fields)}}}
        for fields in (("why",), ("why", "good"), ("good",))
    ]
    record = Record("agent_1", LOCAL, digest(payloads[0]))
    for each in payloads:
        record = replace(record, digest=digest(each))
        repository.store.commit(records={DEVELOPMENT: record}, payloads=[(digest(each), each)])
        repository.commit()
    [instance] = commands.history(repository.root).instances
    last, middle, first = (entry.schema for entry in instance.entries)
    assert first is None
    assert middle
    assert [(each.path, each.kind, each.verdict) for each in middle.changes] == [("good", "field_added", "compatible")]
    assert last
    assert (last.verdict, last.order) == ("breaking", "ship_app_first")
    assert [(each.path, each.kind) for each in last.unsafe] == [("why", "field_removed")]
    repository.store.commit(records={DEVELOPMENT: replace(record, allowed=("why", "elsewhere"))}, payloads=[])
    report = commands.history(repository.root)
    shown = {detailed: io.StringIO() for detailed in (True, False)}
    for detailed, stream in shown.items():
        print_history(report, stream, detailed=detailed)
    lines = [line.strip() for line in shown[True].getvalue().splitlines() if "let through" in line]
    assert lines == ["breaking changes let through: elsewhere", "let through: why: The app that ran then needs this field."]
    assert "breaking changes let through: why, elsewhere\n" in shown[False].getvalue()
    assert "runs now" not in "".join(each.getvalue() for each in shown.values()) + str(report)


def test_a_merge_is_told_as_two_lines_of_work(repository: Repository) -> None:
    """Where each branch changed another instance, each has its own commits, and none goes back and forth."""
    other = ("talker", "development")
    repository.deploy("one", DEVELOPMENT, other)
    first = repository.commit()
    repository.git("checkout", "--quiet", "-b", "branch")
    repository.deploy("branch", DEVELOPMENT)
    on_branch = repository.commit("Grace")
    branch = repository.store.storage.load().content
    repository.git("checkout", "--quiet", "main")
    repository.deploy("main", other)
    on_main = repository.commit("Edsger")
    with pytest.raises(subprocess.CalledProcessError):
        repository.git("merge", "--quiet", "branch")
    commands.resolve(repository.root, theirs=["all"])
    merged = repository.commit("Ada")
    assert branch != repository.store.storage.load().content
    assert repository.git("rev-list", "--parents", "-n1", merged).count(" ") == 2
    assert commits(commands.history(repository.root, ["judge"])) == [(on_branch, "Grace"), (first, "Ada")]
    assert commits(commands.history(repository.root, ["talker"])) == [(on_main, "Edsger"), (first, "Ada")]


def test_a_renamed_store_keeps_its_history(repository: Repository) -> None:
    """The file's earlier names are followed, into another folder too."""
    repository.deploy("one", DEVELOPMENT)
    first = repository.commit("Ada")
    (repository.root / "kept").mkdir()
    repository.git("mv", "assistants_store.json", "kept/b.json")
    (repository.root / "pyproject.toml").write_text(
        '[project]\nname = "host"\n[tool.asst]\nplatform = "local"\nstore = "kept/b.json"\n'
    )
    repository.commit("Grace", "moved")
    repository.store = Store(FileStorage(repository.root / "kept" / "b.json"), "host")
    repository.deploy("two", DEVELOPMENT)
    second = repository.commit("Edsger")
    assert commits(commands.history(repository.root)) == [(second, "Edsger"), (first, "Ada")]


def test_versions_that_are_no_store_are_left_out(repository: Repository) -> None:
    """Conflict markers, another project's store, an empty and a deleted file: the history goes on before them."""
    repository.deploy("one", DEVELOPMENT)
    first = repository.commit("Ada")
    good = repository.store.storage.load().content
    assert good
    path = repository.root / "assistants_store.json"
    for bad in (b"<<<<<<< ours\n", good.replace(b'"host"', b'"other"'), b"", b"[1]", good.replace(b'"id"', b'"ID"'), None):
        path.unlink()
        if bad is not None:
            path.write_bytes(bad)
        repository.commit("Mallory")
        path.write_bytes(good)
        repository.commit("Trent")
    repository.deploy("two", DEVELOPMENT)
    last = repository.commit("Grace")
    report = commands.history(repository.root)
    assert commits(report) == [(last, "Grace"), (first, "Ada")]
    assert report.notes == ("6 earlier versions of the store cannot be read and are left out",)


def test_a_store_that_somebody_formatted_is_read_as_well(repository: Repository) -> None:
    """Payloads that a later version does not hold are found however the file was written."""
    repository.deploy("one", DEVELOPMENT)
    first = repository.commit()
    content = repository.store.storage.load().content
    assert content
    (repository.root / "assistants_store.json").write_bytes(b"".join(content.split(b"\n")))
    repository.commit()
    repository.deploy("two", DEVELOPMENT)
    last = repository.commit()
    assert [commit for commit, _ in commits(commands.history(repository.root))] == [last, first]


def test_a_shallow_clone_says_less(repository: Repository, tmp_path: Path) -> None:
    """The commit where the clone ends is nobody's change; the record's own history goes on before it."""
    for text in ("one", "two", "three"):
        repository.deploy(text, PRODUCTION)
        last = repository.commit()
    repository.git("clone", "--quiet", "--depth", "4", f"file://{repository.root}", str(tmp_path / "clone"))
    report = commands.history(tmp_path / "clone")
    assert commits(report) == [(last, "Ada"), (None, None), (None, None)]
    assert report.notes == ("the clone is shallow: git fetch --unshallow brings what was before",)


def test_a_partial_clone_is_not_completed(repository: Repository, tmp_path: Path) -> None:
    """Versions that the clone left out are not fetched: history needs no network."""
    for text in ("one", "two"):
        repository.deploy(text, PRODUCTION)
        last = repository.commit()
    repository.git("config", "uploadpack.allowFilter", "true")
    repository.git("clone", "--quiet", "--filter=blob:none", f"file://{repository.root}", str(tmp_path / "clone"))
    report = commands.history(tmp_path / "clone")
    assert [entry.payload["instructions"] for entry in report.instances[0].entries] == ["two", "one"]
    assert report.notes == ("1 earlier version of the store cannot be read and is left out",)
    assert commits(report)[0] == (last, "Ada")
    assert _offline()["GIT_ALLOW_PROTOCOL"] == "none"


@pytest.mark.parametrize("case", ["no repository", "no commit", "ignored", "no git", "a broken repository"])
def test_without_git_the_record_tells_what_it_knows(case: str, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the record keeps is there; what git cannot tell is one note, and no error."""
    repository.deploy("one", PRODUCTION)
    repository.deploy("two", PRODUCTION)
    folder = repository.root / ".git"
    if case == "no repository":
        folder.rename(repository.root.parent / "elsewhere")
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(repository.root.parent))
    elif case == "ignored":
        (repository.root / ".gitignore").write_text("*.json\n")
        repository.commit()
    elif case == "no git":
        monkeypatch.setenv("PATH", str(repository.root))
    elif case == "a broken repository":
        (folder / "HEAD").write_text("nonsense")
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(repository.root.parent))
    assert repository.texts() == ["two", "one"]
    report = commands.history(repository.root)
    assert commits(report) == [(None, None)] * 2
    assert len(report.notes) == 1
    assert all(entry.committed is None for entry in report.instances[0].entries)


def test_the_store_of_a_submodule_has_the_submodules_history(repository: Repository, tmp_path: Path) -> None:
    """git is asked in the repository that has the file."""
    repository.deploy("one", DEVELOPMENT)
    first = repository.commit("Ada")
    outer = Repository(tmp_path / "outer", "sub/assistants_store.json")
    outer.git("submodule", "--quiet", "add", str(repository.root), "sub")
    outer.commit("Grace")
    assert commits(commands.history(outer.root)) == [(first, "Ada")]


def test_five_hundred_commits_are_read_at_once(repository: Repository) -> None:
    """git is started a few times, not once for each commit, and its settings change nothing."""
    stream = b""
    for number in range(500):
        text = str(number)
        record = {"digest": of(text), "id": "agent_1", "origin": "local", "platform": "local"}
        about = {"format": {"project": "host", "version": 1}}
        tables = {"assistants": {"judge": {"development": record}}, "payloads": {of(text): payload(text)}, "store": about}
        content = dump_tables(tables)
        stream += b"commit refs/heads/main\ncommitter A <a@b> %d +0000\ndata 0\n" % (1_700_000_000 + number)
        stream += b"M 100644 inline assistants_store.json\ndata %d\n%s\n" % (len(content), content)
    subprocess.run(["git", "fast-import", "--quiet"], cwd=repository.root, input=stream, check=True)
    repository.git("reset", "--quiet", "--hard")
    for name, value in (
        ("log.showSignature", "true"),
        ("format.pretty", "oneline"),
        ("color.ui", "always"),
        ("log.follow", "true"),
    ):
        repository.git("config", name, value)
    began = time.process_time()
    assert repository.texts() == [str(number) for number in reversed(range(500))]
    assert time.process_time() - began < 5


# Which instances.


def test_instances_that_are_no_longer_recorded_are_found_by_name(repository: Repository) -> None:
    """What git alone knows is told where it is asked for, else what is recorded; the location where it is now comes first."""
    repository.deploy("one", DEVELOPMENT, ("gone", "production"), ("gone", "preview"))
    repository.commit()
    repository.store.commit(forget={("gone", "production"): LOCAL, ("gone", "preview"): LOCAL})
    moved = repository.store.read().records[DEVELOPMENT].succeeded_by(Record("agent_there", AGENTS, of("one")))
    repository.store.commit(records={DEVELOPMENT: moved})
    report = commands.history(repository.root)
    assert [(each.name, each.location, each.record is not None) for each in report.instances] == [
        ("judge", AGENTS, True), ("judge", LOCAL, True),
    ]  # fmt: skip
    gone = commands.history(repository.root, "gone").instances
    assert [(each.environment, each.record, each.entries[0].current) for each in gone] == [
        ("production", None, False), ("preview", None, False),
    ]  # fmt: skip


def test_unknown_names_and_environments_are_refused(repository: Repository) -> None:
    """The message says what is known and what may have been meant; a broken store is no history."""
    repository.deploy("one", DEVELOPMENT)
    with pytest.raises(SettingsError, match="no assistant 'juge'; known: judge; did you mean 'judge'"):
        commands.history(repository.root, ["juge"])
    with pytest.raises(SettingsError, match="no environment 'prod'; known: development, production; did you mean 'production'"):
        commands.history(repository.root, env="prod")
    with pytest.raises(
        SettingsError, match="judge is not recorded in production, but in development: inv asst.create --env production"
    ):
        commands.history(repository.root, ["judge"], "production")
    assert commands.history(repository.root, env="production").instances == []
    (repository.root / "assistants_store.json").write_text("{")
    with pytest.raises(StoreError, match="assistants_store.json, line 1"):
        commands.history(repository.root)


# On the command line.


def test_many_digests_are_told_in_short(repository: Repository) -> None:
    """With a name, what the newest five changed, and where the rest is found; without one, none of it."""
    for number in range(8):
        repository.deploy(f"version {number}", DEVELOPMENT, PRODUCTION)
        repository.commit("Ada", f"Version {number}")
    report = commands.history(repository.root, env="production")
    named, unnamed = io.StringIO(), io.StringIO()
    print_history(report, named, detailed=True)
    print_history(report, unnamed, detailed=False)
    assert [text.getvalue().count("Ada") for text in (named, unnamed)] == [8, 8]
    changed = [line.strip() for line in named.getvalue().splitlines() if line.startswith("      + ")]
    assert changed == [f'+ "version {number}"' for number in range(7, 2, -1)]
    assert "\n  what 2 older ones changed: inv asst.history judge --env production --json\n" in named.getvalue()
    assert "instructions" not in unnamed.getvalue()
    assert unnamed.getvalue().endswith("\n8 digests of 1 instance\nwhat each changed: inv asst.history NAME\n")


def test_what_evals_found_names_the_dataset_by_its_digits() -> None:
    """Eight hex digits, as of a digest."""
    result = EvalResult(1.0, 0.9, True, (EvalCase("first", "pass", ("pass",)),))
    [line] = describe_evals({"local local": {f"sha256:{'12' * 32}": result}})
    assert line.endswith(", dataset 12121212")


def test_history_on_the_command_line(local_host: Host, tmp_path: Path) -> None:
    """NAME, --only or neither; one document with --json; no key, no app; names and subjects steer no terminal."""
    repository = Repository(local_host.root)
    repository.deploy("one\ntwo", DEVELOPMENT, PRODUCTION, ("talker", "production"))
    (local_host.root / ".gitignore").write_text("*\n!assistants_store.json\n")
    repository.commit("Mallory \x1b]0;owned\x07", "::error::no \x1b[2J")
    repository.deploy("one\nthree", PRODUCTION)
    env = {"ASST_PLATFORM": "agents"}  # there is no key
    shown = local_host.inv("asst.history", "judge", "--env", "production", env=env)
    assert shown.code == 0
    assert "judge in production, local: agent_judge_production" in shown.out
    assert f"  {of(chr(10).join(('one', 'three')))[7:15]}  current  not committed\n" in shown.out
    assert "      -two\n      +three\n" in shown.out
    assert "\\x1b]0;owned" in shown.out
    assert not {"\x1b", "\x07"} & {*shown.out}
    assert not [line for line in shown.out.splitlines() if line.lstrip().startswith("::")]
    by_flags = (["--only", "judge", "--env", "production"], ["--env=production", "--name=judge"])
    documents = [
        local_host.inv("asst.history", *args, "--json", env=env).json for args in (["judge", "--env", "production"], *by_flags)
    ]
    assert documents[0] == documents[1] == documents[2]
    assert [row["id"] for row in documents[0]["rows"]] == ["agent_judge_production"]
    newest, oldest = documents[0]["history"]
    assert (newest["name"], newest["environment"], newest["current"], newest["commit"]) == ("judge", "production", True, None)
    assert newest["changes"] == [{"field": "instructions", "before": "one\ntwo", "after": "one\nthree"}]
    assert (oldest["digest"], oldest["current"], oldest["changes"]) == (of("one\ntwo"), False, [])
    assert oldest["author"].startswith("Mallory")
    assert "e@x" not in str(documents)
    everything = local_host.inv("asst.history", "--json", env=env).json
    assert {(each["name"], each["environment"]) for each in everything["history"]} == {
        DEVELOPMENT, PRODUCTION, ("talker", "production"),
    }  # fmt: skip
    refused = local_host.inv("asst.history", "juge", "--json", env=env)
    assert (refused.code, refused.json["ok"], refused.json["history"]) == (1, False, [])


@pytest.mark.parametrize(
    ("words", "tasks", "name"),
    [
        ("asst.history", ["asst.history"], ""),
        ("asst.history judge", ["asst.history"], "judge"),
        ("asst.history --env production judge --json", ["asst.history"], "judge"),
        ("asst.history asst.status", ["asst.history", "asst.status"], ""),
        ("asst.history judge asst.status --only x", ["asst.history", "asst.status"], "judge"),
        ("asst.status asst.history judge", ["asst.status", "asst.history"], "judge"),
        ("asst.history --name asst.status", ["asst.history"], "asst.status"),
        ("asst.history --help", ["asst.history"], ""),
        ("asst.history judge talker", None, "No idea what 'talker' is!"),
        ("asst.history --bogus", None, "No idea what '--bogus' is!"),
        ("asst.forget", None, "'asst.forget' did not receive required positional arguments: 'name', 'env'"),
    ],
)
def test_a_word_behind_history_is_a_name_unless_it_is_a_task(words: str, tasks: list[str] | None, name: str) -> None:
    """Invoke goes on to the next task, to flags and to help, as behind every task, and refuses what it does not know."""
    contexts = Collection(Collection.from_module(asst_tasks)).to_contexts()
    core = ParserContext(args=[Argument(names=("help", "h"), optional=True)])
    parser = Parser(contexts=contexts, initial=core)
    if tasks is None:
        with pytest.raises(ParseError, match=name):
            parser.parse_argv(words.split())
        return
    parsed = {context.name: context for context in parser.parse_argv(words.split())[1:]}
    assert [*parsed] == tasks
    assert parsed["asst.history"].args["name"].value == name


@pytest.mark.parametrize("kind", [kind for kind in SHARED if kind != "s3"])
def test_history_of_a_shared_store(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its record's history, and the revisions that it keeps, with the time of each change; git is not asked."""
    if why := missing(kind):
        pytest.skip(why)
    with place(kind) as there:
        Repository(tmp_path / "host")
        for name, value in {**there.env, "ASST_STORE": there.address}.items():
            monkeypatch.setenv(name, value)
        with contextlib.closing(there.open("host")) as store:
            for text in ("one", "two"):
                deployed = Repository(tmp_path / "host")
                deployed.store = store
                deployed.deploy(text, DEVELOPMENT)
        report = commands.history(tmp_path / "host")
        [instance] = report.instances
        assert [entry.payload["instructions"] for entry in instance.entries] == ["two", "one"]
        newest, oldest = instance.entries
        assert newest.change
        assert newest.change.date
        assert (newest.change.commit, newest.committed, oldest.change, report.notes) == (None, None, None, ())
