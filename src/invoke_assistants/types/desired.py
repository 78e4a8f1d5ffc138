"""What is desired of one instance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .basic import JSONObject, Key, Location, identity_tags

__all__ = ["Desired", "Held"]


@dataclass(frozen=True)
class Held:
    """An environment's instance was rolled back and stays there; ``origin`` is the digest that it was rolled back from."""

    origin: str
    message: str = ""


@dataclass(frozen=True)
class Desired:
    """A declared instance: an assistant in an environment, the payload that it should have, and where it belongs.

    Args:
        position: of the environment in the promotion order, 0 for the first.
        output: the model that reads the answers; None means text.
        held: set where the payload is not the declared one but an earlier one, which a rollback holds it at.
    """

    name: str
    environment: str
    position: int
    location: Location
    project: str
    payload: JSONObject
    digest: str
    output: type[Any] | None = field(default=None, repr=False, compare=False)
    held: Held | None = None

    @property
    def key(self) -> Key:
        """The assistant's name and the environment's."""
        return self.name, self.environment

    @property
    def title(self) -> str:
        """The assistant and the environment, for messages."""
        return f"{self.name} in {self.environment}"

    @property
    def remote_name(self) -> str:
        """What the instance is called remotely."""
        return f"{self.name}_{self.environment}"

    @property
    def identity(self) -> dict[str, str]:
        """The tags that say whose instance a remote object is."""
        return identity_tags(self.project, self.name, self.environment)
