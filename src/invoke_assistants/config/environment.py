"""One environment: its platform, its location, its base URL and the credentials that never leave this process."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..declare.declaration import SLUG_RULE
from ..errors import SettingsError
from ..text import did_you_mean
from ..types import LOCAL, PINNED, SLUG, Location
from .base_url import parse_origin
from .credentials import Credentials, Secret, check_header, check_key, read_custom_headers
from .sources import Sources

__all__ = ["LOCAL_URL", "PLATFORMS", "SHUT_DOWN", "Environment", "environment_names", "own_variable", "read_environments"]

PLATFORMS = ("agents", "responses", "local")
DEFAULT_URL = "https://api.openai.com/v1"
LOCAL_URL = "http://local/v1"
SHUT_DOWN = (
    "platform 'assistants': OpenAI shut the Assistants API down on 2026-08-26; set platform (or ASST_PLATFORM) to"
    f" {' or '.join(map(repr, PLATFORMS))}, and turn an export of your assistants into declarations with: inv asst.migrate FILE"
)
WHERE = "environments in [tool.asst] of pyproject.toml"
KEYS = ("base_url", "openai_organization", "openai_project", "platform")  # of an environment's table in pyproject.toml


@dataclass(frozen=True)
class Environment:
    """One environment and where its instances live; ``position`` is its place in the promotion order."""

    name: str
    position: int
    location: Location
    base_url: str
    sources: Sources = field(repr=False)  # holds the environment variables, keys included
    table: Mapping[str, str]

    def variable(self, name: str) -> str:
        """The variable that sets ``name`` for this environment alone: ``OPENAI_API_KEY_PRODUCTION``."""
        return own_variable(name, self.name)

    def key_variable(self) -> str:
        """The name of the variable that the key comes from, or should."""
        own = self.variable("OPENAI_API_KEY")
        return own if self.sources.get_verbatim(own) is not None else "OPENAI_API_KEY"

    @property
    def managed_with_key(self) -> bool:
        """Whether managing its instances needs a key: on ``agents`` it does, a pinned configuration is in the store."""
        return self.location.platform == "agents"

    def credentials(self) -> Credentials:
        """Read and check the key and what else is sent; ``local`` reads none.

        Raises:
            SettingsError: the key is missing, blank or impossible in a header; the message names its variable, never the key.
        """
        if self.location.platform == "local":
            return Credentials(self.base_url, Secret("no-key-needed"), "", "")  # the SDK wants one
        variable = self.key_variable()
        key = check_key(self.sources.get_verbatim(variable), self.name, variable, self.variable("OPENAI_API_KEY"))
        headers = read_custom_headers(self.sources.environ, variable)
        project = self._own_or_general("OPENAI_PROJECT_ID", "openai_project")
        return Credentials(self.base_url, key, project, self._own_or_general("OPENAI_ORG_ID", "openai_organization"), headers)

    def _own_or_general(self, variable: str, key: str) -> str | None:
        value = self.sources.get(self.variable(variable)) or self.sources.get(variable) or self.table.get(key)
        return check_header(value, f"{variable} of {self.name}")


def read_environments(sources: Sources) -> tuple[Environment, ...]:
    """Read the environments in their promotion order.

    Raises:
        SettingsError: a name, a platform or a base URL is wrong; the message names its source.
    """
    tables = _read_tables(sources)
    environments = tuple(_resolve(sources, name, position, table) for position, (name, table) in enumerate(tables.items()))
    by_variable: dict[str, str] = {}
    for each in environments:
        variable = each.variable("OPENAI_API_KEY")
        if (other := by_variable.setdefault(variable, each.name)) != each.name:
            raise SettingsError(f"{WHERE}: {other!r} and {each.name!r} would share their key, {variable}: rename one of them")
    return environments


def environment_names(sources: Sources) -> list[str]:
    """The names of the environments in their promotion order, as they are listed.

    Raises:
        SettingsError: the list is none.
    """
    return list(_read_tables(sources))


def _read_tables(sources: Sources) -> Mapping[str, Mapping[str, str]]:
    """The table of each environment by name, empty for those of a list of names."""
    declared = sources.table.get("environments", ["development", "production"])
    if isinstance(declared, list) and all(isinstance(name, str) for name in declared):
        tables: dict[str, Mapping[str, str]] = {name: {} for name in declared}
        if len(tables) != len(declared):
            raise SettingsError(f"{WHERE}: a name is listed twice")
    elif isinstance(declared, dict) and all(isinstance(table, dict) for table in declared.values()):
        tables = declared
    else:
        raise SettingsError(f"{WHERE} must be a list of names, or a table for each name")
    if not tables:
        raise SettingsError(f"{WHERE} names no environment")
    return tables


def _resolve(sources: Sources, name: str, position: int, table: Mapping[str, str]) -> Environment:
    if not SLUG.fullmatch(name):
        raise SettingsError(f"environment name {name!r:.80} is not a slug: {SLUG_RULE}")
    for key, value in table.items():
        if key not in KEYS or not isinstance(value, str):
            hint = "" if key in KEYS else did_you_mean(key, KEYS)
            raise SettingsError(
                f"[tool.asst.environments.{name}] in pyproject.toml: {key!r:.80} must be one of {', '.join(KEYS)}, and a string"
                f"{hint}"
            )
    own_table = f"[tool.asst.environments.{name}]"
    platform = _read_platform(sources, table, own_table)
    if platform == "local":
        return Environment(name, position, LOCAL, LOCAL_URL, sources, table)
    own = own_variable("OPENAI_BASE_URL", name)
    url = sources.get(own) or sources.get("OPENAI_BASE_URL") or table.get("base_url") or DEFAULT_URL
    source = sources.source_of("base_url", own if sources.get(own) else "OPENAI_BASE_URL", own_table)
    origin = parse_origin(url, f"the base URL of {name} ({source})")
    if "?" in url:
        raise SettingsError(f"the base URL of {name} ({source}) holds a query: no path can stand behind it, so leave it out")
    return Environment(name, position, PINNED if platform == "responses" else Location(platform, origin), url, sources, table)


def _read_platform(sources: Sources, table: Mapping[str, str], own_table: str) -> str:
    platform = sources.get("ASST_PLATFORM") or table.get("platform") or sources.get_setting("platform", "ASST_PLATFORM", "agents")
    if platform == "assistants":
        raise SettingsError(SHUT_DOWN)
    if platform not in PLATFORMS:
        source = sources.source_of("platform", "ASST_PLATFORM", own_table if "platform" in table else "[tool.asst]")
        known = f"{', '.join(PLATFORMS)}{did_you_mean(platform, PLATFORMS)}"
        raise SettingsError(f"no platform {platform!r:.80}; known: {known} ({source} names it)")
    return platform


def own_variable(name: str, environment: str) -> str:
    """The variable that sets ``name`` for an environment alone: ``OPENAI_API_KEY_PRODUCTION``."""
    return f"{name}_{re.sub('[^A-Z0-9]', '_', environment.upper())}"
