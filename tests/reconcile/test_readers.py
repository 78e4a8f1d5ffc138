"""What the store keeps of the models that read an environment's answers, where no schema tells it."""

from __future__ import annotations

import pytest
from conftest import MODELS, Host
from loopback import Loopback

from invoke_assistants import Refused, commands
from invoke_assistants.types import SchemaChange, Step

CLOSED = (
    MODELS
    + """
class Ticket(BaseModel, extra="forbid"):
    title: str
    priority: int

ASSISTANTS = [Assistant("triage", output=Ticket, model="gpt-6-luna", instructions="Triage.")]
"""
)
TWINS = """
from pydantic import BaseModel
from invoke_assistants import Assistant

class Ticket(BaseModel, extra="forbid"):
    title: str

triage = Assistant("triage", output=Ticket, model="gpt-6-luna", instructions="Triage.")

class Ticket(BaseModel):
    title: str

twin = Assistant("twin", output=Ticket, model="gpt-6-luna", instructions="Triage.")
ASSISTANTS = [ORDER]
"""
OPENED = ', extra="forbid"', ""
ONE_MORE = "title: str", "title: str\n    owner: str"
KNOWN = {"extra_forbidden": ["$"]}


@pytest.fixture
def closed(host: Host, server: Loopback) -> Host:
    """An assistant in both environments, whose model forbids fields that it does not know."""
    host.declare(CLOSED)
    host.create()
    server.seen.clear()
    return host


def planned(host: Host) -> Step:
    [step] = commands.plan(host.root, env="production")
    return step


def change(step: Step) -> SchemaChange:
    assert step.schema
    [found] = step.schema.changes
    return found


def readers(host: Host) -> list[object]:
    return list(host.store.get("readers", {}).values())


def test_the_reader_of_the_app_that_runs_decides(closed: Host, server: Loopback) -> None:
    """A field more breaks the app that forbids it, also where the declared model forbids none: no write, and both are named."""
    assert readers(closed) == [KNOWN]
    closed.edit(*OPENED)
    closed.edit(*ONE_MORE)
    with pytest.raises(Refused, match="--allow-breaking triage:owner"):
        commands.deploy(closed.root)
    found = change(planned(closed))
    assert (found.path, found.kind, found.verdict) == ("owner", "field_added", "breaking")
    assert found.why == "The app that runs now forbids fields that it does not know."
    assert server.writes() == []


def test_development_alone_says_nothing_of_the_app_in_production(closed: Host, server: Loopback) -> None:
    """A model that reads more is taken for the running one only once it was deployed, which writes no instance."""
    closed.edit(*OPENED)
    before = closed.path.read_bytes()
    commands.plan(closed.root)
    commands.deploy(closed.root, dry_run=True)
    commands.update(closed.root)
    assert closed.path.read_bytes() == before
    commands.deploy(closed.root)
    assert readers(closed) == []
    closed.edit(*ONE_MORE)
    assert change(planned(closed)).verdict == "compatible"
    assert server.writes() == []


def test_a_reader_goes_with_its_digest(closed: Host) -> None:
    """It is kept while a record or a history names the digest, and dropped with the last one."""
    closed.edit('"Triage."', '"Triage it."')
    commands.deploy(closed.root)
    assert readers(closed) == [KNOWN, KNOWN]  # of the present digest, and of the one that production may go back to
    commands.forget("triage", "production", closed.root)
    assert list(closed.store["readers"]) == [closed.store["assistants"]["triage"]["development"]["digest"]]


@pytest.mark.parametrize("order", ["triage, twin", "twin, triage"])
def test_of_assistants_that_share_a_payload_the_strictest_reader_counts(host: Host, order: str) -> None:
    """Whichever comes last. A command that changes nothing writes nothing, and one assistant alone takes nothing back."""
    host.declare(TWINS.replace("ORDER", order))
    commands.create(host.root)
    assert len(host.store["payloads"]) == 1
    assert readers(host) == [KNOWN]
    before = host.path.read_bytes()
    for command in (commands.create, commands.update, commands.deploy):
        command(host.root)
        assert host.path.read_bytes() == before
    host.edit(*OPENED)
    for name in ("twin", "triage"):
        commands.deploy(host.root, only=[name])
        assert host.path.read_bytes() == before
    commands.deploy(host.root)
    assert readers(host) == []


def test_a_default_that_was_deployed_lets_its_field_go(closed: Host) -> None:
    """Without it, the app that runs needs the field."""
    without = "    priority: int\n", ""
    closed.edit(*without)
    assert change(planned(closed)).verdict == "breaking"
    closed.declare(CLOSED.replace("priority: int", "priority: int = 1"))
    commands.deploy(closed.root)
    closed.edit("    priority: int = 1\n", "")
    assert change(planned(closed)).verdict == "compatible"
