"""The task that turns an export of the old Assistants API into declarations."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.context import Context
from invoke.exceptions import Exit

from ..ending import told
from ..errors import AsstError, SettingsError
from ..text import one_line
from ._task import JSON, task

if TYPE_CHECKING:
    from ..migrate import Migration

__all__ = ["migrate"]


@task(
    help={
        "file": "JSON: the body of GET /v1/assistants, one assistant object, or a list of them, once or several times",
        "to": "write the source into this new file and the report to stdout; without it, the source goes to stdout",
        "json": JSON,
    }
)
def migrate(c: Context, file: str, to: str | None = None, json: bool = False) -> None:
    """Turn an export of OpenAI's old Assistants API into declarations, and tell what has no successor.

    It needs no settings, no key and no network, and creates nothing.
    """
    from ..migrate import Migration

    made = Migration(None, (), ())
    try:
        made = _made(file, to)
        error, code = "; ".join(map(one_line, made.errors)) or None, AsstError.exit_code if made.errors else 0
    except (Exception, KeyboardInterrupt) as raised:
        error, code = told(raised)
    if json:
        print(_document(made, error), flush=True)
    elif made.source is not None and to is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(made.source.encode())  # source is UTF-8, whatever the terminal's encoding
        sys.stdout.flush()
    _tell(made, to, json)
    if code:
        raise Exit(error, code)


def _made(file: str, to: str | None) -> Migration:
    from ..files import write_atomic
    from ..migrate import migrate, read

    # Not even an empty value may mean stdout, or a script's unset variable would.
    if to is not None and (not to.strip() or Path(to).exists()):
        raise SettingsError(f"--to {to} exists already: name a new file" if to.strip() else "--to needs the name of a new file")
    made = migrate(read(Path(file)))
    if to is not None and made.source is not None:
        try:
            Path(to).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"--to {to}: its folder cannot be made: {error.strerror}") from None
        write_atomic(Path(to), made.source.encode())
    return made


def _tell(made: Migration, to: str | None, json: bool) -> None:
    from ..migrate import report

    stream = sys.stderr if json or to is None else sys.stdout
    for line in report(made.fields) if made.fields else ():
        print(line, file=stream)
    if to is not None and made.source is not None:
        print(f"written: {to}; next: inv asst.check", file=stream)


def _document(made: Migration, error: str | None) -> str:
    fields = [{"name": note.name, "field": note.field, "outcome": note.outcome, "note": note.note} for note in made.fields]
    out = {"command": "migrate", "ok": error is None, "error": error, "rows": [], "source": made.source, "fields": fields}
    return json_module.dumps(out, indent=2)
