"""Merging the store: the pure three-way merge, and real merges in git, with the driver and with asst.resolve."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Host, Result, examples
from hypothesis import given, settings
from hypothesis import strategies as st

from invoke_assistants import Refused, RowsFailed, SettingsError, StoreError, commands, merge_driver
from invoke_assistants.declare.digest import digest
from invoke_assistants.store.entries import Slot
from invoke_assistants.store.file_storage import FileStorage, GitVersion
from invoke_assistants.store.merge import Conflict, merge
from invoke_assistants.store.store import Store
from invoke_assistants.types import Location, PendingOperation, Record

HERE, THERE = Location("local", "local"), Location("agents", "api.openai.com")
P, Q, R, S = ({"model": "m", "instructions": text} for text in ("Plan.\nIt.", "Question it.", "Rate it.", "Say it."))
PAYLOADS = {digest(payload): payload for payload in (P, Q, R, S)}
Tables = dict[str, dict[str, Any]]

digests = st.sampled_from(sorted(PAYLOADS))
bare = st.fixed_dictionaries(
    {"digest": digests, "id": st.sampled_from(["agent_1", "agent_2"]), "origin": st.just("local"), "platform": st.just("local")},
    optional={"history": st.lists(digests, min_size=1, max_size=2), "tag": st.just("sha256:" + "0" * 64)},
)
other = bare.map(lambda record: {**record, "platform": "agents", "origin": "api.openai.com"})
records = st.one_of(bare, bare, st.builds(lambda own, far: {**own, "elsewhere": {str(THERE): far}}, bare, other))
pending = st.one_of(
    st.fixed_dictionaries({"digest": digests, "kind": st.just("update")}),
    st.fixed_dictionaries({"digest": digests, "kind": st.just("create"), "nonce": st.sampled_from(["0" * 32, "1" * 32])}),
)


def named_in(*tables: dict[str, Any]) -> set[str]:
    """The digests that records name, except in their tags."""
    return set(re.findall(r'(?<!"tag": ")sha256:[0-9a-f]{64}', json.dumps(tables)))


def tables_of(assistants: dict[str, Any], pending: dict[str, Any]) -> Tables:
    tables: Tables = {
        "assistants": {name: entry for name, entry in assistants.items() if entry},
        "store": {"format": {"project": "p", "version": 1}},
    }
    if opened := {name: entry for name, entry in pending.items() if entry}:
        tables["pending"] = opened
    named = named_in(tables["assistants"], tables.get("pending", {}))
    return {**tables, "payloads": {each: PAYLOADS[each] for each in named}}


def up_to_two(keys: list[str], values: Any) -> Any:
    inner = st.dictionaries(st.sampled_from(keys), values, max_size=2)
    return st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)


stores = st.builds(
    tables_of,
    up_to_two(["development", "production"], records),
    st.one_of(st.just({}), up_to_two([f"development {HERE}", f"production {HERE}"], pending)),
)
bases = st.one_of(st.none(), stores)


@settings(max_examples=examples(150), deadline=None)
@given(bases, stores)
def test_what_one_side_left_alone_is_the_other_side(base: Tables | None, side: Tables) -> None:
    """Merging a side with its base, or with itself, gives that side unchanged and no conflict."""
    assert merge(base, side, side) == (side, ())
    if base is not None:
        assert merge(base, side, base) == (side, ())
        assert merge(base, base, side) == (side, ())


def flat(tables: Tables | None) -> dict[tuple[str, str, str], Any]:
    """Every record and open request by its table, name and label."""
    return {
        (table, name, inner): entry
        for table in ("assistants", "pending")
        for name, document in (tables or {}).get(table, {}).items()
        for inner, entry in document.items()
    }


def now(entry: dict[str, Any] | None) -> dict[str, Any] | None:
    """An entry without its history."""
    return entry and {key: value for key, value in entry.items() if key != "history"}


@settings(max_examples=examples(300), deadline=None)
@given(bases, stores, stores)
def test_a_merge_is_never_clean_but_wrong(base: Tables | None, ours: Tables, theirs: Tables) -> None:
    """Exactly the entries that differ in all three versions conflict, and then nothing is merged; else each is one side's."""
    tables, conflicts = merge(base, ours, theirs)
    was, our, their = flat(base), flat(ours), flat(theirs)
    keys = {*was, *our, *their}
    torn = {key for key in keys if our.get(key) != their.get(key) and was.get(key) not in (our.get(key), their.get(key))}
    aged = {key for key in torn if now(our.get(key)) == now(their.get(key))}  # alike but for their history
    torn -= aged
    found = [("pending" if each.slot.location else "assistants", each.slot.name, each.slot.label) for each in conflicts]
    assert sorted(found) == sorted(torn)
    assert (tables is None) is bool(conflicts)
    if tables is not None:
        expected = {key: our.get(key) if our.get(key) != was.get(key) else their.get(key) for key in keys}
        for key in aged:
            expected[key] = max(
                (our[key], their[key]), key=lambda entry: (len(entry.get("history", ())), entry.get("history", ()))
            )
        assert flat(tables) == {key: entry for key, entry in expected.items() if entry is not None}


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "kept"),
    [("a", "a", "a", "a"), ("b", "b", "b", "b"), (None, "b", "a", "a"), (None, None, "b", "b"), (None, None, None, None)],
)
def test_the_lineage_of_a_merge(base: str | None, ours: str | None, theirs: str | None, kept: str | None) -> None:
    """A merge keeps the base's lineage, else the smaller of the sides'; a lock in a side is not carried."""

    def version(lineage: str | None, **more: Any) -> Tables:
        tables = tables_of({}, {})
        return tables | {"store": tables["store"] | ({"lineage": {"id": lineage * 32}} if lineage else {}) | more}

    for common in (version(base), None if base is None else version(base)):
        tables, _ = merge(common, version(ours, lock={"id": "x"}), version(theirs))
        assert tables is not None
        assert tables["store"].get("lineage") == ({"id": kept * 32} if kept else None)
        assert "lock" not in tables["store"]


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "kept"),
    [
        (0.2, 0.9, 0.2, 0.9),  # asked again on one side
        (0.9, 0.2, 0.9, 0.2),
        (0.5, 0.9, 0.2, 0.2),
        (0.2, 0.5, 0.9, 0.5),
        (None, 0.9, 0.2, 0.2),
        (None, 0.9, None, 0.9),
        (0.5, 0.9, None, 0.9),
        (0.5, 0.5, None, 0.5),  # the other side had no more use for it, and the merge has
    ],
)
def test_the_evals_of_a_merge(base: float | None, ours: float | None, theirs: float | None, kept: float) -> None:
    """A result that one side changed is taken from it; of two new ones the worse, whichever side it is on."""

    def version(rate: float | None) -> Tables:
        record = {"digest": digest(P), "id": "agent_1", "origin": "local", "platform": "local"}
        cases = [{"label": "pass", "name": "c", "runs": ["pass"]}]
        found = {"cases": cases, "minimum": 0.5, "passed": (rate or 0) >= 0.5, "rate": rate}
        tables = tables_of({"a": {"development": record}}, {})
        return tables if rate is None else tables | {"evals": {digest(P): {str(HERE): {digest({}): found}}}}

    for one, other in ((ours, theirs), (theirs, ours)):
        tables, _ = merge(version(base), version(one), version(other))
        assert tables == version(kept)
    if base is None:
        assert merge(None, version(ours), version(theirs)) == (version(kept), ())


@settings(max_examples=examples(150), deadline=None)
@given(bases, stores, stores)
def test_the_sides_are_alike(base: Tables | None, ours: Tables, theirs: Tables) -> None:
    """Swapping the sides changes nothing but the sides in the conflicts."""
    tables, conflicts = merge(base, ours, theirs)
    swapped = tuple(replace(each, ours=each.theirs, theirs=each.ours) for each in conflicts)
    assert merge(base, theirs, ours) == (tables, swapped)


@settings(max_examples=examples(150), deadline=None)
@given(bases, stores, stores, st.sampled_from(["ours", "theirs"]))
def test_a_settled_merge_is_a_valid_store(base: Tables | None, ours: Tables, theirs: Tables, side: Any) -> None:
    """With a side for each conflict the result is a valid store, which holds exactly the payloads that it names."""
    _, conflicts = merge(base, ours, theirs)
    tables, left = merge(base, ours, theirs, {each.key: side for each in conflicts})
    assert left == ()
    assert tables is not None
    assert Store(GitVersion(Path("s"), "merged", json.dumps(tables).encode()), "p").tables() == tables
    assert tables["payloads"].keys() == named_in(tables["assistants"], tables.get("pending", {}))
    for key, entry in flat(tables).items():
        assert entry in (flat(ours).get(key), flat(theirs).get(key))


@pytest.mark.parametrize("edit", [{"project": "q"}, {"version": 2}])
def test_different_stores_do_not_merge(edit: dict[str, Any]) -> None:
    """Versions of different projects or formats are refused, whichever of the three it is."""
    one = tables_of({}, {})
    two = {**one, "store": {"format": {"project": "p", "version": 1, **edit}}}
    for versions in ((one, one, two), (one, two, one), (two, one, one), (None, one, two)):
        with pytest.raises(StoreError, match="the sides are of different stores: project"):
            merge(*versions)


LINEAGE = "0123456789abcdef" * 2


class Repository:
    """A project under git, whose store holds a and b in development and production."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.path = root / "assistants_store.json"
        self.store = Store(FileStorage(self.path), "p")
        (root / "pyproject.toml").write_text('[project]\nname = "p"\n')
        (root / "tasks.py").write_text(
            "from invoke import Collection\nfrom invoke_assistants.tasks import ns as asst\nns = Collection(asst)\n"
        )
        (root / ".gitignore").write_text("*.lock\n__pycache__\n")
        self.git("init", "-q", "-b", "main")
        self.put(("a", "development"), P)
        self.put(("a", "production"), Q)
        self.put(("b", "development"), R)
        self.put(("b", "production"), R)
        text, made = re.subn(r'"id": "[0-9a-f]{32}"', f'"id": "{LINEAGE}"', self.path.read_text())  # one for all repositories
        assert made == 1
        self.path.write_text(text)
        self.save()

    def git(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        identity = ["-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false"]
        return subprocess.run(["git", *identity, *args], cwd=self.root, capture_output=True, text=True, check=check)

    def inv(self, *args: str, env: dict[str, str] | None = None) -> Result:
        host = Host.__new__(Host)
        host.root, host.env = self.root, {}
        return host.inv(*args, env=env)

    def put(self, key: tuple[str, str], payload: dict[str, Any], id: str = "", **more: Any) -> None:
        self.store.commit({key: Record(id or f"agent_{'_'.join(key)}", HERE, digest(payload), **more)}, PAYLOADS.items())

    def save(self) -> None:
        self.git("add", ".")
        self.git("commit", "-q", "-m", "change")

    def merge(self, ours: Callable[[Repository], None], theirs: Callable[[Repository], None]) -> int:
        """Make each change on a branch of its own, merge theirs into ours, and return git's exit code."""
        self.git("checkout", "-q", "-b", "theirs")
        theirs(self)
        self.save()
        self.git("checkout", "-q", "main")
        ours(self)
        self.save()
        return self.git("merge", "-q", "theirs", "-m", "merge", check=False).returncode

    def install_driver(self) -> None:
        """Install the driver as the docs say, with this Python."""
        page = (ROOT / "docs" / "how-to" / "merge-conflicts.md").read_text()
        [attributes] = re.findall(r"^```gitattributes.*\n(.*\n)```", page, re.M)
        [command] = re.findall(r'^\$ git config merge\.asst\.driver "(.*)"$', page, re.M)
        assert command.startswith("python -m ")
        (self.root / ".gitattributes").write_text(attributes)
        self.git("config", "merge.asst.driver", command.replace("python", sys.executable, 1))
        self.save()

    def in_conflict(self) -> bool:
        return bool(self.git("ls-files", "--unmerged").stdout)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def put(name: str, environment: str, payload: dict[str, Any], id: str = "", **more: Any) -> Callable[[Repository], None]:
    return lambda repository: repository.put((name, environment), payload, id, **more)


def remove(name: str, environment: str) -> Callable[[Repository], None]:
    return lambda repository: repository.store.commit(forget={(name, environment): HERE})


LAYOUTS: dict[str, tuple[Callable[[Repository], None], Callable[[Repository], None], bool]] = {
    "both add different assistants": (put("c", "development", S), put("d", "development", P), False),
    "both add the same record": (put("c", "development", S), put("c", "development", S), False),
    "both add one assistant with different ids": (
        put("c", "development", S, "agent_ours"),
        put("c", "development", S, "agent_theirs"),
        True,
    ),
    "both update a record differently": (put("a", "development", Q), put("a", "development", S), True),
    "both update a record alike": (put("a", "development", S), put("a", "development", S), False),
    "development here, production there": (put("a", "development", S), put("a", "production", P), False),
    "development there, production here": (put("b", "production", S), put("b", "development", S), False),
    "one adds, the other updates": (put("aa", "development", P), put("a", "production", S), False),
    "one updates, the other adds": (put("b", "production", S), put("c", "development", Q), False),
    "one deletes what the other changes": (remove("b", "production"), put("b", "production", S), True),
    "one changes what the other deletes": (put("a", "development", S), remove("a", "development"), True),
    "one deletes, the other changes another": (remove("b", "production"), put("a", "production", S), False),
}


def expected(tmp_path: Path, *changes: Callable[[Repository], None]) -> bytes:
    """The store's bytes after one change and then the other, without a merge."""
    straight = Repository(tmp_path / f"straight{len(list(tmp_path.iterdir()))}")
    for change in changes:
        change(straight)
    return straight.path.read_bytes()


@pytest.mark.parametrize("driver", [True, False], ids=["driver", "resolve"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_merge_in_git(repository: Repository, tmp_path: Path, layout: str, driver: bool) -> None:
    """Each layout ends in the very bytes of both changes made one after the other, or in a conflict where there is one.

    With the driver, git reports no other conflict; without it, asst.resolve settles those that it does. A side that is
    chosen in a conflict stands as a whole.
    """
    ours, theirs, conflict = LAYOUTS[layout]
    if driver:
        repository.install_driver()
    code = repository.merge(ours, theirs)
    if driver or conflict:
        assert code == int(conflict)
    if conflict:
        assert repository.in_conflict()
        with pytest.raises(StoreError, match="merge conflict markers; run inv asst.resolve"):
            repository.store.read()
        before = repository.path.read_bytes()
        with pytest.raises(RowsFailed, match="1 conflict: "):
            commands.resolve(repository.root)
        assert repository.path.read_bytes() == before
        assert repository.in_conflict()
        commands.resolve(repository.root, theirs=["all"])
        assert repository.path.read_bytes() == expected(tmp_path, theirs)
    else:
        if code:
            assert commands.resolve(repository.root)
        elif not driver:  # git's lines may keep a payload that both sides stopped naming; the next command drops it
            repository.store.commit()
        assert repository.path.read_bytes() == expected(tmp_path, ours, theirs)
    assert not repository.in_conflict()


def test_a_payload_that_one_side_drops_and_the_other_begins_to_name(repository: Repository, tmp_path: Path) -> None:
    """The driver keeps the payload, where a merge of lines would leave a store that names a payload it lacks."""
    repository.install_driver()
    changes = put("a", "development", S), put("b", "production", P)
    assert repository.merge(*changes) == 0
    assert repository.path.read_bytes() == expected(tmp_path, *changes)


def test_lines_that_merge_where_the_record_does_not(repository: Repository) -> None:
    """A tag here and a digest there change the same record: a conflict with the driver, though git's lines merge."""
    repository.install_driver()
    assert repository.merge(put("a", "development", P, tag=digest(S)), put("a", "development", R)) == 1
    ours, base, theirs = (repository.root / name for name in ("ours", "base", "theirs"))
    for stage, path in ((1, base), (2, ours), (3, theirs)):
        path.write_text(repository.git("show", f":{stage}:assistants_store.json").stdout)
    assert repository.git("merge-file", "-p", str(ours), str(base), str(theirs)).returncode == 0
    with pytest.raises(StoreError, match="line 1: merge conflict markers"):
        repository.store.read()
    with pytest.raises(RowsFailed, match=r"\(they differ in digest, tag\)"):
        commands.resolve(repository.root)
    [row] = commands.resolve(repository.root, ours=["a"])
    assert repository.store.read().records[row.key].tag == digest(S)


def test_conflict_markers_that_git_does_not_know_of(repository: Repository) -> None:
    """Where the file was added or committed with its markers, the message names git's way back, not asst.resolve."""
    assert repository.merge(put("a", "development", Q), put("a", "development", S)) == 1
    repository.git("add", "assistants_store.json")
    for commit in (False, True):
        if commit:
            repository.git("commit", "-qm", "merge")
        with pytest.raises(
            StoreError, match=r"line \d+: merge conflict markers; git knows of no conflict here: git checkout"
        ) as caught:
            commands.resolve(repository.root)
        assert "asst.resolve" not in str(caught.value)
        assert "git checkout COMMIT -- assistants_store.json" in str(caught.value)


def test_a_first_store_on_both_sides(tmp_path: Path) -> None:
    """Two branches that each made the store have no common ancestor: what differs conflicts, the rest is merged."""
    repository = Repository(tmp_path / "repository")
    repository.git("rm", "-q", "assistants_store.json")
    repository.save()
    code = repository.merge(
        put("a", "development", P), lambda made: (put("a", "development", Q)(made), put("b", "production", R)(made))
    )
    assert code == 1
    rows = commands.resolve(repository.root, theirs=["a:development"])
    assert {row.key: row.digest for row in rows} == {("a", "development"): digest(Q), ("b", "production"): digest(R)}


def two_conflicts(repository: Repository) -> None:
    """b in development and production, changed on both sides; and c, added on one."""

    def ours(made: Repository) -> None:
        put("b", "development", P)(made)
        put("b", "production", P, "agent_ours")(made)

    def theirs(made: Repository) -> None:
        put("b", "development", S)(made)
        put("b", "production", S, "agent_theirs")(made)
        put("c", "development", Q)(made)

    assert repository.merge(ours, theirs) == 1


def test_the_command_names_each_conflict_and_what_to_type(repository: Repository) -> None:
    """The error has both ids and digests, a line for each conflict and a row of the JSON; exit 1, nothing written or added."""
    two_conflicts(repository)
    before = repository.path.read_bytes()
    result = repository.inv("asst.resolve", "--json")
    document = json.loads(result.out)
    assert (result.code, document["command"], document["ok"]) == (1, "resolve", False)
    assert [(row["name"], row["environment"], row["platform"]) for row in document["rows"]] == [
        ("b", "development", "local"),
        ("b", "production", "local"),
    ]
    ours, theirs = digest(P)[7:15], digest(S)[7:15]
    assert f"b in production: ours agent_ours {ours}, theirs agent_theirs {theirs}" in document["rows"][1]["error"]
    assert document["error"].startswith("2 conflicts: b in development: ours agent_b_development ")
    assert "nothing was written; give all choices at once: " in document["error"]
    assert "inv asst.resolve --ours b:development --ours b:production (" in document["error"]
    first, second = document["error"].split("; b in production")
    assert f"{first}\nb in production{second}\n" in result.err
    assert repository.path.read_bytes() == before
    assert repository.in_conflict()


def test_choices_are_given_together(repository: Repository) -> None:
    """The narrower choice wins; the file is valid and added, and the output names the id that is recorded no more."""
    two_conflicts(repository)
    result = repository.inv("asst.resolve", "--ours", "all", "--theirs", "b:production")
    assert result.code == 0, result.err
    assert "3 merged" in result.out
    assert "agent_ours is no longer recorded" in result.out
    held = repository.store.read().records
    assert held["b", "development"].digest == digest(P)
    assert held["b", "production"].id == "agent_theirs"
    assert held["c", "development"].digest == digest(Q)
    assert not repository.in_conflict()
    assert repository.git("show", ":assistants_store.json").stdout == repository.path.read_text()
    again = repository.inv("asst.resolve")
    assert (again.code, again.out) == (0, "nothing to resolve\n")


def test_a_choice_for_some_settles_nothing(repository: Repository) -> None:
    """Only conflicts without a choice are listed, nothing is written, and the command to type repeats the choices made."""
    two_conflicts(repository)
    before = repository.path.read_bytes()
    with pytest.raises(RowsFailed, match="^1 conflict: b in production: ") as caught:
        commands.resolve(repository.root, ours=["b:development"])
    assert [row.key for row in caught.value.rows] == [("b", "production")]
    with pytest.raises(RowsFailed, match="inv asst.resolve --theirs b:development --ours b:production "):
        commands.resolve(repository.root, theirs=["b:development"])
    assert repository.path.read_bytes() == before
    assert repository.in_conflict()


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        (["c"], [], "--ours c: there is no such conflict; there are: b:development, b:production"),
        ([], ["b:prodution"], "did you mean 'b:production'"),
        (["b"], ["b"], "b cannot be both"),
        (["all"], ["all"], "all cannot be both"),
    ],
)
def test_a_wrong_choice_is_refused(repository: Repository, ours: list[str], theirs: list[str], message: str) -> None:
    """A choice that matches no conflict, or is made for both sides, is an error."""
    two_conflicts(repository)
    with pytest.raises(SettingsError, match=message):
        commands.resolve(repository.root, ours=ours, theirs=theirs)
    assert repository.in_conflict()


def test_open_requests_are_merged_too(repository: Repository) -> None:
    """A create that both sides opened conflicts like a record, and the same choice resolves it."""

    def opening(nonce: str) -> Callable[[Repository], None]:
        intent = PendingOperation("create", digest(S), nonce * 32)
        return lambda made: made.store.commit(pending={(("c", "development"), HERE): intent}, payloads=PAYLOADS.items())

    assert repository.merge(opening("0"), opening("1")) == 1
    message = f"c in development: ours an open create {digest(S)[7:15]}, theirs an open create .*differ in nonce"
    with pytest.raises(RowsFailed, match=message):
        commands.resolve(repository.root)
    [row] = commands.resolve(repository.root, theirs=["c"])
    assert (row.key, row.platform, row.id) == (("c", "development"), "local", None)
    assert [intent.nonce for intent in repository.store.read().pending.values()] == ["1" * 32]


def test_a_side_that_is_no_store_is_refused(repository: Repository) -> None:
    """git's versions are read as strictly as the file: the error names the side, the line and the key; nothing is written."""

    def doubled(made: Repository) -> None:
        put("b", "development", Q)(made)
        made.path.write_text(made.path.read_text().replace('"b": {', '"a": {'))

    assert repository.merge(put("b", "development", S), doubled) == 1
    before = repository.path.read_bytes()
    with pytest.raises(StoreError, match=r"\(theirs\), line \d+: the key 'a' stands there twice"):
        commands.resolve(repository.root, ours=["all"])
    assert repository.path.read_bytes() == before


def test_a_store_that_one_side_deleted(repository: Repository) -> None:
    """A file that one side deleted is for the user to keep or remove."""
    repository.merge(put("a", "development", S), lambda made: made.path.unlink())
    with pytest.raises(StoreError, match="one side of the merge has no .*git add assistants_store.json, or git rm"):
        commands.resolve(repository.root, ours=["all"])


def test_what_was_written_since_the_merge_is_not_lost(repository: Repository) -> None:
    """A store written by hand, or by a command after the merge, is refused with 3 and stays."""
    two_conflicts(repository)
    repository.git("checkout", "--ours", "assistants_store.json")
    put("d", "development", P, "agent_new")(repository)
    before = repository.path.read_bytes()
    with pytest.raises(Refused, match="changed since the merge: git add .* keeps what it holds"):
        commands.resolve(repository.root, ours=["all"])
    assert repository.path.read_bytes() == before
    repository.git("checkout", "--merge", "--", "assistants_store.json")
    assert len(commands.resolve(repository.root, ours=["all"])) == 3


def test_nothing_to_resolve(repository: Repository) -> None:
    """Without a conflict nothing is written; for markers that were added the error names the way back."""
    before = repository.path.stat()
    assert commands.resolve(repository.root) == []
    assert (repository.path.stat().st_mtime_ns, repository.path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    two_conflicts(repository)
    repository.git("add", ".")
    with pytest.raises(StoreError, match="git checkout --merge -- assistants_store.json brings back"):
        commands.resolve(repository.root)
    repository.git("checkout", "--merge", "--", "assistants_store.json")
    assert commands.resolve(repository.root, ours=["all"])


def test_without_git_it_is_one_line(repository: Repository, tmp_path: Path) -> None:
    """Without git, without a repository, or with a store outside of it: exit 1 and one line that says which."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    cases = (
        ({"PATH": str(elsewhere)}, "git cannot be run"),
        ({"ASST_STORE": str(elsewhere / "store.json")}, "is outside the git repository"),
        ({"GIT_CEILING_DIRECTORIES": str(tmp_path), "GIT_DIR": str(elsewhere)}, "not a git repository"),
    )
    for env, message in cases:
        result = repository.inv("asst.resolve", env=env)
        assert result.code == 1
        assert message in result.err
        assert len(result.err.splitlines()) == 1


def drive(folder: Path, base: bytes, ours: bytes, theirs: bytes) -> tuple[int, bytes]:
    """Run the driver on three files; return its exit code and what it leaves in the second one."""
    for name, content in (("base", base), ("ours", ours), ("theirs", theirs)):
        (folder / name).write_bytes(content)
    code = merge_driver.main([str(folder / name) for name in ("base", "ours", "theirs")])
    assert (folder / "theirs").read_bytes() == theirs
    return code, (folder / "ours").read_bytes()


def test_the_driver_marks_what_is_no_store(repository: Repository, tmp_path: Path) -> None:
    """A broken version, or one of another project, makes exit 1 and markers, never an untouched file."""
    good = repository.path.read_bytes()
    put("a", "development", S)(repository)
    newer = repository.path.read_bytes()
    assert drive(tmp_path, good, good, newer) == (0, newer)
    assert drive(tmp_path, b"", good, good) == (0, good)
    for bad in (
        b"",
        b"[]",
        b"\0\1",
        newer[:-20],
        newer.replace(b'"project": "p"', b'"project": "q"'),
        newer.replace(b"Say it.", b"say it."),
    ):
        for versions in ((good, bad, newer), (good, newer, bad), (bad or b"[]", good, newer)):
            code, left = drive(tmp_path, *versions)
            assert code == 1
            assert b"\n>>>>>>> theirs\n" in left
            with pytest.raises(StoreError, match="merge conflict markers"):
                Store(GitVersion(Path("s"), "left", left), "p").read()


def test_a_conflict_keeps_what_it_is_of() -> None:
    """A conflict names the instance and holds all three versions."""
    base, ours, theirs = (
        tables_of({"a": {"development": {"digest": each, "id": "agent_1"}}}, {}) for each in sorted(PAYLOADS)[:3]
    )
    entries = [version["assistants"]["a"]["development"] for version in (base, ours, theirs)]
    assert merge(base, ours, theirs) == (None, (Conflict(Slot("a", "development"), *entries),))


def test_a_history_alone_is_no_conflict() -> None:
    """Records that differ only in their history do not conflict; the longer history stays, from either side."""
    digests = [f"sha256:{index:064x}" for index in range(3)]
    record = {"digest": digests[0], "id": "agent_1", "origin": "local", "platform": "local"}

    def tables(*history: str) -> Any:
        past = {"history": list(history)} if history else {}
        payloads = {digest: {"model": "m"} for digest in digests}
        form = {"format": {"project": "p", "version": 1}}
        return {"assistants": {"a": {"production": {**record, **past}}}, "payloads": payloads, "store": form}

    for ours, theirs in ((tables(digests[1]), tables(*digests[1:])), (tables(*digests[1:]), tables())):
        merged, conflicts = merge(None, ours, theirs)
        assert conflicts == ()
        assert merged is not None
        assert merged["assistants"]["a"]["production"]["history"] == digests[1:]
