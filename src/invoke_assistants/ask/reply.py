"""What the app gets from an assistant: the reply, and the tokens it used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

from ..declare.declaration import Output

__all__ = ["Reply", "Usage"]


@dataclass(frozen=True)
class Usage:
    """The tokens of one turn, as the platform counted them.

    Args:
        input_tokens: of what the model was given, the conversation so far included.
        output_tokens: of what it wrote.
        total_tokens: of both.
    """

    input_tokens: int
    output_tokens: int
    total_tokens: int


@dataclass(frozen=True)
class Reply(Generic[Output]):
    """An assistant's reply.

    Args:
        output: the validated object of the output model; the text where there is no model.
        session: the id of the conversation; ``run(…, session=reply.session)`` goes on in it.
        usage: the tokens of this turn, or None where the platform did not say.
        id: the id of the instance that answered.
    """

    output: Output
    session: str
    usage: Usage | None
    id: str
