"""Settings: where each comes from, in which order, and the credentials that never leave this process.

First hit wins: environment variables, ``.env.local``, ``.env``, ``[tool.asst]`` in ``pyproject.toml``, the default.
Everything here is a function of a root folder and a mapping of environment variables.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..declare.declaration import SLUG_RULE
from ..errors import SettingsError
from ..text import did_you_mean
from ..types import LOCAL, PINNED, SLUG, LocalModel, Location
from .base_url import parse_origin
from .credentials import Credentials, Secret
from .sources import Sources, Variables

__all__ = ["PLATFORMS", "Environment", "Settings", "find_root"]

PLATFORMS = ("agents", "responses", "local")
DEFAULT_URL = "https://api.openai.com/v1"
LOCAL_URL = "http://local/v1"
SHUT_DOWN = (
    "platform 'assistants': OpenAI shut the Assistants API down on 2026-08-26; set platform (or ASST_PLATFORM) to"
    f" {' or '.join(map(repr, PLATFORMS))}, and turn an export of your assistants into declarations with: inv asst.migrate FILE"
)

LONGEST = 86400  # seconds that a turn at run time can be given

_TABLE = frozenset({"platform", "base_url", "openai_project", "openai_organization"})


@dataclass(frozen=True)
class Environment:
    """One environment: where its instances live; ``position`` is its place in the promotion order."""

    name: str
    position: int
    location: Location
    base_url: str
    sources: Sources = field(repr=False)  # holds the environment, keys and all
    table: Mapping[str, str]

    def variable(self, name: str) -> str:
        """The variable that sets ``name`` for this environment alone: ``OPENAI_API_KEY_PRODUCTION``."""
        return f"{name}_{re.sub('[^A-Z0-9]', '_', self.name.upper())}"

    def key_variable(self) -> str:
        """The name of the variable that the key comes from, or should."""
        specific = self.variable("OPENAI_API_KEY")
        return specific if self.sources.get_verbatim(specific) is not None else "OPENAI_API_KEY"

    @property
    def managed_with_key(self) -> bool:
        """Whether creating, updating and looking need a key: those on ``agents`` do, a release is pinned in the store."""
        return self.location.platform == "agents"

    def credentials(self) -> Credentials:
        """The key and the rest, checked; ``local`` reads none.

        Raises:
            SettingsError: the key is missing, blank or no possible header value; its variable is named, never itself.
        """
        if self.location.platform == "local":
            return Credentials(self.base_url, Secret("no-key-needed"), "", "")  # the SDK wants one
        variable = self.key_variable()
        # No local here is a plain string that holds a key: tracebacks with locals end up in logs.
        if self.sources.get_verbatim(variable) is None:
            raise SettingsError(
                f"no key for {self.name}: set OPENAI_API_KEY (or {self.variable('OPENAI_API_KEY')}) in the environment or"
                " in .env.local; ASST_PLATFORM=local needs none"
            )
        key = Secret(self.sources.get_verbatim(variable) or "")
        if not key.reveal().strip():
            raise SettingsError(f"the key for {self.name} is blank: {variable} is set to nothing")
        if not all("!" <= character <= "~" for character in key.reveal()):
            raise SettingsError(
                f"the key for {self.name} cannot be sent: {variable} holds a space, a line break or another character that"
                " no key has"
            )
        if _sets_authorization(self.sources.environ.get("OPENAI_CUSTOM_HEADERS", "")):
            raise SettingsError(
                f"OPENAI_CUSTOM_HEADERS carries an Authorization line, which would be sent instead of {variable}: unset it"
            )
        project = self._openai("OPENAI_PROJECT_ID", "openai_project")
        return Credentials(self.base_url, key, project, self._openai("OPENAI_ORG_ID", "openai_organization"))

    def _openai(self, variable: str, key: str) -> str | None:
        return self.sources.get(self.variable(variable)) or self.sources.get(variable) or self.table.get(key)


@dataclass(frozen=True)
class Settings:
    """Every setting of a project, resolved. ``root`` is None where an absolute store needs none."""

    root: Path | None
    assistants: str
    store: Path
    environments: tuple[Environment, ...]
    project: str
    concurrency: int
    timeout: float
    current: str

    @classmethod
    def load(cls, root: Path | None, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings of the project at ``root``.

        Raises:
            SettingsError: a file cannot be read, or a value is not of its kind; the source is named.
        """
        environ = Variables(os.environ if environ is None else environ)
        sources = Sources.read(root, environ)
        environments = _environments(sources)
        store = sources.get_setting("store", "ASST_STORE", "assistants_store.json")
        if not store.strip():
            raise SettingsError("store in [tool.asst] of pyproject.toml is empty: name a file")
        if "://" in store:
            raise SettingsError(f"store {store!r:.80} is not a file; this version keeps the store in a JSON file")
        concurrency = sources.get_setting("concurrency", "ASST_CONCURRENCY", "16")
        if not concurrency.isascii() or not concurrency.isdigit() or not 1 <= int(concurrency) <= 1000:
            raise SettingsError(f"concurrency (ASST_CONCURRENCY) must be a number from 1 to 1000, not {concurrency!r:.80}")
        current = sources.get_setting("environment", "ASST_ENV", "") or sources.get("APP_ENV") or environments[0].name
        path = Path(store)
        return cls(
            root, sources.get_setting("assistants", "ASST_ASSISTANTS", "app.assistants:ASSISTANTS"),
            root / path if root else path, environments, _project(sources), int(concurrency), _timeout(sources), current,
        )  # fmt: skip

    @property
    def local_file(self) -> Path:
        """Where the embedded platform keeps its objects."""
        return (self.root or self.store.parent) / ".asst" / "local.json"

    @property
    def local_model(self) -> LocalModel | None:
        """What answers in sessions of the embedded platform; None where samples do.

        Raises:
            SettingsError: it is the URL of a server that must not be used.
        """
        sources = self.environments[0].sources
        named, name = sources.get("ASST_LOCAL_MODEL"), sources.get("ASST_LOCAL_MODEL_NAME")
        if named is None:
            return None
        if "://" in named:
            if "@" in named.split("/")[2]:
                raise SettingsError("ASST_LOCAL_MODEL holds a user or password: take them out, a local model is sent none")
            parse_origin(named, "ASST_LOCAL_MODEL")
            return LocalModel(named, name)
        return LocalModel(str((self.root or Path.cwd()) / Path(named).expanduser()), name)

    def environment(self, name: str | None = None, named_by: str | None = None) -> Environment:
        """The environment of that name, by default the one whose instance the app uses.

        Args:
            named_by: the setting that the name comes from, for the message.

        Raises:
            SettingsError: there is none; the known ones are listed, and the nearest is suggested.
        """
        if name is None:
            sources = self.environments[0].sources
            own = sources.get_setting("environment", "ASST_ENV", "")
            name, named_by = self.current, sources.source_of("environment", "ASST_ENV") if own else "APP_ENV"
        for environment in self.environments:
            if environment.name == name:
                return environment
        known = [environment.name for environment in self.environments]
        source = f" ({named_by} names it)" if named_by else ""
        raise SettingsError(f"no environment {name!r:.80}; known: {', '.join(known)}{did_you_mean(name, known)}{source}")

    def environment_for(self, name: str, location: Location) -> Environment | None:
        """The environment whose credentials reach what is recorded for environment ``name`` at a place, if any does.

        That is ``name`` itself where it resolves to the place, else the first one that does. What needs no credentials
        (``local``, ``responses``) is always reached; no URL is ever made from a record.
        """
        at_place = [each for each in self.environments if each.location == location]
        for each in at_place:
            if each.name == name:
                return each
        if at_place:
            return at_place[0]
        if location in (LOCAL, PINNED):
            return replace(self.environments[0], location=location, base_url=LOCAL_URL)
        return None


def find_root(start: Path, needed: bool = True) -> Path | None:
    """The folder of the nearest ``pyproject.toml`` at or above ``start``.

    Raises:
        SettingsError: there is none, and one is needed.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / "pyproject.toml").is_file():
            return folder
    if needed:
        raise SettingsError(f"no pyproject.toml in {start} or above it: run this in your project")
    return None


def _timeout(sources: Sources) -> float:
    """Seconds that a turn may take at run time."""
    timeout = sources.get_setting("timeout", "ASST_TIMEOUT", "600")
    if not re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,6})?", timeout) or not 0 < float(timeout) <= LONGEST:
        raise SettingsError(
            f"timeout (ASST_TIMEOUT) must be a number of seconds, above 0 and up to {LONGEST}, not {timeout!r:.80}"
        )
    return float(timeout)


def _sets_authorization(headers: str) -> bool:
    return any(line.partition(":")[0].strip().lower() == "authorization" for line in headers.split("\n"))


def _project(sources: Sources) -> str:
    tables = (sources.pyproject.get("project", {}), sources.pyproject.get("tool", {}).get("poetry", {}))
    named = [table["name"] for table in tables if isinstance(table, dict) and isinstance(table.get("name"), str)]
    project = sources.get_setting("project", "ASST_PROJECT", named[0] if named else "")
    if not project:
        raise SettingsError("the project has no name: set [project].name or [tool.asst].project in pyproject.toml")
    if len(project) > 512 or not project.isprintable():
        raise SettingsError("the project's name must be at most 512 printable characters (it becomes a metadata tag)")
    return project


def _environments(sources: Sources) -> tuple[Environment, ...]:
    declared = sources.table.get("environments", ["development", "production"])
    where = "environments in [tool.asst] of pyproject.toml"
    if isinstance(declared, list) and all(isinstance(name, str) for name in declared):
        tables: dict[str, Mapping[str, str]] = {name: {} for name in declared}
        if len(tables) != len(declared):
            raise SettingsError(f"{where}: a name stands there twice")
    elif isinstance(declared, dict) and all(isinstance(table, dict) for table in declared.values()):
        tables = declared
    else:
        raise SettingsError(f"{where} must be a list of names, or a table for each name")
    if not tables:
        raise SettingsError(f"{where} names no environment")
    environments = tuple(_environment(sources, name, position, table) for position, (name, table) in enumerate(tables.items()))
    by_variable: dict[str, str] = {}
    for each in environments:
        variable = each.variable("OPENAI_API_KEY")
        if (other := by_variable.setdefault(variable, each.name)) != each.name:
            raise SettingsError(f"{where}: {other!r} and {each.name!r} would share their key, {variable}: rename one of them")
    return environments


def _environment(sources: Sources, name: str, position: int, table: Mapping[str, str]) -> Environment:
    if not SLUG.fullmatch(name):
        raise SettingsError(f"environment name {name!r:.80} is not a slug: {SLUG_RULE}")
    for key, value in table.items():
        if key not in _TABLE or not isinstance(value, str):
            raise SettingsError(
                f"[tool.asst.environments.{name}] in pyproject.toml: {key!r:.80} must be one of {', '.join(sorted(_TABLE))},"
                " and a string"
            )
    own = f"[tool.asst.environments.{name}]"
    platform = sources.get("ASST_PLATFORM") or table.get("platform") or sources.get_setting("platform", "ASST_PLATFORM", "agents")
    if platform == "assistants":
        raise SettingsError(SHUT_DOWN)
    if platform not in PLATFORMS:
        source = sources.source_of("platform", "ASST_PLATFORM", own if "platform" in table else "[tool.asst]")
        known = f"{', '.join(PLATFORMS)}{did_you_mean(platform, PLATFORMS)}"
        raise SettingsError(f"no platform {platform!r:.80}; known: {known} ({source} names it)")
    if platform == "local":
        return Environment(name, position, LOCAL, LOCAL_URL, sources, table)
    specific = Environment(name, position, Location(platform, ""), "", sources, table).variable("OPENAI_BASE_URL")
    url = sources.get(specific) or sources.get("OPENAI_BASE_URL") or table.get("base_url") or DEFAULT_URL
    source = sources.source_of("base_url", specific if sources.get(specific) else "OPENAI_BASE_URL", own)
    where = parse_origin(url, f"the base URL of {name} ({source})")
    return Environment(name, position, PINNED if platform == "responses" else Location(platform, where), url, sources, table)
