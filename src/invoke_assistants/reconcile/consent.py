"""What the user lets through that a plan would else be refused for. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ..errors import SettingsError
from ..text import did_you_mean
from ..types import Compatibility, Step

__all__ = ["NO_CONSENT", "Consent", "breaking_error", "breaking_flags", "parse_allowed"]

MANY = 3  # paths that a message names; beyond, the assistant as a whole

Allowed = frozenset[tuple[str, str | None]]  # assistants, each with a path in its answers; None means all paths


@dataclass(frozen=True)
class Consent:
    """What the user lets through.

    Args:
        overwrite: drift by hand, or by another checkout, is written over.
        breaking: changes of output schemas that the app that runs now may not read.
        resume: what a rollback holds goes forward.
    """

    overwrite: bool = False
    breaking: Allowed = frozenset()
    resume: bool = False

    def covers(self, name: str, path: str) -> bool:
        """Whether a change of an assistant's output schema is let through."""
        return bool({(name, None), (name, path)} & self.breaking)


NO_CONSENT = Consent()


def parse_allowed(given: Iterable[str], declared: Collection[str]) -> Allowed:
    """What ``--allow-breaking`` lets through: ``NAME``, or ``NAME:PATH``.

    Raises:
        SettingsError: no such assistant is declared, or the path is empty.
    """
    allowed = set()
    for text in given:
        name, colon, path = text.partition(":")
        if name not in declared:
            known = ", ".join(declared) or "none"
            raise SettingsError(
                f"--allow-breaking {text!r:.80}: no assistant {name!r:.80}; declared: {known}{did_you_mean(name, declared)}"
            )
        if colon and not path:
            raise SettingsError(f"--allow-breaking {text!r:.80}: give a path behind the colon, or {name} alone for all of it")
        allowed.add((name, path if colon else None))
    return frozenset(allowed)


def breaking_flags(step: Step, schema: Compatibility | None, consent: Consent) -> str:
    """The flags that let a step's breaking changes through, with a space before each; empty where there are none.

    Those that were given for other assistants come first: the command that is printed is to be enough for all.
    """
    others = sorted(f"{name}:{path}" if path else name for name, path in consent.breaking if name != step.name)
    unsafe = _unsafe_paths(schema) if schema else []
    words = [step.name] if len(unsafe) > MANY else [f"{step.name}:{path}" for path in unsafe]
    return "".join(f" --allow-breaking {shlex.quote(word)}" for word in (*others, *words))


def _unsafe_paths(schema: Compatibility) -> list[str]:
    return list(dict.fromkeys(change.path for change in schema.unsafe))


def breaking_error(step: Step, schema: Compatibility, consent: Consent) -> str | None:
    """Why a step is refused for what it does to the readers of an output schema, and the way out; None where all is let through.

    Args:
        schema: what its change does to the app that runs now.
    """
    unsafe = _unsafe_paths(schema)
    missing = [path for path in unsafe if not consent.covers(step.name, path)]
    if not missing:
        return None
    flags = f"{' --resume' if consent.resume else ''}{breaking_flags(step, schema, consent)}".lstrip()
    where = f"{', '.join(missing[:MANY])}{f' and {len(missing) - MANY} more' if len(missing) > MANY else ''}"
    certain = any(change.verdict == "breaking" and change.path in missing for change in schema.unsafe)
    told = f"{step.title}: the app that runs now {'cannot' if certain else 'may not be able to'} read what the new schema allows"
    idle = [path for name, path in sorted(consent.breaking, key=str) if name == step.name and path not in (None, *unsafe)]
    hint = f" ({', '.join(map(str, idle))} breaks nothing)" if idle else ""
    if schema.order == "ship_app_first":
        return f"{told} ({where}): ship the app first, then inv asst.deploy {flags}{hint}"
    return f"{told} ({where}), nor the new app what the old one allows: change it in two steps, or inv asst.deploy {flags}{hint}"
