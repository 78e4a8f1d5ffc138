"""Asking an instance the cases of its dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..ask.ask import aask, holds_another_schema
from ..ask.process_cache import ProcessCache, process_cache
from ..ask.question import Question
from ..ask.reply import Reply
from ..errors import AnswerInvalid, AsstError
from ..types import EvalCase, EvalLabel, EvalResult, label_case
from .evaluation import Evaluation, Target
from .gate import EvalFiles, read_files
from .installed import require_pydantic_evals
from .shown import show_answer
from .verdict import judge

if TYPE_CHECKING:
    from .dataset import AnyDataset, Outcome

__all__ = ["EvalRun", "Progress"]


class Progress(Protocol):
    """Who is told how an evaluation goes on."""

    def start(self, label: str, total: int) -> None:
        """Begin with so many runs."""
        ...

    def advance(self) -> None:
        """Count one run as done."""
        ...


class EvalRun:
    """An evaluation of one instance while it goes on. ``evaluation`` says at any time what is known.

    Args:
        root: the project's folder.
        concurrency: how many cases are asked at once.
        repeat: how often each case is asked, in the place of the declared number.
        kept: what is known; of it, only cases that ended in an error are asked. None asks all; a pass asks nothing.
        files: dataset and SHA, where they are read already.

    Raises:
        SettingsError: the assistant declares no evals, the dataset or an evaluator is wrong, or pydantic-evals is missing.
    """

    def __init__(
        self, target: Target, root: Path | None, *, concurrency: int, repeat: int | None = None, kept: EvalResult | None = None,
        files: EvalFiles | None = None,
    ) -> None:  # fmt: skip
        self.target = target
        self._root = root
        self._concurrency = concurrency
        self._repeat = repeat or target.evals.repeat
        files = files or read_files(target.evals, root, self._repeat)
        self._sha = files.sha
        self._kept: dict[str, EvalCase] = {}
        self._names: list[str] = []
        if kept:
            self.keep(kept)
        self._ended: dict[str, list[tuple[EvalLabel, tuple[str, ...]]]] = {}
        self._dataset: AnyDataset | None = None
        if not kept or len(self._kept) < len(self._names):
            require_pydantic_evals()
            from .dataset import load_dataset

            self._dataset = load_dataset(target.assistant, target.evals, root, files.dataset)
            self._names = [str(case.name) for case in self._dataset.cases]

    @property
    def known_as(self) -> tuple[str, str, str]:
        """What the result is kept under: digest, location, SHA."""
        return self.target.digest, str(self.target.environment.location), self._sha

    def keep(self, known: EvalResult) -> None:
        """Take what is known by now, and ask no more of it than the cases that ended in an error."""
        self._kept = {case.name: case for case in known.cases if case.label != "error"}
        self._names = [case.name for case in known.cases]

    async def ask(self, progress: Progress) -> Evaluation:
        """Ask what is not known, on the running event loop.

        Raises:
            AsstError: the instance cannot be asked, or the store names another one by now.
        """
        cases = [case for case in self._dataset.cases if case.name not in self._kept] if self._dataset else []
        if self._dataset is None or not cases:
            return self.evaluation()
        from .dataset import ask_cases

        process = process_cache().renewed()  # which reads the store afresh
        self._progress = progress
        try:
            await self._check_instance(process)
            progress.start(f"evaluating {self.target.title}", len(cases) * self._repeat)
            dataset = self._dataset.model_copy(update={"cases": cases})
            await ask_cases(
                dataset, self._question(process), self._show, self._take, repeat=self._repeat, concurrency=self._concurrency
            )  # fmt: skip
        finally:
            await process.aclose()
        try:
            await self._check_instance(process_cache().renewed())
        except AsstError:
            self._ended.clear()  # nobody knows which payload answered
            raise
        return self.evaluation()

    def evaluation(self) -> Evaluation:
        """What is known by now. A case whose runs have not all ended counts as an error, so that ``kept`` asks it again."""
        cases = [self._kept.get(name) or label_case(name, self._labels(name)) for name in self._names]
        result = judge(cases, self.target.evals.rule, self.target.evals.minimum)
        asked = sum(map(len, self._ended.values()))
        return Evaluation(self.target, self._sha, result, asked, self._reasons())

    @property
    def has_asked(self) -> bool:
        """Whether a run of a case has ended."""
        return bool(self._ended)

    def _labels(self, name: str) -> list[EvalLabel]:
        ended: list[EvalLabel] = [label for label, _ in self._ended.get(name, ())]
        return ended if len(ended) == self._repeat else []

    def _reasons(self) -> Mapping[str, tuple[str, ...]]:
        reasons: dict[str, tuple[str, ...]] = {}
        for name, ended in self._ended.items():
            lines = [
                f"run {number}: {line}" if self._repeat > 1 else line
                for number, (_, found) in enumerate(ended, 1)
                for line in found
            ]
            if lines:
                reasons[name] = tuple(lines)
        return reasons

    def _show(self, output: Any) -> str:
        return show_answer(self.target.assistant.output, output)

    def _take(self, name: str, outcome: Outcome) -> None:
        """Note how a run of a case ended."""
        label, reasons, answer = outcome
        if label != "pass" and answer:
            reasons = (*reasons, f"it answered: {answer}")
        self._ended.setdefault(name, []).append((label, reasons))
        self._progress.advance()

    def _question(self, process: ProcessCache) -> Any:
        async def ask(prompt: str) -> Any:
            question = Question(self.target.assistant, prompt, environment=self.target.environment.name, root=self._root)
            try:
                async for piece in aask(question, process):
                    if isinstance(piece, Reply):
                        return piece.output
            except AnswerInvalid as error:
                instance = await process.ainstance(question.assistant, question.environment, self._root)
                if holds_another_schema(question.assistant, instance):  # then it could not have answered better
                    told = str(error).removesuffix("; .answer holds it as it came")
                    raise AsstError(f"{told}: it answers by another schema than the declared one") from None
                raise
            raise AssertionError("unreachable")

        return ask

    async def _check_instance(self, process: ProcessCache) -> None:
        """Make sure that the questions reach what is to be evaluated."""
        instance = await process.ainstance(self.target.assistant, self.target.environment.name, self._root)
        instance.environment.credentials()  # a missing key is said once, not for each case
        if instance.record.digest != self.target.digest:
            raise AsstError(f"{self.target.title}: another payload was recorded meanwhile: run the same command again")
