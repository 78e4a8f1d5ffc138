"""What is known of an instance without asking it: by the store, and by the SHA-256 of what it was evaluated with."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Mapping
from pathlib import Path

from ..declare.digest import digest as digest_of
from ..declare.evals import Evals
from ..errors import SettingsError
from ..types import EvalResult, State
from .evaluation import Target
from .evaluator_source import evaluator_source
from .verdict import judge

__all__ = ["dataset_path", "evals_sha", "known_result", "known_results", "read_dataset"]

LARGEST = 64 * 1024 * 1024  # bytes of a dataset


def dataset_path(evals: Evals, root: Path | None) -> Path:
    """The file of a dataset, which is relative to the project's root."""
    return (root or Path.cwd()) / evals.dataset


def read_dataset(evals: Evals, root: Path | None) -> bytes:
    """The bytes of a dataset.

    Raises:
        SettingsError: there is no such file, it cannot be read, or it is too large.
    """
    path = dataset_path(evals, root)
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # reading it may never end
            raise SettingsError(f"the dataset {evals.dataset} cannot be read: it is no regular file")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError:
        hint = "make it; inv asst.eval --schema writes the schema that an editor completes it by"
        raise SettingsError(f"the dataset {evals.dataset} does not exist: {hint}") from None
    except OSError as error:
        raise SettingsError(f"the dataset {evals.dataset} cannot be read: {error.strerror}") from None
    except ValueError as error:  # a path with a null character
        raise SettingsError(f"the dataset {evals.dataset!r:.80} cannot be read: {error}") from None
    if len(content) > LARGEST:
        raise SettingsError(f"the dataset {evals.dataset} cannot be read: it has more than {LARGEST // 2**20} MiB")
    return content


def evals_sha(evals: Evals, root: Path | None, repeat: int | None = None) -> str:
    """``sha256:`` and the SHA-256 of what decides on a result: dataset, evaluators, ``repeat`` and ``rule``.

    Args:
        repeat: in the place of the declared one.

    Raises:
        SettingsError: the dataset cannot be read, or an evaluator has no source, or holds values that no source tells.
    """
    sources = {each.__name__: evaluator_source(each) for each in evals.evaluators}
    content = hashlib.sha256(read_dataset(evals, root)).hexdigest()
    return digest_of({"dataset": content, "evaluators": sources, "repeat": repeat or evals.repeat, "rule": evals.rule})


def known_result(target: Target, state: State, root: Path | None, repeat: int | None = None) -> EvalResult | None:
    """What the store knows of a digest at a location, judged by the declared minimum; None where it knows nothing.

    Nothing is asked, and pydantic-evals is not needed.

    Raises:
        SettingsError: the assistant declares no evals, or their files cannot be read.
    """
    if not state.evals.get(target.digest, {}).get(str(target.environment.location)):
        return None  # no file is read
    return known_results(target.evals, state, root, repeat).get((target.digest, str(target.environment.location)))


def known_results(
    evals: Evals, state: State, root: Path | None, repeat: int | None = None
) -> Mapping[tuple[str, str], EvalResult]:  # fmt: skip
    """What the store knows by these evals, by digest and location: its cases, judged by the declared rule and minimum.

    Raises:
        SettingsError: their files cannot be read.
    """
    sha = evals_sha(evals, root, repeat)
    return {
        (digest, location): judge(found[sha].cases, evals.rule, evals.minimum)
        for digest, places in state.evals.items()
        for location, found in places.items()
        if sha in found
    }
