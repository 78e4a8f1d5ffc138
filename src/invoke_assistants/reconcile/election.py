"""What to do about a create whose outcome is open, from what one look at the list showed. Pure.

Two runs may create the same instance at the same time, and an answer may be lost. Every create carries a nonce of its own in
its tags, so each run knows which objects it made. The runs agree without talking: the oldest object by the server's clock
stays, each run deletes only what carries its own nonce, and of two of the same age neither stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["CreateState", "Look", "Move", "next_move"]


class CreateState(Enum):
    """What this run knows of its create."""

    UNSENT = "nothing was posted in this run, or what was posted is deleted again"
    ANSWERED = "it was posted and answered"
    UNANSWERED = "it was posted, and whether it was made is not known"


class Move(Enum):
    """The next step."""

    WAIT = "Look again."
    CREATE = "Post it, unless an object that was listed before still answers to its id."
    KEEP_RECORDED = "Keep the recorded object, whose tags were changed."
    KEEP_OLDEST = "Keep the oldest object that is listed."
    DELETE_EXTRAS = "Delete our own objects but the oldest."
    YIELD = "Delete all of our own: another run's stays, or neither does."
    GIVE_UP_UNLISTED = "Stop: it was made, but the list does not show it."
    GIVE_UP_UNANSWERED = "Stop: whether it was made is not known yet."
    GIVE_UP_DUPLICATES = "Stop: several objects of others carry the tags, and none is ours to choose."


@dataclass(frozen=True)
class Look:
    """What one look at the complete list showed of one create.

    Args:
        own: how many listed objects carry its nonce.
        others: how many carry the same tags under another nonce.
        own_is_oldest: whether the oldest of all is our own.
        same_age: whether the two oldest were created at the same second.
        recorded_is_listed: whether the recorded or answered id is listed, whatever its tags.
        answer_is_overdue: whether an unanswered create has had its time to show up.
        grace_is_over: whether other runs have had their time to delete what they made.
    """

    own: int = 0
    others: int = 0
    own_is_oldest: bool = False
    same_age: bool = False
    recorded_is_listed: bool = False
    answer_is_overdue: bool = False
    grace_is_over: bool = False


def next_move(state: CreateState, look: Look) -> Move:
    """The next step, by the first line that holds.

    ====  ==================================================  =====================================================
    line  what the look showed                                the next step
    ====  ==================================================  =====================================================
    1     none of our own; our id is listed without its tags  KEEP_RECORDED
    2     none of our own, though it was answered             WAIT for the list; after the grace GIVE_UP_UNLISTED
    3     none of our own, and it was not answered            WAIT for it; when overdue GIVE_UP_UNANSWERED
    4     nothing at all                                      CREATE
    5     several of our own                                  DELETE_EXTRAS
    6     one of our own, and an older one of another run     YIELD
    7     several, within the grace                           WAIT for the others' runs to delete theirs
    8     several, none of them our own                       GIVE_UP_DUPLICATES
    9     our own and one of the same age                     YIELD
    10    one, or our own is the oldest                       KEEP_OLDEST
    ====  ==================================================  =====================================================
    """
    if not look.own:
        if look.recorded_is_listed:
            return Move.KEEP_RECORDED
        if state is CreateState.ANSWERED:
            return Move.GIVE_UP_UNLISTED if look.grace_is_over else Move.WAIT
        if state is CreateState.UNANSWERED:
            return Move.GIVE_UP_UNANSWERED if look.answer_is_overdue else Move.WAIT
        if not look.others:
            return Move.CREATE
    if look.own > 1:
        return Move.DELETE_EXTRAS
    return _among_several(look) if look.own + look.others > 1 else Move.KEEP_OLDEST


def _among_several(look: Look) -> Move:
    """Lines 6 to 10, where more than one object carries the tags and at most one is our own."""
    if look.own and not look.own_is_oldest:
        return Move.YIELD
    if not look.grace_is_over:
        return Move.WAIT
    if not look.own:
        return Move.GIVE_UP_DUPLICATES
    return Move.YIELD if look.same_age else Move.KEEP_OLDEST
