"""The task that turns an export of the old Assistants API into declarations."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit

from ..errors import AsstError, SettingsError, StoreError
from ..text import one_line
from ._task import JSON, task

if TYPE_CHECKING:
    from ..migrate.migration import Migration

__all__ = ["migrate", "read_export"]


@task(
    help={
        "file": "JSON: the body of GET /v1/assistants, an assistant object or a list of them, once or several times",
        "to": "write the source to this new file; without it, the source goes to stdout and the report to stderr",
        "json": JSON,
    }
)
def migrate(c: Context, file: str, to: str | None = None, json: bool = False) -> None:
    """Turn an export of OpenAI's old Assistants API into declarations.

    It reports what could not be carried over. It needs no settings, no key and
    no network, and creates nothing.

    Example: inv asst.migrate assistants.json --to app/migrated.py
    """
    from ..migrate.migration import Migration
    from .exit_codes import format_error, print_document

    made = Migration(None, (), ())
    try:
        made = _migrate_file(file, to)
        error, code = "; ".join(map(one_line, made.errors)) or None, AsstError.exit_code if made.errors else 0
    except (Exception, KeyboardInterrupt) as raised:
        error, code = format_error(raised)
    if json:
        print_document(_json_document(made, error))
    elif made.source is not None and to is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(made.source.encode())  # Python source is UTF-8, whatever the terminal's encoding is
        sys.stdout.flush()
    _print_report(made, to, json)
    if code:
        raise Exit(error, code)


def _migrate_file(file: str, to: str | None) -> Migration:
    from ..migrate.migration import migrate
    from ..store.atomic_write import write_atomic

    # An empty value must not mean stdout: a script's variable may be unset.
    if to is not None and (not to.strip() or Path(to).exists()):
        raise SettingsError(f"--to {to} exists already: name a new file" if to.strip() else "--to needs the name of a new file")
    made = migrate(read_export(Path(file)))
    if to is not None and made.source is not None:
        try:
            Path(to).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"--to {to}: its folder cannot be made: {error.strerror}") from None
        write_atomic(Path(to), made.source.encode())
    return made


def _print_report(made: Migration, to: str | None, json: bool) -> None:
    from ..migrate.report import format_report
    from .spelling import spell_commands

    stream = sys.stderr if json or to is None else sys.stdout
    for line in format_report(made.fields) if made.fields else ():
        print(line, file=stream)
    if to is not None and made.source is not None:
        print(f"written: {to}", file=stream)
        print("next: add its ASSISTANTS to those of your app (assistants in [tool.asst] says where), then", file=stream)
        print(f"    {spell_commands('inv asst.check')}", file=stream)


def _json_document(made: Migration, error: str | None) -> str:
    from json import dumps

    fields = [{"name": note.name, "field": note.field, "outcome": note.outcome, "note": note.note} for note in made.fields]
    out = {"command": "migrate", "ok": error is None, "error": error, "rows": [], "source": made.source, "fields": fields}
    return dumps(out, indent=2)


def read_export(path: Path) -> Any:
    """The JSON in a file; a list if several values follow each other in it.

    Raises:
        SettingsError: the file is missing, unreadable, or no JSON.
    """
    from ..migrate.export import EXPECTED
    from ..store.strict_json import load_json

    try:
        values = load_json(path, path.read_bytes(), several=True)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}; {EXPECTED}") from None
    except ValueError as error:  # a path with a null character
        raise SettingsError(f"{str(path)!r:.80} cannot be read: {error}") from None
    except StoreError as error:
        raise SettingsError(f"{error}; {EXPECTED}") from None
    return values[0] if len(values) == 1 else values
