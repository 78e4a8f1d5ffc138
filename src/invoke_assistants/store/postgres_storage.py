"""The store in PostgreSQL: one row for each project with the document and its version, and a table of earlier documents."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, LiteralString
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from ..errors import SettingsError, StoreError
from .deadline import CONNECT, Deadline
from .storage import KEPT_REVISIONS, Conflict, Revision, Storage, Stored, Unreachable
from .url import StoreURL

__all__ = ["PostgresStorage"]

TABLE = "asst_store"
NAME = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]{0,62}\.)?[A-Za-z_][A-Za-z0-9_]{0,54}")  # of 63 bytes, 8 are for _history
REFUSED = re.compile(r"FATAL:.*(authentication|does not exist|pg_hba|not permitted)|invalid \w+ value")  # it has no code
Connection = psycopg.Connection[tuple[Any, ...]]

# One statement each, so that a connection that breaks leaves all of it or nothing.
READ = "SELECT document, version FROM {table} WHERE project = %(project)s"
READ_ONLY_ROW = "SELECT document, version, project FROM {table} ORDER BY project LIMIT 2"
INSERT = (
    "INSERT INTO {table} (project, document, version) VALUES (%(project)s, %(document)s, 1) ON CONFLICT DO NOTHING"
    " RETURNING version"
)
UPDATE = """
WITH changed AS (
    UPDATE {table} SET document = %(document)s, version = version + 1
    WHERE project = %(project)s AND version = %(version)s RETURNING version
), kept AS (
    INSERT INTO {history} (project, version, document, replaced_at)
    SELECT earlier.project, earlier.version, earlier.document, now() FROM {table} AS earlier, changed
    WHERE %(keep)s AND earlier.project = %(project)s
), trimmed AS (
    DELETE FROM {history} USING changed
    WHERE %(keep)s AND project = %(project)s AND {history}.version IN (
        SELECT version FROM {history} WHERE project = %(project)s ORDER BY version DESC OFFSET %(kept)s - 1)
)
SELECT version FROM changed
"""  # every part sees the rows as they were before the statement: so does the one that keeps the earlier document
REVISIONS = (
    "SELECT version, to_char(replaced_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"+00:00\"'), document"
    " FROM {history} WHERE project = %(project)s ORDER BY version DESC"
)
REVISION = "SELECT document FROM {history} WHERE project = %(project)s AND version = %(version)s"
TABLES = "SELECT to_regclass(%(table)s) IS NOT NULL AND to_regclass(%(history)s) IS NOT NULL"
LOCK = "SELECT pg_advisory_xact_lock(hashtext('invoke-assistants'))"
CREATE_TABLE = "CREATE TABLE IF NOT EXISTS {table} (project text PRIMARY KEY, document text NOT NULL, version bigint NOT NULL)"
CREATE_HISTORY = (
    "CREATE TABLE IF NOT EXISTS {history} (project text NOT NULL, version bigint NOT NULL, document text NOT NULL,"
    " replaced_at timestamptz NOT NULL, PRIMARY KEY (project, version))"
)


class PostgresStorage(Storage):
    """A row of a PostgreSQL table.

    Args:
        url: the server, as libpq takes it, and perhaps the table.
        project: whose row; None reads the only row of the table.

    Raises:
        SettingsError: the table's name is not an identifier, or the URL has an option that libpq does not know.
    """

    kind = "postgresql"

    def __init__(self, url: StoreURL, project: str | None) -> None:
        table = url.option or TABLE
        if not NAME.fullmatch(table):
            raise SettingsError(f"{url}: asst_table must be TABLE or SCHEMA.TABLE, of letters, digits and '_' (TABLE at most 55)")
        for name in url.driver_options:
            if not _is_known(name):
                raise url.unknown_option(name, [each.keyword.decode() for each in Conninfo.get_defaults()])
        self._url = url
        self._project = project
        self.address = url.masked
        self.label = url.masked if url.option else f"{url.masked} (table {table})"
        self._names = {"table": sql.Identifier(*table.split(".")), "history": sql.Identifier(*f"{table}_history".split("."))}
        self._connection: Deadline[Connection] = Deadline(
            self.label, self._connect, lambda connection: connection.close(), url.named_by
        )

    def load(self) -> Stored:
        """See ``Storage``."""
        rows = self._run(READ if self._project is not None else READ_ONLY_ROW, absent=[])
        if len(rows) > 1:
            raise SettingsError(f"{self.label} holds the stores of several projects: set ASST_PROJECT to the one to use")
        if not rows:
            return Stored(None, None)
        document, version, *project = rows[0]
        self._project = project[0] if project else self._project
        return Stored(document.encode(), str(version))

    def compare_and_set(self, content: bytes, version: str | None, *, keep: bool) -> str:
        """See ``Storage``. The tables are made by the first write."""
        if version is None:
            self._make_tables()
        document = content.decode()
        number = None if version is None else int(version)
        rows = self._run(INSERT if version is None else UPDATE, document=document, version=number, keep=keep, kept=KEPT_REVISIONS)
        if not rows:
            raise Conflict
        return str(rows[0][0])

    def revisions(self) -> Sequence[Revision]:
        """See ``Storage``."""
        return [Revision(version, at, document.encode()) for version, at, document in self._run(REVISIONS, absent=[])]

    def load_revision(self, number: int) -> bytes | None:
        """See ``Storage``."""
        rows = self._run(REVISION, absent=[], version=number)
        return rows[0][0].encode() if rows else None

    def close(self) -> None:
        """See ``Storage``."""
        self._connection.close()

    def _connect(self) -> Connection:
        # A pooler may give each statement another session, so nothing is prepared in one.
        options: dict[str, Any] = {"connect_timeout": int(CONNECT), "application_name": "invoke-assistants"}
        given = conninfo_to_dict(self._url.raw)
        options = {key: value for key, value in options.items() if key not in given}
        return psycopg.connect(self._url.raw, autocommit=True, prepare_threshold=None, **options)

    def _run(self, statement: LiteralString, absent: list[tuple[Any, ...]] | None = None, **values: Any) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows; ``absent`` where the table is not there."""

        def run(connection: Connection) -> list[tuple[Any, ...]]:
            try:
                cursor = connection.execute(sql.SQL(statement).format(**self._names), {"project": self._project, **values})
            except psycopg.errors.UndefinedTable:
                if absent is None:
                    raise
                return absent
            return cursor.fetchall()

        return self._call(run)

    def _make_tables(self) -> None:
        def make(connection: Connection) -> list[tuple[Any, ...]]:
            names = {name: identifier.as_string(connection) for name, identifier in self._names.items()}
            if connection.execute(TABLES, names).fetchone() == (True,):
                return []
            with connection.transaction():
                connection.execute(LOCK)
                for statement in (CREATE_TABLE, CREATE_HISTORY):
                    connection.execute(sql.SQL(statement).format(**self._names))
            return []

        self._call(make)

    def _call(self, work: Any) -> list[tuple[Any, ...]]:
        try:
            rows: list[tuple[Any, ...]] = self._connection.call(work)
        except psycopg.errors.InsufficientPrivilege as error:
            raise self._failed(StoreError, f"refused: {error}") from None
        except psycopg.OperationalError as error:
            known = error.sqlstate is not None and not error.sqlstate.startswith(("08", "53", "55", "57", "40"))
            refused = error.sqlstate is None and REFUSED.search(str(error))
            raise self._failed(StoreError if known or refused else Unreachable, str(error)) from None
        except (psycopg.errors.ReadOnlySqlTransaction, psycopg.InterfaceError) as error:
            raise self._failed(Unreachable, str(error)) from None
        except (psycopg.Error, ValueError, TypeError, UnicodeError, OSError) as error:
            raise self._failed(StoreError, str(error)) from None
        return rows

    def _failed(self, kind: type[StoreError], why: str) -> StoreError:
        return kind(f"{self.label}: {self._url.mask(why.strip())}{self._url.named_by}")


def _is_known(name: str) -> bool:
    """Whether libpq takes an option in a URL: it knows one that it does not list, ``ssl=true``."""
    try:
        conninfo_to_dict(f"postgresql:///?{quote(name, safe='')}=true")
    except psycopg.ProgrammingError:
        return False
    return True
