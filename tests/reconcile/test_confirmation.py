"""A yes is for what was shown: whatever changed while the question waited is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest
from conftest import Host
from loopback import Loopback

from invoke_assistants import Refused, commands
from invoke_assistants.types import Step


def meanwhile(act: Callable[[], object]) -> Callable[[str, Sequence[Step]], bool]:
    """Somebody who says yes after something has happened."""

    def confirm(question: str, rows: Sequence[Step]) -> bool:
        act()
        return True

    return confirm


@pytest.fixture
def edited(host: Host, server: Loopback) -> str:
    """All is created; judge in production was edited by hand. Its id."""
    host.create()
    id = host.ids()["judge", "production"]
    server.call("POST", f"/agents/{id}", {"instructions": "By hand."})
    server.seen.clear()
    return id


@pytest.mark.parametrize("hotfix", [{"instructions": "Hotfix."}, {"service_tier": "priority"}, {"name": "other"}])
def test_an_overwrite_of_what_changed_meanwhile(host: Host, server: Loopback, edited: str, hotfix: dict[str, str]) -> None:
    """Another clone writes while deploy asks: refused with 3, nothing is written, the hotfix stays."""
    before = host.path.read_bytes()
    with pytest.raises(Refused, match="judge in production was changed while the question waited") as caught:
        commands.deploy(host.root, confirm=meanwhile(lambda: server.call("POST", f"/agents/{edited}", hotfix)))
    assert [row.key for row in caught.value.rows if row.error] == [("judge", "production")]
    assert server.writes() == []
    assert host.path.read_bytes() == before
    assert server.agents()[edited].items() >= hotfix.items()


def test_every_row_of_the_plan_is_looked_at_again(host: Host, server: Loopback, edited: str) -> None:
    """Not only the row that was asked about: one that was in sync when it was shown counts, too."""
    other = host.ids()["talker", "development"]
    with pytest.raises(Refused, match="talker in development was changed"):
        commands.deploy(host.root, confirm=meanwhile(lambda: server.call("DELETE", f"/agents/{other}")))
    assert server.writes() == []


def test_a_store_that_was_pulled_meanwhile(host: Host, server: Loopback, edited: str) -> None:
    """Its records are compared as well."""
    pulled = host.store
    pulled["assistants"]["judge"]["production"]["id"] = "agent_of_somebody"
    with pytest.raises(Refused, match="judge in production was changed"):
        commands.deploy(host.root, confirm=meanwhile(lambda: host.path.write_text(json.dumps(pulled))))
    assert server.writes() == []
    assert host.store == pulled


def test_a_yes_to_what_is_still_there(host: Host, server: Loopback, edited: str) -> None:
    """It is carried out; the question costs the looks that a run without one saves."""
    commands.deploy(host.root, confirm=lambda question, rows: True)
    assert server.agents()[edited]["instructions"] == "Judge it."
    asked = len(server.seen)
    server.call("POST", f"/agents/{edited}", {"instructions": "By hand."})
    server.seen.clear()
    commands.deploy(host.root, overwrite=True)
    assert len(server.seen) == asked - 1


def test_recreating_what_came_back_meanwhile(host: Host, server: Loopback) -> None:
    """Another clone makes an instance while create asks whether all shall be made anew: refused, no twin."""
    commands.create(host.root, env="production")
    for id in host.ids().values():
        server.call("DELETE", f"/agents/{id}")
    server.seen.clear()
    body = {
        "model": "gpt-4",
        "name": "judge_production",
        "metadata": {"asst.project": "host", "asst.name": "judge", "asst.environment": "production", "asst.nonce": "f" * 32},
    }
    with pytest.raises(Refused, match="judge in production was changed"):
        commands.create(host.root, env="production", confirm=meanwhile(lambda: server.call("POST", "/agents", body)))
    assert server.writes() == []
    commands.create(host.root, env="production", confirm=lambda question, rows: True)
    assert len(server.agents()) == 3


@pytest.mark.parametrize("by_id", [False, True])
def test_deleting_what_changed_meanwhile(host: Host, server: Loopback, by_id: bool) -> None:
    """An instance that somebody has just changed is not deleted."""
    host.create()
    id = host.ids()["judge", "production"]
    server.seen.clear()
    confirm = meanwhile(lambda: server.call("POST", f"/agents/{id}", {"instructions": "Hotfix."}))
    with pytest.raises(Refused, match="was changed while the question waited"):
        commands.delete(host.root, env=None if by_id else "production", id=id if by_id else None, confirm=confirm)
    assert server.writes() == []
    assert len(host.ids()) == 6


def test_recreating_beside_an_environment_with_a_key_of_its_own(
    host: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of development is gone, production was never created: a yes makes both, and adopts what production has already."""
    commands.create(host.root, ["judge"])
    monkeypatch.setenv("OPENAI_API_KEY_PRODUCTION", "sk-canary-0000000000-production")
    ids = host.ids()
    server.call("DELETE", f"/agents/{ids['judge', 'development']}")
    for number in range(101):
        server.call("POST", "/agents", {"model": "gpt-4", "name": f"somebody's {number}"})
    stored = host.store
    del stored["assistants"]["judge"]["production"]
    host.path.write_text(json.dumps(stored))
    planned = {row.key: row.action for row in commands.create(host.root, ["judge"], dry_run=True, recreate=True)}
    assert planned == {("judge", "development"): "recreate", ("judge", "production"): "adopt"}
    rows = commands.create(host.root, ["judge"], confirm=lambda question, rows: True)
    assert [row.action for row in rows] == ["recreate", "adopt"]
    assert host.ids()["judge", "production"] == ids["judge", "production"]
    assert len(server.agents()) == 103
