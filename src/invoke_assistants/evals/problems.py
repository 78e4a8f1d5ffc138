"""What is wrong with an assistant's evals, found without asking it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..declare.declaration import Declaration
from ..errors import SettingsError
from .gate import read_files
from .installed import has_pydantic_evals

__all__ = ["find_evals_problem"]


def find_evals_problem(assistant: Declaration[Any], root: Path | None) -> str | None:
    """What is wrong with the dataset or an evaluator of an assistant; None where nothing is, or it declares no evals.

    Without pydantic-evals only the files are looked at: a machine that checks need not have it.
    """
    if assistant.evals is None:
        return None
    try:
        files = read_files(assistant.evals, root)
        if has_pydantic_evals():
            from .dataset import load_dataset

            load_dataset(assistant, assistant.evals, root, files.dataset)
    except SettingsError as error:
        return str(error)
    return None
