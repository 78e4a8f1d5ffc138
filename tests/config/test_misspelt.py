"""Names that are nearly settings: what is warned of, in which words, and what is left alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from invoke_assistants.config.misspelt import hear_of_misspelt, misspelt_variables
from invoke_assistants.config.settings import Settings
from invoke_assistants.config.sources import Sources, Variables
from invoke_assistants.errors import SettingsError

MISSPELT = {
    "OPENAI_API_KEY_PRODUCTON": "OPENAI_API_KEY_PRODUCTION",
    "OPENAI_API_KEY_PRODCUTION": "OPENAI_API_KEY_PRODUCTION",
    "OPENAI_API_KEY_PROD": "OPENAI_API_KEY_PRODUCTION",
    "OPENAI_API_KEY_DEV": "OPENAI_API_KEY_DEVELOPMENT",
    "OPENAI_API_KEYPRODUCTION": "OPENAI_API_KEY_PRODUCTION",
    "OPENAI_API_KEYS": "OPENAI_API_KEY",
    "OPENAI_APIKEY": "OPENAI_API_KEY",
    "OPENAI_BASE_ULR": "OPENAI_BASE_URL",
    "OPENAI_BASE_ULR_PRODUCTION": "OPENAI_BASE_URL_PRODUCTION",
    "OPENAI_PROJCT_ID": "OPENAI_PROJECT_ID",
    "OPENAI_PROJECT_ID_PRODUCTON": "OPENAI_PROJECT_ID_PRODUCTION",
    "OPENAI_ORG_IDS": "OPENAI_ORG_ID",
    "OPENAI_API_KEY_LIVE_EUU": "OPENAI_API_KEY_LIVE_EU",
    "ASST_PLATFROM": "ASST_PLATFORM",
    "ASST_STROE": "ASST_STORE",
    "ASST_LOCAL_MODELNAME": "ASST_LOCAL_MODEL_NAME",
}
OTHERS = [
    "OPENAI_API_KEY", "OPENAI_API_KEY_PRODUCTION", "OPENAI_BASE_URL_DEVELOPMENT", "OPENAI_ORG_ID_LIVE_EU", "ASST_ROOT",
    "ASST_ENV", "OPENAI_LOG", "OPENAI_API_VERSION", "OPENAI_API_TYPE", "OPENAI_API_BASE", "OPENAI_API_BASE_URL",
    "OPENAI_ORGANIZATION", "OPENAI_CUSTOM_HEADERS", "OPENAI_WEBHOOK_SECRET", "OPENAI_ADMIN_KEY", "OPENAI_ADMIN_API_KEY",
    "OPENAI_MODEL", "OPENAI_TIMEOUT", "OPENAI_API_KEY_TEAM2", "OPENAI_API_KEY_2", "OPENAI_API_KEY2", "OPENAI_API_KEY_FILE",
    "OPENAI_API_KEY_PATH", "OPENAI_EU_API_KEY", "OPENAI_API_KEY_LIVE_US", "OPENAI_PROXY", "OPENAI_", "ASST_TEST_REDIS",
    "OPENAPI_KEY", "asst_env",
]  # fmt: skip
ENVIRONMENTS = 'environments = ["development", "production", "live-eu"]\n'


def read(root: Path, environ: dict[str, str], *, asst: str = ENVIRONMENTS, **files: str) -> Sources:
    (root / "pyproject.toml").write_text(f'[project]\nname = "p"\n[tool.asst]\n{asst}')
    for name, text in files.items():
        (root / f".env{name.removeprefix('env').replace('_', '.')}").write_text(text)
    return Sources.read(root, Variables(environ))


@pytest.mark.parametrize(("name", "meant"), MISSPELT.items())
def test_a_name_that_is_nearly_a_setting(tmp_path: Path, name: str, meant: str) -> None:
    """The variable, the file that it stands in and the name that is meant are said; its value is not."""
    [said] = misspelt_variables(read(tmp_path, {name: "canary"}))
    assert said == f"{name} is no setting; did you mean {meant!r}?"
    for file in ("env", "env_local"):
        folder = tmp_path / file
        folder.mkdir()
        [said] = misspelt_variables(read(folder, {}, **{file: f"export {name}=canary\n"}))
        assert said == f"{name} in .{file.replace('_', '.')} is no setting; did you mean {meant!r}?"


@pytest.mark.parametrize("name", OTHERS)
def test_a_name_of_ours_or_of_another_tool(tmp_path: Path, name: str) -> None:
    """Nothing is said of what we read, of the SDK's own variables, of other tools', and of keys that are told apart by number."""
    assert misspelt_variables(read(tmp_path, {name: "x"}, env=f"{name}=x\n")) == []


def test_suffixes_are_those_of_the_projects_environments(tmp_path: Path) -> None:
    """Without an environment of that name, its suffix is nobody's; tables name environments, too; a wrong list is an error."""
    names = {"OPENAI_API_KEY_PROD": "x", "OPENAI_API_KEY_STAGNG": "x"}
    [said] = misspelt_variables(read(tmp_path, names, asst="[tool.asst.environments.staging]\n"))
    assert "'OPENAI_API_KEY_STAGING'" in said
    with pytest.raises(SettingsError, match="must be a list"):
        misspelt_variables(read(tmp_path, names, asst="environments = 3\n"))


def test_only_who_listens_is_told(tmp_path: Path) -> None:
    """A command hears of them even where the settings are wrong otherwise; a running app hears and computes nothing."""
    read(tmp_path, {}, asst='platform = "no"\n')
    heard: list[str] = []
    environ = {"ASST_PLATFROM": "local"}
    with hear_of_misspelt(heard.append), pytest.raises(SettingsError, match="no platform"):
        Settings.load(tmp_path, environ)
    assert heard == ["ASST_PLATFROM is no setting; did you mean 'ASST_PLATFORM'?"]
    with pytest.raises(SettingsError, match="no platform"):
        Settings.load(tmp_path, environ)
    assert len(heard) == 1


def test_right_names_load_no_difflib(tmp_path: Path) -> None:
    """Comparing letters is for names that may be misspelt: the settings of a project without any load no module for it."""
    read(tmp_path, {}, env="OPENAI_API_KEY_PRODUCTION=x\nASST_TIMEOUT=3\nOPENAI_LOG=info\n")
    code = (
        "import pathlib, sys; from invoke_assistants.config.misspelt import misspelt_variables as m;"
        "from invoke_assistants.config.sources import Sources, Variables as V; here = pathlib.Path('.');"
        "assert m(Sources.read(here, V({'OPENAI_API_VERSION': 'x'}))) == []; assert 'difflib' not in sys.modules;"
        "assert m(Sources.read(here, V({'ASST_STROE': 'x'}))); assert 'difflib' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
