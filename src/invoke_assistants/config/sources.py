"""The sources of settings, read once: environment variables, ``.env`` files, ``pyproject.toml``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SettingsError
from ..text import did_you_mean

__all__ = ["OPENAI_VARIABLES", "OUR_VARIABLES", "PREFIXES", "VARIABLES", "Sources", "Variables"]

_KEYS = frozenset({"assistants", "store", "platform", "environments", "environment", "project", "concurrency", "timeout"})
_NUMERIC_KEYS = frozenset({"concurrency", "timeout"})
OUR_VARIABLES = frozenset(
    [
        "ASST_ASSISTANTS", "ASST_STORE", "ASST_PLATFORM", "ASST_ENV", "APP_ENV", "ASST_PROJECT", "ASST_CONCURRENCY",
        "ASST_TIMEOUT", "ASST_STORE_CACHE", "ASST_LOCAL_MODEL", "ASST_LOCAL_MODEL_NAME", "ASST_LOG",
    ]
)  # fmt: skip
OPENAI_VARIABLES = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_PROJECT_ID", "OPENAI_ORG_ID")
PREFIXES = ("ASST_", "OPENAI_")
VARIABLES = (*sorted(OUR_VARIABLES), "OPENAI_BASE_URL")  # all that settings other than credentials depend on


class Variables(Mapping[str, str]):
    """Variables by name, with a ``repr`` that shows none: keys are among them."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return "Variables(***)"


@dataclass(frozen=True, repr=False)
class Sources:
    """The sources of settings, read once; only names that we know are taken from the files.

    Attributes:
        in_files: each name in a ``.env`` file that begins as ours do, known or not, and that file's name.
    """

    environ: Variables
    files: tuple[Variables, ...]
    table: Mapping[str, Any]
    pyproject: Mapping[str, Any]
    in_files: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, root: Path | None, environ: Variables, *, dotenv: bool = True) -> Sources:
        """Read the files of the project at ``root``, if there is one.

        Args:
            dotenv: whether the ``.env`` files are among them.

        Raises:
            SettingsError: a file cannot be read, or ``[tool.asst]`` has an unknown key.
        """
        if root is None:
            return cls(environ, (), {}, {})
        pyproject = _read_toml(root / "pyproject.toml")
        tool = pyproject.setdefault("tool", {})
        table = tool.get("asst", {}) if isinstance(tool, dict) else None
        if not isinstance(table, dict):
            raise SettingsError("[tool] and [tool.asst] in pyproject.toml must be tables")
        for key in table:
            if key not in _KEYS:
                hint = did_you_mean(key, _KEYS) or f"; known: {', '.join(sorted(_KEYS))}"
                raise SettingsError(f"unknown key {key!r:.80} in [tool.asst] of pyproject.toml{hint}")
        read = {name: _read_dotenv(root / name) for name in ((".env.local", ".env") if dotenv else ())}
        files = tuple(Variables({each: value for each, value in file.items() if _is_known(each)}) for file in read.values())
        in_files = tuple((each, name) for name, file in read.items() for each in file if each.startswith(PREFIXES))
        return cls(environ, files, table, pyproject, in_files)

    def get_verbatim(self, variable: str) -> str | None:
        """A variable from the first source that sets it, exactly as it is set there, blank or not."""
        for source in (self.environ, *self.files):
            if variable in source:
                return source[variable]
        return None

    def get(self, variable: str) -> str | None:
        """A variable from the first source that gives it a value that is not blank, stripped."""
        for source in (self.environ, *self.files):
            if value := source.get(variable, "").strip():
                if "\0" in value:
                    raise SettingsError(f"{variable} holds a NUL character")
                return value
        return None

    def source_of(self, key: str, variable: str, table: str = "[tool.asst]") -> str:
        """Name the source of a setting for a message: its variable, or else its key in a table."""
        return variable if self.get(variable) is not None else f"{key} in {table} of pyproject.toml"

    def get_setting(self, key: str, variable: str, default: str) -> str:
        """A setting that is one string, from the first source that has it."""
        value = self.get(variable)
        if value is None:
            value = self.table.get(key, default)
            kinds = str | int | float if key in _NUMERIC_KEYS else str
            if isinstance(value, bool) or not isinstance(value, kinds):
                raise SettingsError(f"{self.source_of(key, variable)} must be a string")
        return str(value)


def _read_toml(path: Path) -> dict[str, Any]:
    import tomllib

    if path.exists() and not path.is_file():
        raise SettingsError(f"{path} is not a regular file")
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise SettingsError(f"{path} is not valid TOML: {reason}") from None


def _read_dotenv(path: Path) -> Variables:
    if not path.is_file():
        return Variables({})
    from dotenv import dotenv_values

    try:
        line = _unparsable_line(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8: save it as UTF-8 text") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    if line:
        raise SettingsError(f"{path}, line {line}: cannot be read (is a quote not closed?)")
    values = dotenv_values(path, interpolate=False, encoding="utf-8-sig")
    return Variables({name: value for name, value in values.items() if value is not None})


def _unparsable_line(text: str) -> int | None:
    """The first line that python-dotenv cannot parse: it would only log it, and an unclosed quote hides the lines below."""
    from io import StringIO

    from dotenv.parser import parse_stream

    return next((binding.original.line for binding in parse_stream(StringIO(text)) if binding.error), None)


def _is_known(name: str) -> bool:
    return name in OUR_VARIABLES or any(name == variable or name.startswith(f"{variable}_") for variable in OPENAI_VARIABLES)
