"""How the commands in messages are spelled, so that the person who reads one can type it."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..types import Step

__all__ = ["spell_commands", "spell_steps", "use_module_commands"]

_MODULE = "python -m invoke_assistants "
_as_module = False  # whether this process was started as `python -m invoke_assistants`


def use_module_commands() -> None:
    """Note that this process is ``python -m invoke_assistants``, from where ``inv asst.X`` may not work."""
    global _as_module
    _as_module = True


def spell_commands(text: str) -> str:
    """A message of ours, in which ``inv asst.X`` is ``python -m invoke_assistants X`` where only that works."""
    if "inv " not in text or not _as_module or _inv_works(Path.cwd()):
        return text
    return re.sub(r"\binv (--help )?(?:asst\.(?=[a-z])|(?=--))", lambda found: f"{_MODULE}{found[1] or ''}", text)


def spell_steps(steps: Sequence[Step]) -> list[Step]:
    """The steps with the commands in their errors and notes spelled so."""
    from dataclasses import replace

    return [
        replace(step, error=step.error and spell_commands(step.error), note=step.note and spell_commands(step.note))
        if step.error or step.note
        else step
        for step in steps
    ]


@functools.cache
def _inv_works(folder: Path) -> bool:
    """Whether the ``tasks.py`` that Invoke finds from a folder has our collection."""
    from .scaffold_tasks_file import has_collection

    for each in (folder, *folder.parents):
        for path in (each / "tasks.py", each / "tasks" / "__init__.py"):
            if path.is_file():
                try:
                    return has_collection(path.read_bytes())
                except OSError:
                    return False
    return False
