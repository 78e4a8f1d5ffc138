"""Types that type checkers must infer; nothing here is run."""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import Any, assert_type

from app.assistants import create_trivia_game, judge_answer
from app.trivia.models import AnswerVerdict, TriviaGame
from invoke_assistants import Assistant, Reply
from invoke_assistants.testing import Answers, Asked, Script, answering

assert_type(create_trivia_game, Assistant[TriviaGame])
assert_type(judge_answer, Assistant[AnswerVerdict])
assert_type(Assistant("plain", model="m"), Assistant[str])
anything: Assistant[object] = create_trivia_game  # covariant
ASSISTANTS = [create_trivia_game, judge_answer, Assistant("plain", model="m")]
annotated: list[Assistant[Any]] = [create_trivia_game, judge_answer, Assistant("plain", model="m")]
by_name: dict[str, Assistant[Any]] = {each.name: each for each in ASSISTANTS}


def look_up(word: str) -> str:
    return word


async def wait(seconds: float) -> None: ...


assert_type(Assistant("tools", model="m", tools=[look_up, wait, {"type": "web_search"}]), Assistant[str])
differing = Assistant("tools", model="m", environments={"production": {"tools": [look_up]}})


async def asked() -> None:
    """The types that asking returns."""
    reply = create_trivia_game.run("Create a new trivia game.")
    assert_type(reply, Reply[TriviaGame])
    assert_type(reply.output, TriviaGame)
    assert_type((await create_trivia_game.arun("Another.", session=reply.session)).output, TriviaGame)
    assert_type(create_trivia_game.stream("Another.").reply.output, TriviaGame)
    assert_type(Assistant("plain", model="m").run("Hello.").output, str)
    assert_type(create_trivia_game.id(), str)


def answered(asst_answers: Answers, game: TriviaGame, verdict: AnswerVerdict) -> None:
    """What a test gives is of the assistant's output type. Each comment hides an error that must be there: else it is one."""
    assert_type(asst_answers.once(create_trivia_game), Script[TriviaGame])
    asst_answers.once(create_trivia_game).give(game)
    asst_answers.always(judge_answer, "…").call("look_up", {"word": "…"}).give(verdict)
    asst_answers.once(Assistant("plain", model="m")).give("text")
    asst_answers.once(create_trivia_game).give(verdict)  # type: ignore[arg-type]
    asst_answers.once(judge_answer).give({"points": 2})  # type: ignore[arg-type]
    asst_answers.once(Assistant("plain", model="m")).give(game)  # type: ignore[arg-type]
    assert_type(asst_answers.asked, tuple[Asked, ...])
    with answering() as answers:
        assert_type(answers, Answers)
