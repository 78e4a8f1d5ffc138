"""What a run does about an open create after one look: the table of ``next_move``, line by line. Pure."""

from __future__ import annotations

from itertools import product

import pytest

from invoke_assistants.reconcile.election import CreateState, Look, Move, next_move

UNSENT, ANSWERED, UNANSWERED = CreateState
MINE = {"own": 1, "own_is_oldest": True}

TABLE = [
    # line, state, what the look showed, the next step
    ("1", UNSENT, Look(recorded_is_listed=True), Move.KEEP_RECORDED),
    ("1", UNSENT, Look(recorded_is_listed=True, others=2), Move.KEEP_RECORDED),
    ("1", ANSWERED, Look(recorded_is_listed=True), Move.KEEP_RECORDED),
    ("2", ANSWERED, Look(), Move.WAIT),
    ("2", ANSWERED, Look(others=1), Move.WAIT),
    ("2", ANSWERED, Look(grace_is_over=True), Move.GIVE_UP_UNLISTED),
    ("3", UNANSWERED, Look(), Move.WAIT),
    ("3", UNANSWERED, Look(others=1), Move.WAIT),
    ("3", UNANSWERED, Look(answer_is_overdue=True), Move.GIVE_UP_UNANSWERED),
    ("4", UNSENT, Look(), Move.CREATE),
    ("5", ANSWERED, Look(own=2, own_is_oldest=True), Move.DELETE_EXTRAS),
    ("5", UNANSWERED, Look(own=3, others=1, grace_is_over=True), Move.DELETE_EXTRAS),
    ("6", ANSWERED, Look(own=1, others=1), Move.YIELD),
    ("6", UNANSWERED, Look(own=1, others=1), Move.YIELD),
    ("7", ANSWERED, Look(**MINE, others=1), Move.WAIT),
    ("7", UNSENT, Look(others=2), Move.WAIT),
    ("8", UNSENT, Look(others=2, grace_is_over=True), Move.GIVE_UP_DUPLICATES),
    ("9", ANSWERED, Look(**MINE, others=1, same_age=True, grace_is_over=True), Move.YIELD),
    ("10", ANSWERED, Look(**MINE), Move.KEEP_OLDEST),
    ("10", UNANSWERED, Look(**MINE), Move.KEEP_OLDEST),
    ("10", UNSENT, Look(others=1), Move.KEEP_OLDEST),
    ("10", ANSWERED, Look(**MINE, others=1, grace_is_over=True), Move.KEEP_OLDEST),
]


@pytest.mark.parametrize(("line", "state", "look", "move"), TABLE)
def test_each_line_of_the_table(line: str, state: CreateState, look: Look, move: Move) -> None:
    """The first line that holds says what is done next."""
    assert next_move(state, look) is move


def test_the_docstring_has_each_line_and_each_move() -> None:
    """The table in the docstring names every line that is tested, and every move."""
    text = next_move.__doc__ or ""
    assert {line for line, *_ in TABLE} == {str(number) for number in range(1, 11)}
    assert all(f"\n    {line} " in text for line, *_ in TABLE)
    assert all(move.name in text for move in Move)


def every_look() -> list[Look]:
    return [
        Look(own, others, own_is_oldest, same_age and own + others > 1, False, overdue, over)
        for own, others in product(range(3), repeat=2)
        for own_is_oldest in ([False, True] if own and others else [bool(own)])
        for same_age, overdue, over in product([False, True], repeat=3)
    ]


@pytest.mark.parametrize("state", CreateState)
def test_no_look_deletes_what_is_not_ours_or_keeps_waiting_for_ever(state: CreateState) -> None:
    """Only our own objects are deleted; once all times are over, nothing waits; two runs never both keep their own."""
    for look in every_look():
        move = next_move(state, look)
        if move in (Move.DELETE_EXTRAS, Move.YIELD):
            assert look.own
        if look.grace_is_over and look.answer_is_overdue:
            assert move is not Move.WAIT
        if move is Move.KEEP_OLDEST and look.own and look.others:
            assert look.own_is_oldest
            assert not look.same_age
        if move is Move.CREATE:
            assert not look.own + look.others
