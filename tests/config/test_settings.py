"""Settings: their sources and precedence, the root, credentials, and the errors for bad values."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from invoke_assistants.config.credentials import Secret
from invoke_assistants.config.project import Project
from invoke_assistants.config.root import find_root, runtime_root
from invoke_assistants.config.settings import Settings
from invoke_assistants.errors import SettingsError

KEY = "sk-canary-1111111111"


def project(root: Path, asst: str = "", env: str | bytes = "", local: str = "") -> Path:
    (root / "pyproject.toml").write_text(f'[project]\nname = "p"\n[tool.asst]\n{asst}')
    (root / ".env").write_bytes(env if isinstance(env, bytes) else env.encode())
    (root / ".env.local").write_text(local)
    return root


def test_the_first_hit_wins(tmp_path: Path) -> None:
    """Environment variables come first, then .env.local, .env, pyproject.toml and the default."""
    root = project(tmp_path, 'store = "toml.json"', "ASST_STORE=env.json", "ASST_STORE=local.json")
    assert Settings.load(root, {"ASST_STORE": "shell.json"}).store == root / "shell.json"
    assert Settings.load(root, {}).store == root / "local.json"
    (root / ".env.local").unlink()
    assert Settings.load(root, {}).store == root / "env.json"
    (root / ".env").unlink()
    assert Settings.load(root, {}).store == root / "toml.json"
    assert Settings.load(project(tmp_path), {}).store == root / "assistants_store.json"


def test_the_defaults(tmp_path: Path) -> None:
    """A project that sets nothing has the documented defaults."""
    settings = Settings.load(project(tmp_path), {})
    assert settings.assistants == "app.assistants:ASSISTANTS"
    assert [environment.name for environment in settings.environments] == ["development", "production"]
    assert {str(environment.location) for environment in settings.environments} == {"agents api.openai.com"}
    assert (settings.project, settings.concurrency, settings.current) == ("p", 16, "development")


def test_environments_as_tables(tmp_path: Path) -> None:
    """Tables keep the order of the file; ASST_PLATFORM beats a table, a table beats the general platform."""
    asst = """
platform = "local"
[tool.asst.environments.staging]
[tool.asst.environments.live]
platform = "agents"
base_url = "https://proxy.example:8443/v1"
openai_project = "proj_live"
"""
    root = project(tmp_path, asst)
    staging, live = Settings.load(root, {}).environments
    assert (str(staging.location), str(live.location)) == ("local local", "agents proxy.example:8443")
    assert live.position == 1
    assert {e.location.platform for e in Settings.load(root, {"ASST_PLATFORM": "agents"}).environments} == {"agents"}
    assert Settings.load(root, {"OPENAI_BASE_URL_LIVE": "https://a.example/v1"}).environments[1].location.origin == "a.example"
    keyed = Settings.load(root, {"OPENAI_API_KEY": KEY}).environments[1].credentials()
    assert keyed.project == "proj_live"
    beaten = Settings.load(root, {"OPENAI_API_KEY": KEY, "OPENAI_PROJECT_ID": "proj_env"}).environments[1].credentials()
    assert beaten.project == "proj_env"


def test_the_key_of_an_environment_goes_first_through_all_sources(tmp_path: Path) -> None:
    """OPENAI_API_KEY_PRODUCTION in .env.local beats OPENAI_API_KEY in the shell."""
    root = project(tmp_path, local=f"OPENAI_API_KEY_PRODUCTION={KEY}")
    development, production = Settings.load(root, {"OPENAI_API_KEY": "sk-shell"}).environments
    assert production.credentials().key.reveal() == KEY
    assert production.key_variable() == "OPENAI_API_KEY_PRODUCTION"
    assert development.credentials().key.reveal() == "sk-shell"
    assert development.key_variable() == "OPENAI_API_KEY"


def test_environment_names_become_variable_names(tmp_path: Path) -> None:
    """A name is put in upper case, its other characters become underscores."""
    root = project(tmp_path, 'environments = ["eu-west.1"]')
    [environment] = Settings.load(root, {"OPENAI_API_KEY_EU_WEST_1": KEY}).environments
    assert environment.key_variable() == "OPENAI_API_KEY_EU_WEST_1"


@pytest.mark.parametrize("key", ["", "   ", "sk-a\n", "sk-a\nb", "sk-\0", "sk ab", "sk-ü", "sk-\x7f"])
def test_a_key_that_cannot_be_sent_is_refused_and_never_shown(tmp_path: Path, key: str) -> None:
    """The message names the variable of a key that is blank or has impossible characters, and never the value."""
    environment = Settings.load(project(tmp_path), {"OPENAI_API_KEY": key}).environments[0]
    with pytest.raises(SettingsError, match="OPENAI_API_KEY") as caught:
        environment.credentials()
    assert "sk-" not in str(caught.value)
    assert key.strip() == "" or key not in str(caught.value)


def test_no_key_says_what_to_set(tmp_path: Path) -> None:
    """Without a key the message names both variables, and local needs none."""
    with pytest.raises(SettingsError, match="OPENAI_API_KEY .*OPENAI_API_KEY_DEVELOPMENT"):
        Settings.load(project(tmp_path), {}).environments[0].credentials()
    assert Settings.load(project(tmp_path), {"ASST_PLATFORM": "local"}).environments[0].credentials().project == ""


def test_no_secret_is_in_a_repr(tmp_path: Path) -> None:
    """Settings, environments and credentials can be logged safely."""
    settings = Settings.load(project(tmp_path), {"OPENAI_API_KEY": KEY})
    assert KEY not in repr(settings) + repr(settings.environments[0].credentials()) + str(
        settings.environments[0].credentials().key
    )


@pytest.mark.parametrize(
    ("key", "text", "masked"),
    [
        ("sk-long-enough", "no key sk-long-enough, x_sk-long-enough_y", "no key ***, x_***_y"),
        ("a", "a path /a/b.a was taken at last", "*** path /a/b.a was taken at last"),
        ("ollama", 'ollama at http://ollama.local/ollama-7b said "ollama".', '*** at http://ollama.local/ollama-7b said "***".'),
        ("x.y", "x.y, xay", "***, xay"),
    ],
)
def test_a_key_is_masked_whole(key: str, text: str, masked: str) -> None:
    """A long key is masked wherever it stands, a short one, which may be a word, only where it stands alone."""
    assert Secret(key).mask(text) == masked


def test_an_authorization_header_from_outside_is_refused(tmp_path: Path) -> None:
    """An Authorization line in OPENAI_CUSTOM_HEADERS would override the configured key, so it is refused."""
    environ = {"OPENAI_API_KEY": KEY, "OPENAI_CUSTOM_HEADERS": "X-A: 1\nauthorization: Bearer other"}
    with pytest.raises(SettingsError, match="OPENAI_CUSTOM_HEADERS"):
        Settings.load(project(tmp_path), environ).environments[0].credentials()


@pytest.mark.parametrize(
    "line",
    [
        "X Team: blue", ": blue", "X-Team: bl\u00fce", "X-Team: blue\x00", "X-Team: a\rX-Other: b", "X-Team=blue,X-Other: b",
        "Content-Length: 5", "content-type: text/blue", "Transfer-Encoding: chunked",
    ],
)  # fmt: skip
def test_a_header_that_cannot_be_sent_is_refused_without_a_word_of_it(tmp_path: Path, line: str) -> None:
    """OPENAI_CUSTOM_HEADERS is read before anything is asked; its number says which line is wrong, since that may be a secret."""
    environ = {"OPENAI_API_KEY": KEY, "OPENAI_CUSTOM_HEADERS": f"X-Good: 1\n{line}"}
    with pytest.raises(SettingsError, match="header 2 of OPENAI_CUSTOM_HEADERS cannot be sent") as raised:
        Settings.load(project(tmp_path), environ).environments[0].credentials()
    assert "bl" not in str(raised.value)


@pytest.mark.parametrize("variable", ["OPENAI_ORG_ID", "OPENAI_PROJECT_ID"])
@pytest.mark.parametrize("value", ["org-\u00fc", "org-\udcff", "org\r\nX: 1"])
def test_an_organization_or_project_that_no_header_can_carry_is_refused(tmp_path: Path, variable: str, value: str) -> None:
    """The message names the variable and the environment."""
    environ = {"OPENAI_API_KEY": KEY, variable: value}
    with pytest.raises(SettingsError, match=f"{variable} of development cannot be sent"):
        Settings.load(project(tmp_path), environ).environments[0].credentials()


def test_a_base_url_with_a_query_is_refused(tmp_path: Path) -> None:
    """The paths of the API stand behind a base URL, which they cannot behind a query."""
    with pytest.raises(SettingsError, match=r"base URL of development \(OPENAI_BASE_URL\) holds a query"):
        Settings.load(project(tmp_path), {"OPENAI_BASE_URL": "https://api.example/v1?version=1"})


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://api.example/v1", "must be https"),
        ("http://127.evil.example/v1", "must be https"),
        ("http://localhost.evil.example/v1", "must be https"),
        ("http://127.1/v1", "must be https"),
        ("ftp://api.example/v1", "not an http"),
        ("api.example", "not an http"),
        ("https://user:pw@api.example/v1", "user or password"),
        ("https://[broken/v1", "not an http"),
    ],
)
def test_base_urls_are_https_or_loopback(tmp_path: Path, url: str, message: str) -> None:
    """A key is sent over https only, or to this machine."""
    with pytest.raises(SettingsError, match=message):
        Settings.load(project(tmp_path), {"OPENAI_BASE_URL": url})
    for fine, origin in [
        ("http://127.0.0.1:8787/v1", "127.0.0.1:8787"), ("http://localhost/v1", "localhost"),
        ("http://[::1]:1/v1", "[::1]:1"), ("http://127.1.2.3/v1", "127.1.2.3"), ("https://api.example:443/v1", "api.example"),
    ]:  # fmt: skip
        assert Settings.load(tmp_path, {"OPENAI_BASE_URL": fine}).environments[0].location.origin == origin


@pytest.mark.parametrize(
    ("asst", "message"),
    [
        ('plattform = "local"', "did you mean 'platform'"),
        (
            '[tool.asst.environments.development]\nbase_ulr = "https://h/v1"',
            "'base_ulr' must be one of .*; did you mean 'base_url'",
        ),
        ('openai_api_key = "sk-x"', "unknown key 'openai_api_key'"),
        ('platform = "locall"', "did you mean 'local'"),
        ('platform = "assistants"', "shut the Assistants API down on 2026-08-26"),
        ("platform = 3", "must be a string"),
        ('environments = ["a", "a"]', "twice"),
        ("environments = []", "no environment"),
        ('environments = "a"', "must be a list"),
        ('environments = ["Prod"]', "not a slug"),
        ('environments = ["dev", "prod-eu", "prod.eu"]', "'prod-eu' and 'prod.eu' would share .*OPENAI_API_KEY_PROD_EU"),
        ("[tool.asst.environments.a-b]\n[tool.asst.environments.a_b]", "'a-b' and 'a_b' would share"),
        ("[tool.asst.environments.a]\nkey = 'x'", "must be one of"),
        ('concurrency = "many"', "from 1 to 1000"),
        ("concurrency = 0", "from 1 to 1000"),
        ('store = "ftp://x"', "no store is kept at ftp://"),
        ("store = [", "not valid TOML"),
    ],
)
def test_bad_settings_are_named(tmp_path: Path, asst: str, message: str) -> None:
    """Each bad value raises one line that names it and what would be accepted."""
    with pytest.raises(SettingsError, match=message) as caught:
        Settings.load(project(tmp_path, asst), {})
    assert "\n" not in str(caught.value)
    assert "sk-x" not in str(caught.value)


def test_an_unknown_environment_lists_the_known(tmp_path: Path) -> None:
    """`prod` and `Production` are unknown; the message suggests `production`."""
    settings = Settings.load(project(tmp_path), {})
    for name in ("prod", "Production"):
        with pytest.raises(SettingsError, match="known: development, production; did you mean 'production'"):
            settings.environment(name)


def test_app_env_is_the_last_source_of_the_environment(tmp_path: Path) -> None:
    """APP_ENV comes after ASST_ENV from all sources; an unknown name is no error until it is used."""
    root = project(tmp_path, env="ASST_ENV=production")
    assert Settings.load(root, {"APP_ENV": "test"}).current == "production"
    (root / ".env").unlink()
    assert Settings.load(root, {"APP_ENV": "test"}).current == "test"


@pytest.mark.parametrize(
    "content",
    ["OPENAI_API_KEY=caf\xe9".encode("latin-1"), "OPENAI_API_KEY=x".encode("utf-16"), b'ASST_STORE="open\nASST_ENV=production\n'],
)
def test_a_bad_env_file_is_named(tmp_path: Path, content: bytes) -> None:
    """Another encoding or an unclosed quote is an error that names the file and shows none of its content."""
    with pytest.raises(SettingsError, match=r"\.env") as caught:
        Settings.load(project(tmp_path, env=content), {})
    assert "x" not in str(caught.value).split(".env")[1].split("UTF")[0]


def test_values_in_env_files_are_taken_as_they_are(tmp_path: Path) -> None:
    """Nothing is interpolated, a byte order mark is skipped, the last of two values wins, quotes are removed."""
    root = project(tmp_path, env="\ufeffASST_PROJECT='a${HOME}b'\nASST_STORE=one\nASST_STORE=two\n")
    settings = Settings.load(root, {})
    assert (settings.project, settings.store.name) == ("a${HOME}b", "two")


def test_env_files_set_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only names that we know are taken from the files, and the process's environment stays as it is."""
    import os

    before = dict(os.environ)
    root = project(tmp_path, env="LD_PRELOAD=/x\nHTTPS_PROXY=http://x\nPYTHONPATH=/x\nACTION=deploy\nOPENAI_API_KEY=sk-file\n")
    settings = Settings.load(root)
    assert settings.environments[0].credentials().key.reveal() == "sk-file"
    assert dict(os.environ) == before


def test_the_project_needs_a_name(tmp_path: Path) -> None:
    """The name is [project].name, then Poetry's; without either, an error says where to set one."""
    (tmp_path / "pyproject.toml").write_text('[tool.poetry]\nname = "poem"\n')
    assert Settings.load(tmp_path, {}).project == "poem"
    (tmp_path / "pyproject.toml").write_text("")
    with pytest.raises(SettingsError, match="has no name"):
        Settings.load(tmp_path, {})


def test_the_root_is_the_nearest_pyproject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search goes upward; at run time ASST_ROOT comes first, and an absolute store needs no root."""
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert find_root(tmp_path / "a" / "b") == tmp_path
    monkeypatch.chdir(tmp_path / "a")
    assert runtime_root({}) == tmp_path
    assert runtime_root({"ASST_ROOT": str(tmp_path / "a")}) == tmp_path / "a"
    with pytest.raises(SettingsError, match="ASST_ROOT"):
        runtime_root({"ASST_ROOT": str(tmp_path / "nowhere")})
    monkeypatch.chdir("/")
    assert runtime_root({"ASST_STORE": "/x/store.json"}) is None
    with pytest.raises(SettingsError, match=r"no pyproject\.toml .*: set ASST_ROOT to the project's folder, or ASST_STORE"):
        runtime_root({})


@pytest.mark.parametrize(
    ("table", "environ", "message"),
    [
        ("", {"OPENAI_BASE_URL": "x"}, "development (OPENAI_BASE_URL) is not an http(s) URL"),
        ("", {"OPENAI_BASE_URL_DEVELOPMENT": "x"}, "development (OPENAI_BASE_URL_DEVELOPMENT) is not an http(s) URL"),
        (
            '[tool.asst.environments.staging]\nbase_url = "http://example.com"',
            {},
            "staging (base_url in [tool.asst.environments.staging] of pyproject.toml) must be https",
        ),
        ("", {"ASST_PLATFORM": "x"}, "(ASST_PLATFORM names it)"),
        ('platform = "x"', {}, "(platform in [tool.asst] of pyproject.toml names it)"),
        (
            '[tool.asst.environments.staging]\nplatform = "x"',
            {},
            "(platform in [tool.asst.environments.staging] of pyproject.toml names it)",
        ),
    ],
)
def test_a_bad_value_names_what_set_it(tmp_path: Path, table: str, environ: dict[str, str], message: str) -> None:
    """The message names the variable, or the key and its table."""
    with pytest.raises(SettingsError, match=re.escape(message)):
        Settings.load(project(tmp_path, table), environ)


def test_an_unknown_current_environment_names_what_set_it(tmp_path: Path) -> None:
    """The message names where the environment was set, once it is used."""
    with pytest.raises(SettingsError, match=r"no environment 'prd'.*\(environment in \[tool.asst\] of pyproject.toml names it\)"):
        Settings.load(project(tmp_path, 'environment = "prd"'), {"APP_ENV": "other"}).environment()


def test_one_name_is_a_name_and_not_its_letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A string selects the assistant of that name, as a list of it does."""
    root = project(tmp_path, 'assistants = "one_name_app:ASSISTANTS"')
    declared = 'ASSISTANTS = [Assistant(name, model="m") for name in ("chef", "judge")]'
    (root / "one_name_app.py").write_text(f"from invoke_assistants import Assistant\n{declared}\n")
    monkeypatch.setattr("sys.path", [*sys.path])
    for only in ("chef", ["chef"], ["chef", "chef"]):
        loaded = Project.load(root, only)
        assert (loaded.only, [each.name for each in loaded.selected()]) == (("chef",), ["chef"])
    with pytest.raises(SettingsError, match="no assistant 'chev'; declared: chef, judge; did you mean 'chef'"):
        Project.load(root, "chev")
