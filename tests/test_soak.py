"""The short form of ``inv soak``: one or two rounds of each kind, and what it does with a round that fails."""

from __future__ import annotations

import pytest
import soak


@pytest.mark.parametrize("kind", soak.KINDS, ids=lambda kind: kind.name)
def test_a_few_rounds(kind: soak.Kind) -> None:
    """Whatever is killed, interrupted, raced or lost at these moments, what the kind promises holds."""
    rounds = 1 if kind.name in ("two-clones", "shared-store") else 2  # these wait out real graces
    outcome = soak.play_all(kind, rounds, seed=18)  # with both signals, a second kill, and lost answers among them
    assert outcome.failures == {}


def test_a_failed_round_is_told_with_its_seed(capsys: pytest.CaptureFixture[str]) -> None:
    """One round of three fails: the exit code says so, and the line says how to play that round again."""

    def second(round: soak.Round) -> None:
        soak.hold(round.seed != 71, "the second one")

    assert soak.main(["--rounds", "3", "--seed", "70"], [soak.Kind("made-up", second, "nothing")]) == 1
    printed = capsys.readouterr().out
    assert "made-up              3      1" in printed
    assert "FAILED with seed 71: Broken: the second one (again: inv soak --kind made-up --rounds 1 --seed 71)" in printed
    assert soak.main(["--rounds", "1", "--seed", "70"], [soak.Kind("made-up", second, "nothing")]) == 0
