"""Variables that set nothing, and whose names are nearly those of settings: told to whoever asked to hear of them."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager

from ..text import did_you_mean
from .environment import environment_names, own_variable
from .sources import OPENAI_VARIABLES, OUR_VARIABLES, PREFIXES, Sources

__all__ = ["hear_of_misspelt", "misspelt_variables", "tell_of_misspelt"]

OURS, OPENAI = PREFIXES
CLOSE = 0.7  # the share of letters that two words have in common
MIN_SHORT = 3  # letters that a shortened word has at least: DEV for DEVELOPMENT

_hear: Callable[[str], None] | None = None


@contextmanager
def hear_of_misspelt(hear: Callable[[str], None]) -> Generator[None]:
    """Let a function be told, until the block ends, of each misspelt variable of the settings that this process reads."""
    global _hear
    before, _hear = _hear, hear
    try:
        yield
    finally:
        _hear = before


def tell_of_misspelt(sources: Sources) -> None:
    """Tell of the misspelt variables among the sources; where nobody listens, as in a running app, none are looked for.

    Raises:
        SettingsError: the list of environments is wrong.
    """
    if _hear is not None:
        for problem in misspelt_variables(sources):
            _hear(problem)


def misspelt_variables(sources: Sources) -> list[str]:
    """A sentence for each variable that sets nothing, and whose name is nearly that of one of ours; never a value.

    Raises:
        SettingsError: the list of environments is wrong.
    """
    environments = environment_names(sources)
    ours = {name for name in (*OUR_VARIABLES, "ASST_ROOT") if name.startswith(OURS)}
    openai = [*OPENAI_VARIABLES, *itertools.starmap(own_variable, itertools.product(OPENAI_VARIABLES, environments))]
    odd = sorted((name, file) for name, file in _names(sources) if name not in ours and name not in openai)
    problems = []
    for name, file in odd:
        if hint := _hint(name, sorted(ours)) if name.startswith(OURS) else _openai_hint(name, openai):
            problems.append(f"{name:.80}{f' in {file}' if file else ''} is no setting{hint}")
    return problems


def _names(sources: Sources) -> Iterator[tuple[str, str]]:
    """The names with a prefix of ours, each with the file that it stands in; empty for the process's environment."""
    yield from ((name, "") for name in sources.environ if name.startswith(PREFIXES))
    yield from sources.in_files


def _hint(name: str, known: Sequence[str]) -> str:
    hint = did_you_mean(name.removeprefix(OURS), [each.removeprefix(OURS) for each in known])
    return hint.replace("'", f"'{OURS}", 1)


def _openai_hint(name: str, known: Sequence[str]) -> str:
    """As ``did_you_mean``, but stricter: other tools have variables with this prefix, and all keys look alike."""
    close = next((each for each in known if _is_close(name.removeprefix(OPENAI), each.removeprefix(OPENAI))), None)
    return f"; did you mean {close!r}?" if close else ""


def _is_close(name: str, known: str) -> bool:
    """Whether each word of a name is nearly that of the known one; numbers tell names apart: ``API_KEY_2`` is another key."""
    if re.sub("[0-9_]", "", name) == re.sub("[0-9_]", "", known):
        return re.sub("[^0-9]", "", name) == re.sub("[^0-9]", "", known)
    words, known_words = name.split("_"), known.split("_")
    return len(words) == len(known_words) and all(itertools.starmap(_is_close_word, zip(words, known_words, strict=True)))


def _is_close_word(word: str, known: str) -> bool:
    if word == known or sorted(word) == sorted(known) or (len(word) >= MIN_SHORT and known.startswith(word)):
        return True
    shared = (Counter(word) & Counter(known)).total()
    if 2 * shared < CLOSE * (len(word) + len(known)):  # in whatever order they stand
        return False
    from difflib import get_close_matches

    return bool(get_close_matches(word, [known], cutoff=CLOSE))
