"""Whether pydantic-evals is there; it takes a second to import, so only what needs it asks."""

from __future__ import annotations

import importlib

from ..errors import SettingsError

__all__ = ["has_pydantic_evals", "require_pydantic_evals"]


def has_pydantic_evals() -> bool:
    """Import pydantic-evals, and return whether it is installed."""
    try:
        importlib.import_module("pydantic_evals")
    except ModuleNotFoundError:
        return False
    return True


def require_pydantic_evals() -> None:
    """Make sure that pydantic-evals is there.

    Raises:
        SettingsError: it is not installed.
    """
    if not has_pydantic_evals():
        raise SettingsError("evals need pydantic-evals: pip install 'invoke-assistants[evals]'")
