"""The store's document: how it is spelled, and how often it is parsed and checked."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
from conftest import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from places import missing, place

from invoke_assistants.declare.digest import digest
from invoke_assistants.store.document import PayloadTexts, dump_tables
from invoke_assistants.store.entries import parse_record
from invoke_assistants.store.file_storage import FileStorage
from invoke_assistants.store.lock import lock_store
from invoke_assistants.store.store import Store
from invoke_assistants.store.strict_json import load_json
from invoke_assistants.types import (
    Edits,
    EvalLabel,
    EvalResult,
    Held,
    JSONObject,
    Location,
    PendingOperation,
    Reader,
    Record,
    State,
    label_case,
)

HERE = Location("agents", "api.openai.com")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=15,
)
documents = st.dictionaries(st.text(max_size=4), st.dictionaries(st.text(max_size=4), json_values, max_size=3), max_size=3)
stores = st.dictionaries(st.sampled_from(["assistants", "payloads", "pending", "store"]), documents, max_size=4)


def spelled(tables: Mapping[str, Mapping[str, Any]]) -> bytes:
    """A document as the json module writes it."""
    rest = json.loads(json.dumps({name: table for name, table in tables.items() if name != "payloads"}, sort_keys=True))
    payloads = {"payloads": dict(sorted(tables["payloads"].items()))} if "payloads" in tables else {}
    return (json.dumps(dict(sorted((rest | payloads).items())), indent=2, ensure_ascii=False) + "\n").encode()


@settings(max_examples=examples(300), deadline=None)
@given(stores, stores)
def test_a_document_is_spelled_as_the_json_module_spells_it(tables: dict[str, Any], later: dict[str, Any]) -> None:
    """Two blanks, sorted keys except in ``payloads``; texts that are kept from an earlier dump change nothing."""
    assert dump_tables(tables) == spelled(tables)
    for table in tables.values():
        table |= {f"again {key}": value for key, value in table.items()}  # the same object twice
    texts: PayloadTexts = {}
    for each in (tables, tables, later, tables):
        assert dump_tables(each, texts) == spelled(each)


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(json_values, max_size=4))
def test_what_is_read_with_shared_schemas_is_the_same(values: list[Any]) -> None:
    """In every bit of its text: 1, 1.0, true, 0.0 and -0.0 stay apart, and so do two orders of keys."""
    similar = [{"a": 0.0, "b": 1}, {"a": -0.0, "b": 1}, {"a": 0, "b": True}, {"b": 1, "a": 0.0}]
    text = json.dumps([*values, *({"schema": each} for each in [*values, *values, *similar])])
    found = load_json("here", text.encode(), shared=True)
    assert json.dumps(found) == text


def test_equal_schemas_are_one() -> None:
    """So that a hundred assistants with the same output model hold its schema once; other objects stay on their own."""
    one, other = load_json(
        "here", b'[{"schema": {"b": [1]}, "a": {"b": [1]}}, {"schema": {"b": [1]}, "a": {"b": [1]}}]', shared=True
    )
    assert one["schema"] is other["schema"]
    assert one["a"] is not other["a"]


def payload(number: int) -> JSONObject:
    return {"model": "m", "instructions": f"Do it {number}.", "text": {"format": {"type": "text"}}, "tools": []}


def a_store(path: Path) -> Store:
    return Store(FileStorage(path), "p")


def commit(store: Store, number: int, id: str) -> None:
    """Record an instance of an assistant with its own payload."""
    held = payload(number)
    store.commit({(f"a{number}", "development"): Record(id, HERE, digest(held))}, [(digest(held), held)])


def test_what_a_process_wrote_is_not_parsed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction parses the file only where its bytes are not those that this process read or wrote last."""
    path = tmp_path / "store.json"
    parsed: list[int] = []
    decode = json.JSONDecoder.decode

    def counting(self: json.JSONDecoder, text: str, *args: Any, **options: Any) -> Any:
        parsed.append(len(text))
        return decode(self, text, *args, **options)

    monkeypatch.setattr(json.JSONDecoder, "decode", counting)
    here, there = a_store(path), a_store(path)
    for number in range(20):
        commit(here, number, f"agent_{number:03}")
    assert len(here.read().records) == 20
    assert not parsed
    commit(there, 20, "agent_020")
    assert len(parsed) == 1
    commit(here, 21, "agent_021")
    assert len(parsed) == 2
    assert here.read() == a_store(path).read()
    assert len(here.read().records) == 22
    path.write_bytes(path.read_bytes().replace(b"agent_021", b"agent_x21"))  # the same size, in the same moment
    assert here.read().records["a21", "development"].id == "agent_x21"


def test_what_was_written_equals_what_is_read(tmp_path: Path) -> None:
    """What a store knows of its own write is what another process reads, value by value."""
    path = tmp_path / "store.json"
    store = a_store(path)
    for number in range(3):
        commit(store, number, f"agent_{number:03}")
        assert store.tables() == a_store(path).tables()
        assert store.read() == a_store(path).read()


def count_calls(work: Any) -> Counter[CodeType]:
    """How often each Python function was called in this thread."""
    counts: Counter[CodeType] = Counter()

    def count(frame: FrameType, event: str, _: Any) -> None:
        counts[frame.f_code] += event == "call"

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return counts


def test_a_transaction_checks_and_spells_once(tmp_path: Path) -> None:
    """After the first one, no record is checked again, and the document is spelled once, however many are in it."""
    store = a_store(tmp_path / "store.json")
    for number in range(20):
        commit(store, number, "agent_1")
    counts = count_calls(lambda: commit(store, 20, "agent_2"))
    assert counts[parse_record.__code__] == 0
    assert counts[dump_tables.__code__] == 1


@pytest.mark.skipif(missing("redis") is not None, reason=str(missing("redis")))
def test_so_does_one_under_the_lock_of_a_shared_store() -> None:
    """Taking and renewing the lock, which is in the document, makes nothing be checked again either."""
    with place("redis") as found:
        store = found.open()
        for number in range(20):
            commit(store, number, "agent_1")
        with lock_store(store, "run", print):
            store.read()
            store.renew()
            counts = count_calls(lambda: commit(store, 20, "agent_2"))
        store.close()
    assert counts[parse_record.__code__] == 0
    assert counts[dump_tables.__code__] == 1


def a_case(draw: st.DrawFn) -> EvalResult:
    runs: list[EvalLabel] = draw(st.lists(st.sampled_from(["pass", "fail"]), min_size=1, max_size=2))
    rate, minimum = draw(st.sampled_from([0, 0.5, 1])), draw(st.sampled_from([0, 0.5, 1.0]))
    return EvalResult(rate, minimum, rate >= minimum, (label_case("case", runs),))


DIGESTS = {digest(payload(number)): payload(number) for number in range(4)}
digests = st.sampled_from(sorted(DIGESTS))
keys = st.tuples(st.sampled_from("ab"), st.sampled_from(["development", "production"]))
locations = st.sampled_from([HERE, Location("local", "local"), Location("responses", "store")])
helds = st.none() | st.builds(Held, digests, st.text(max_size=3))
records = st.builds(
    Record, st.sampled_from(["agent_1", "agent_2"]), locations, digests, tag=st.none() | digests,
    history=st.lists(digests, max_size=2).map(tuple), allowed=st.lists(st.text(max_size=3), max_size=2).map(tuple), held=helds,
    evals_skipped=st.booleans(),
)  # fmt: skip
operations = st.builds(PendingOperation, st.just("create"), digests, st.just("0" * 32)) | st.builds(
    PendingOperation, st.just("update"), digests, answered=st.none() | digests, held=helds, evals_skipped=st.booleans()
)
readers = st.builds(Reader, *[st.lists(st.text(max_size=3), max_size=2).map(tuple)] * 4)
results = st.dictionaries(
    digests, st.dictionaries(st.just("local local"), st.dictionaries(digests, st.composite(a_case)(), max_size=2), max_size=1)
)
edits = st.builds(
    Edits, st.dictionaries(keys, records, max_size=2),
    st.dictionaries(st.tuples(keys, locations), st.none() | operations, max_size=2), st.dictionaries(keys, locations, max_size=1),
    st.dictionaries(digests, st.none() | readers, max_size=2), results,
)  # fmt: skip


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(edits, max_size=4))
def test_what_transactions_make_of_the_state_is_what_they_wrote(
    tmp_path_factory: pytest.TempPathFactory, changes: list[Edits]
) -> None:
    """Each transaction begins with the state that another process would read, though it does not check its own writes."""
    path = tmp_path_factory.mktemp("store") / "store.json"
    store, written = a_store(path), State()

    def decide(expected: State, change: Edits, state: State) -> Edits:
        assert state == expected
        return change

    for change in changes:
        store.transact(partial(decide, written, change), DIGESTS.items())
        written = a_store(path).read()
    assert store.read() == written
