"""What is known of an instance without asking it: by the store, and by the SHA-256 of what it was evaluated with."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..declare.digest import digest as digest_of
from ..declare.evals import Evals, changed_evaluator
from ..errors import SettingsError
from ..types import EvalResult, State
from .evaluation import Target
from .evaluator_source import evaluator_source
from .verdict import judge

__all__ = ["EvalFiles", "dataset_path", "known_result", "known_results", "read_dataset", "read_files"]

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


@dataclass(frozen=True)
class EvalFiles:
    """What decides on a result, read once.

    Args:
        dataset: the bytes of the dataset.
        sha: ``sha256:`` and the SHA-256 of dataset, evaluators, ``repeat`` and ``rule``.
    """

    dataset: bytes
    sha: str


def read_files(evals: Evals, root: Path | None, repeat: int | None = None) -> EvalFiles:
    """Read what decides on a result; the source is that of the evaluators which are loaded and will judge.

    Args:
        repeat: in the place of the declared one.

    Raises:
        SettingsError: the dataset cannot be read, or an evaluator has no source, holds values that no source tells, or was
            changed since it was imported.
    """
    _refuse_changed(evals)
    sources = {each.__name__: evaluator_source(each) for each in evals.evaluators}
    _refuse_changed(evals)  # else what was just read may be of the next version
    content = read_dataset(evals, root)
    dataset = hashlib.sha256(content).hexdigest()
    sha = digest_of({"dataset": dataset, "evaluators": sources, "repeat": repeat or evals.repeat, "rule": evals.rule})
    return EvalFiles(content, sha)


def _refuse_changed(evals: Evals) -> None:
    if name := changed_evaluator(evals):
        raise SettingsError(f"the file of the evaluator {name} was changed since it was imported: run it again, in a new process")


def known_result(target: Target, state: State, files: EvalFiles) -> EvalResult | None:
    """What the store knows of a digest at a location, judged by the declared minimum; None where it knows nothing.

    Nothing is asked, and pydantic-evals is not needed.

    Raises:
        SettingsError: the assistant declares no evals.
    """
    return known_results(target.evals, state, files).get((target.digest, str(target.environment.location)))


def known_results(evals: Evals, state: State, files: EvalFiles) -> Mapping[tuple[str, str], EvalResult]:
    """What the store knows by these evals, by digest and location: its cases, judged by the declared rule and minimum."""
    sha = files.sha
    return {
        (digest, location): judge(found[sha].cases, evals.rule, evals.minimum)
        for digest, places in state.evals.items()
        for location, found in places.items()
        if sha in found and found[sha].cases  # a result without cases, which somebody wrote, tells nothing
    }
