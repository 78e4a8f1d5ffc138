"""Two clones of a project and one remote, and whatever people do: after each step the promises hold."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from conftest import Host
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from invoke_assistants import AsstError, commands
from invoke_assistants.emulator.api import EmbeddedAPI
from invoke_assistants.reconcile.timing import Timing
from invoke_assistants.store import atomic_write
from invoke_assistants.store.file_storage import FileStorage
from invoke_assistants.store.merge import merge
from invoke_assistants.store.store import Store

QUICK = Timing(grace=0.2, unknown=0.1, again=0.05, interrupt=0.1, flush=0.05)
SOURCE = """
from invoke_assistants import Assistant
MORE = {{"First.": {{}}, "Second.": {{"service_tier": "flex", "metadata": {{"b": "1"}}}}, "Third.": {{"verbosity": "low"}}}}
ASSISTANTS = [Assistant(name, model="m", instructions=text, **MORE[text]) for name, text in {texts!r}.items()]
"""
VERBS = ["create", "update", "deploy", "delete"]
clones = st.sampled_from([0, 1])
names = st.sampled_from(["one", "two"])
texts = st.sampled_from(["First.", "Second.", "Third."])


class Clones(RuleBasedStateMachine):
    """What happens to two clones whose embedded platform is the same."""

    @initialize()
    def begin(self) -> None:
        """Two empty clones, one platform, one agent of somebody else's."""
        self.folder = Path(tempfile.mkdtemp())
        self.hosts = [Host(self.folder / name, {}) for name in ("a", "b")]
        shared = self.folder / "a" / ".asst"
        shared.mkdir()
        (self.folder / "b" / ".asst").symlink_to(shared)
        self.service = EmbeddedAPI(shared / "local.json")
        self.texts = [dict.fromkeys(("one", "two"), "First.") for _ in self.hosts]
        self.common: Any = None  # what the two stores have in common, as git's merge base
        self.foreign = self.call("POST", "/agents", b'{"model": "m", "name": "one_development"}')["id"]
        for clone in (0, 1):
            self.declare(clone)

    def call(self, method: str, path: str, body: bytes = b"{}") -> Any:
        status, answer = self.service.handle(method, path, {}, body)
        assert status == 200, answer
        return answer

    def ours(self) -> list[dict[str, Any]]:
        agents = self.service._read()["agents"].values()
        return [agent for agent in agents if agent["metadata"].get("asst.project") == "host"]

    def declare(self, clone: int) -> None:
        self.hosts[clone].declare(SOURCE.format(texts=self.texts[clone]), 'platform = "local"\n')

    def run_verb(self, clone: int, verb: str, overwrite: bool = True) -> None:
        root = self.hosts[clone].root
        options: dict[str, Any] = {"timing": QUICK}
        if verb == "create":
            options["recreate"] = True
        elif verb == "delete":
            options |= {"only": ["two"], "yes": True}
        else:
            options["overwrite"] = overwrite
        getattr(commands, verb)(root, **options)

    @rule(clone=clones, name=names, text=texts)
    def edit(self, clone: int, name: str, text: str) -> None:
        """Somebody edits the code in one clone."""
        self.texts[clone][name] = text
        self.declare(clone)

    @rule(clone=clones, verb=st.sampled_from(VERBS), overwrite=st.booleans())
    def run(self, clone: int, verb: str, overwrite: bool) -> None:
        """A command runs to its end, well or with an error of ours."""
        with contextlib.suppress(AsstError):
            self.run_verb(clone, verb, overwrite)

    @rule(clone=clones)
    def twice(self, clone: int) -> None:
        """A create that went well leaves nothing for a second one."""
        try:
            self.run_verb(clone, "create")
        except AsstError:
            return
        before = self.hosts[clone].path.read_bytes(), len(self.ours())
        rows = commands.create(self.hosts[clone].root, timing=QUICK)
        assert {row.action for row in rows} == {"none"}
        assert (self.hosts[clone].path.read_bytes(), len(self.ours())) == before

    @rule(clone=clones, verb=st.sampled_from(VERBS), after=st.integers(1, 14))
    def kill(self, clone: int, verb: str, after: int) -> None:
        """A command is killed at some request or some write of the store."""
        child = os.fork()
        if child == 0:
            self.die_after(after)
            with contextlib.suppress(BaseException):
                self.run_verb(clone, verb)
            os._exit(0)
        os.waitpid(child, 0)

    def die_after(self, steps: int) -> None:
        """In the child: end without a word at the next but so many step, before or after it is carried out."""
        left = [steps]

        def counted(step: Any) -> Any:
            def dying(*args: Any, **kwargs: Any) -> Any:
                left[0] -= 1
                if left[0] == 0:
                    os._exit(9)
                result = step(*args, **kwargs)
                left[0] -= 1
                if left[0] == 0:
                    os._exit(9)
                return result

            return dying

        EmbeddedAPI.handle = counted(EmbeddedAPI.handle)  # type: ignore[method-assign]
        atomic_write.write_atomic = counted(atomic_write.write_atomic)

    @rule(data=st.data(), text=texts)
    def edit_by_hand(self, data: Any, text: str) -> None:
        """Somebody edits an instance in the dashboard."""
        if ours := self.ours():
            agent = data.draw(st.sampled_from(sorted(ours, key=lambda agent: agent["id"])))
            self.call("POST", f"/agents/{agent['id']}", f'{{"instructions": "{text} By hand."}}'.encode())

    @rule(data=st.data())
    def delete_by_hand(self, data: Any) -> None:
        """Somebody deletes an instance in the dashboard."""
        if ours := self.ours():
            agent = data.draw(st.sampled_from(sorted(ours, key=lambda agent: agent["id"])))
            self.call("DELETE", f"/agents/{agent['id']}")

    @rule(clone=clones)
    def pull(self, clone: int) -> None:
        """One clone takes the other's code and store."""
        other = self.hosts[1 - clone]
        if other.path.exists():
            self.hosts[clone].path.write_bytes(other.path.read_bytes())
            self.common = Store(FileStorage(other.path), "host").tables()
            self.texts[clone] = dict(self.texts[1 - clone])
            self.declare(clone)

    @rule(side=st.sampled_from(["ours", "theirs"]))
    def merge(self, side: Any) -> None:
        """Git merges the two clones' stores by record; where both changed one, somebody chooses a side."""
        stores = [Store(FileStorage(host.path), "host") for host in self.hosts]
        ours, theirs = (store.tables() for store in stores)
        if ours is None or theirs is None:
            return
        merge_update, conflicts = merge(self.common, ours, theirs)
        if merge_update is None:
            merge_update, conflicts = merge(self.common, ours, theirs, {conflict.key: side for conflict in conflicts})
        assert merge_update is not None
        for store in stores:
            store.replace(merge_update)
        self.common = stores[0].tables()
        self.texts[1] = dict(self.texts[0])
        self.declare(1)

    @invariant()
    def the_promises_hold(self) -> None:
        """Valid stores, recorded ids that exist or are reported, no twins, nothing of others' deleted, nothing left behind."""
        if not hasattr(self, "folder"):
            return
        state = self.service._read()
        tags = [(agent["metadata"]["asst.name"], agent["metadata"]["asst.environment"]) for agent in self.ours()]
        assert len(set(tags)) == len(tags)
        assert self.foreign in state["agents"]
        for host in self.hosts:
            recorded = Store(FileStorage(host.path), "host").read()
            for record in recorded.records.values():
                assert record.id in state["agents"] or record.id in state["deleted"]

    def as_declared(self, texts: dict[str, str]) -> None:
        """Each instance holds what its declaration says, and no field of another one."""
        for agent in self.ours():
            text = texts[agent["metadata"]["asst.name"]]
            assert agent["instructions"] == text
            assert agent["service_tier"] == ("flex" if text == "Second." else "auto")
            assert agent["text"]["verbosity"] == ("low" if text == "Third." else "medium")
            assert ("b" in agent["metadata"]) is (text == "Second.")

    def teardown(self) -> None:
        """Both clones settle: create, then deploy, and what is there is what is declared."""
        if not hasattr(self, "folder"):
            return
        for clone, host in enumerate(self.hosts):
            self.run_verb(clone, "create")
            self.run_verb(clone, "deploy")
            assert not Store(FileStorage(host.path), "host").read().pending
            assert {row.state for row in commands.status(host.root)} == {"in_sync"}
            assert list(host.root.glob("*.tmp")) == []
            self.as_declared(self.texts[clone])
        assert len(self.ours()) == 4
        shutil.rmtree(self.folder)


def test_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random commands, kills, edits and deletions by hand, pulls and merges: the promises hold after each."""
    monkeypatch.setenv("ASST_CONCURRENCY", "1")
    # The suite plays the same 20 each time; STATEFUL_EXAMPLES=500 plays as many new ones.
    examples = int(os.environ.get("STATEFUL_EXAMPLES", "0"))
    quick = settings(
        max_examples=examples or 20,
        derandomize=not examples,
        stateful_step_count=15,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Clones, settings=quick)  # type: ignore[no-untyped-call]
