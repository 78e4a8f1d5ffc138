"""The arguments of the tasks, where Invoke's own do not do: cheap copies, and values without a flag."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any

from invoke.exceptions import ParseError
from invoke.parser.argument import Argument

__all__ = ["CommandArgument", "OptionalPositional", "Positional", "Repeatable"]


class CommandArgument(Argument):
    """An argument of a command: Invoke's, whose copies share what it holds."""

    def __init__(self, command: str, plain: Argument) -> None:
        vars(self).update(vars(plain))
        self._command = command

    def __repr__(self) -> str:
        return self._shown  # Invoke makes messages of all arguments, twice, whether anybody reads them or not

    @functools.cached_property
    def _shown(self) -> str:
        return super().__repr__().replace(type(self).__name__, Argument.__name__, 1)  # Invoke's messages show it

    def __deepcopy__(self, memo: object) -> Argument:
        """A copy of one level: Invoke copies all arguments of all tasks before it parses, and replaces what they hold."""
        copied = object.__new__(type(self))
        vars(copied).update(vars(self))
        return copied


class Repeatable(CommandArgument):
    """An argument that may be given several times, each time with a value: a bare ``--only`` must not mean all.

    Invoke takes a list for the value of a flag that got none, and the first value for that of a second one. In a parser that
    works otherwise, only the first flag needs a value.
    """

    _raw: Any = None

    @property
    def raw_value(self) -> Any:
        """See ``Argument``."""
        return None if _parser_misses_value() else self._raw

    @raw_value.setter
    def raw_value(self, value: Any) -> None:
        self._raw = value


class Positional(CommandArgument):
    """An argument without a flag. Invoke would take the ``--help`` of ``inv asst.run --help`` as its value."""

    def set_value(self, value: Any, cast: bool = True) -> None:
        """Take the value.

        Raises:
            ParseError: it is the flag that asks for help.
        """
        if value in ("-h", "--help"):
            from .spelling import spell_commands

            command = f"asst.{self._command}"
            raise ParseError(
                spell_commands(f"inv {command} takes arguments before its flags: inv --help {command} shows its help")
            )
        super().set_value(value, cast)


class OptionalPositional(Positional):
    """An argument that may be given without its flag, or not at all, which Invoke does not offer.

    Invoke gives the next word to a positional argument without a value, and then requires one. So this one has a value, an
    empty one, but while the parser is at a word that is neither a flag nor a task. In a parser that works otherwise, the
    flag is left.
    """

    @property
    def value(self) -> Any:
        """See ``Argument``."""
        return self._value if self._value is not None else None if _parser_is_at_a_word() else ""

    @value.setter
    def value(self, arg: Any) -> None:
        self.set_value(arg)


def _parser_misses_value() -> bool:
    """Whether Invoke's parser is done with a flag, and no value came after it."""
    found = _parser_locals("complete_flag")
    return getattr(found.get("self"), "flag_got_value", True) is False


def _parser_is_at_a_word() -> bool:
    """Whether Invoke's parser is handling a word that no flag and no task is called."""
    found = _parser_locals("handle")
    word: str = found.get("token", "-")
    return not word.startswith("-") and word not in getattr(found.get("self"), "contexts", ())


def _parser_locals(function: str) -> Mapping[str, Any]:
    """The variables of a function of Invoke's parser that is running now; none where it is not."""
    frame = inspect.currentframe()
    while frame := frame and frame.f_back:
        if frame.f_code.co_name == function and frame.f_globals.get("__name__") == "invoke.parser.parser":
            return frame.f_locals
    return {}
