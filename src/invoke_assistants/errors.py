"""The errors of this package, one sentence each; a message says what and which one, and the next command where one leads on.

AsstError                 the base: one line for people, the exit code of the command, the steps reached so far
├── SettingsError         a setting, a file of settings, a name on the command line or the app's import is wrong
├── DeclarationError      an assistant is declared in a way that no platform would take
├── StoreError            the store cannot be read, locked or written, or is not ours
├── PlatformError         a request to a platform failed
├── RowsFailed            some instances failed, the others went on
├── Refused               going on would lose or overwrite something: nothing was written (exit code 3)
├── EvalsFailed           evals stand in the way of later environments, or did not pass: those were not written (exit code 3)
├── NotCreated            an assistant that is asked has no instance in the environment
└── AnswerError           an assistant was asked and answered, and the answer is none that the app can use
    ├── AnswerRefused     the model or a policy refused to answer
    ├── AnswerIncomplete  the answer was cut off
    └── AnswerInvalid     the answer does not fit the output model

SchemaWarning             a warning: the saved instance holds the model to another schema than the app's
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from .text import one_line

if TYPE_CHECKING:
    from .types import Step

__all__ = [
    "AnswerError",
    "AnswerIncomplete",
    "AnswerInvalid",
    "AnswerRefused",
    "AsstError",
    "DeclarationError",
    "EvalsFailed",
    "NotCreated",
    "PlatformError",
    "Refused",
    "RowsFailed",
    "SchemaWarning",
    "SettingsError",
    "StoreError",
]


class AsstError(Exception):
    """Base of every error raised here; ``rows`` holds what was planned or done when it was raised."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, rows: Iterable[Step] = ()) -> None:
        super().__init__(one_line(message))  # parts of it may be what a service sent
        self.rows: tuple[Step, ...] = tuple(rows)


class SettingsError(AsstError):
    """A setting, a file of settings, a name on the command line or the app's import is wrong."""


class DeclarationError(AsstError):
    """An assistant is declared in a way that no platform would take."""


class StoreError(AsstError):
    """The store cannot be read, locked or written, or is not ours."""


class RowsFailed(AsstError):
    """Some instances failed, each named in its row; the others went on."""


class Refused(AsstError):
    """Going on would lose or overwrite something; nothing was written.

    Attributes:
        promoted: whether the first environment was brought up before later ones were refused.
    """

    exit_code = 3
    promoted = False


class EvalsFailed(AsstError):
    """Evals did not pass, or are not known to have passed; later environments were not written."""

    exit_code = 3


class PlatformError(AsstError):
    """A request to a platform failed.

    Args:
        detail: one line for people, without any secret.
        where: the environment; the message begins with it.
        status: the HTTP status, or None where no answer came.
        code: the service's error code, if it sent one.
        unknown: True where the service may have carried the request out all the same.
        transient: True where the same request may succeed later.
        retry_after: seconds that the service asked to wait, if it did.
    """

    def __init__(
        self,
        detail: str,
        *,
        where: str = "",
        status: int | None = None,
        code: str | None = None,
        unknown: bool = False,
        transient: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{where}: {detail}" if where else detail)
        self.detail = one_line(detail)
        self.status = status
        self.code = code
        self.unknown = unknown
        self.transient = transient
        self.retry_after = retry_after


class NotCreated(AsstError):
    """An assistant that is asked has no instance in the environment."""


class AnswerError(AsstError):
    """An assistant was asked and answered, and the answer is none that the app can use.

    Args:
        message: one line for people.
        answer: what came, as it came; of a refusal its words, of an answer that was cut off the beginning.
        session: the session that it was given in, which can be gone on with, or None where that is not known.
    """

    def __init__(self, message: str, *, answer: str = "", session: str | None = None) -> None:
        super().__init__(message)
        self.answer = answer
        self.session = session


class AnswerRefused(AnswerError):
    """The model or a policy refused to answer; ``answer`` is what was said instead."""


class AnswerIncomplete(AnswerError):
    """The answer was cut off; ``answer`` is its beginning."""


class AnswerInvalid(AnswerError):
    """The answer does not fit the output model; ``answer`` is the raw text."""


class SchemaWarning(UserWarning):
    """The saved instance holds the model to another schema than the app's."""
