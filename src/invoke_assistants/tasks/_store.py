"""``inv asst.store``: the store as a whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from invoke.context import Context

from ..errors import SettingsError
from ..text import count
from ._task import JSON, find_root, task

if TYPE_CHECKING:
    from ..commands import StoreReport

__all__ = ["store"]


@task(
    help={
        "copy-to": "copy the store to this URL or path, read it back and compare; the store in use stays as it is",
        "history": "list the earlier revisions of a shared store, 20 at most",
        "restore": "put this earlier revision back, as a new one",
        "unlock": "release the lock with this id; safe once the process that holds it has ended",
        "recover": "bring in .asst/unsaved-….json, which a run left that could not write to the store",
        "json": JSON,
        "yes": "overwrite an older copy, even if it records instances that the store does not",
    }
)
def store(
    c: Context,
    copy_to: str | None = None,
    history: bool = False,
    restore: str | None = None,
    unlock: str | None = None,
    recover: str | None = None,
    json: bool = False,
    yes: bool = False,
) -> StoreReport:
    """Show where the store is and who holds it; copy, restore, unlock, recover.

    One flag at a time. The store may be a file, or at redis://, postgresql://
    or s3://.

    Example: inv asst.store --copy-to redis://localhost/0
    """
    from .. import commands
    from .command_output import CommandOutput

    with CommandOutput("store", json) as output:
        output.more = {"store": None}
        for flag, value in (("copy-to", copy_to), ("restore", restore), ("unlock", unlock), ("recover", recover)):
            if value is not None and not value.strip():
                raise SettingsError(f"--{flag} is empty: give it a value")
        if restore is not None and not re.fullmatch("[0-9]{1,18}", restore):
            raise SettingsError(f"--restore {restore[:40]!r}: a revision is a number; inv asst.store --history lists them")
        report = commands.store(
            find_root(c),
            copy_to=copy_to,
            history=history,
            restore=int(restore) if restore is not None else None,
            unlock=unlock,
            recover=recover,
            yes=yes,
            reporter=output.terminal,
        )
        output.more = {"store": report.info.to_json()}
        if report.revisions is not None:
            output.more["history"] = [
                {"revision": each.number, "replaced_at": each.replaced_at, "size": each.size} for each in report.revisions
            ]
        output.steps, output.lines = list(report.steps), list(_lines(report))
    return report


def _lines(report: StoreReport) -> Iterator[str]:
    """What the command says to people."""
    from ..store.entries import entries
    from ..store.strict_json import load_json

    info = report.info
    if report.revisions is not None:
        yield f"{info.label}: revision {info.revision} is the one in use, {_holds(info.records, info.pending)}"
        for each in report.revisions:
            tables = load_json(info.label, each.content)
            holds = _holds(len(entries(tables, "assistants")), len(entries(tables, "pending")))
            yield f"{each.number:>6}  until {each.replaced_at}  {_size(each.size):>9}  {holds}"
        yield "inv asst.store --restore REVISION puts one back" if report.revisions else "no earlier revision is kept"
        return
    for step in report.steps:
        yield f"{step.name}  {step.environment}  {step.id or step.note}"
    if report.done:
        yield from report.done
        return
    yield f"store     {info.label}"
    yield f"kind      {info.kind}"
    if info.size is None:
        yield "nothing is recorded yet: inv asst.create"
        return
    yield f"holds     {_holds(info.records, info.pending)}; format {info.format}, {_size(info.size)}"
    yield f"revision  {info.revision if info.revision is not None else 'git keeps them'}"
    yield f"lineage   {info.lineage or 'none yet: it comes with the next write'}"
    yield f"lock      {info.holder or 'nobody holds it'}"


def _holds(records: int, pending: int) -> str:
    return count(records, "instance") + (f", {count(pending, 'operation')} open" if pending else "")


def _size(many: int) -> str:
    return f"{many:,} B" if many < 10_000 else f"{many / 1000:,.0f} kB"
