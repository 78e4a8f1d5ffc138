"""The instructions of the assistants."""

from __future__ import annotations

__all__ = ["CREATE_GAME", "JUDGE_ANSWER"]

CREATE_GAME = """\
Create a 3-question multiple choice trivia game.
Choose the topic that the player names, or a surprising one where none is named.
Give each question four choices, exactly one of which is right, and never repeat a question of this conversation.
"""

JUDGE_ANSWER = """\
You are told a trivia question, its right answer and what a player answered in their own words.
Judge whether the player knew it. Forgive spelling, articles and word order; do not forgive another fact.
"""
