"""The text of the files that ``init`` makes: a short example that linters and strict type checkers accept. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import version

__all__ = [
    "GIT_ATTRIBUTE",
    "IGNORED",
    "NAME",
    "NEW_IGNORED",
    "PACKAGE",
    "PROMPT",
    "TASKS",
    "assistants_module",
    "dependency",
    "pyproject",
]

NAME, PROMPT = "triage", "My parcel is a week late."  # the assistant that is made, and a first question to it

PACKAGE = '"""The app. Its assistants are declared in assistants.py."""\n'

_ASSISTANTS = '''\
"""The app's assistants. Importing this touches no network and no file."""

from typing import Literal

from invoke_assistants import Assistant
from pydantic import BaseModel, Field


class Triage(BaseModel):
    """What a customer's message is about."""

    summary: str = Field(description="The message in one sentence.")
    topic: Literal["billing", "delivery", "other"] = Field(description="Its subject.")
    urgent: bool = Field(description="Whether somebody must answer today.")


triage = Assistant(
    "triage",
    output=Triage,
    model="gpt-6-luna",
    description="Sorts the messages that customers write.",
    instructions="Sort the customer's message. Judge by what it says alone.",
)

{attribute} = [triage]
'''

TASKS = '''\
"""The project's tasks: inv --list names them."""

from invoke.collection import Collection
from invoke_assistants.tasks import ns as asst

ns = Collection(asst)
'''

_PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = {name}
version = "0.1.0"
requires-python = ">=3.11"
dependencies = [{dependency}]

[tool.hatch.build.targets.wheel]
packages = {packages}
"""

IGNORED = (".asst/", ".env.local")  # the embedded platform's objects; secrets
NEW_IGNORED = ("__pycache__/", ".venv/")  # beside them, where there is no .gitignore yet

GIT_ATTRIBUTE = """\
# Merges the store record by record. Once in each clone, so that git knows the driver:
# git config merge.asst.driver "python -m invoke_assistants.merge_driver %O %A %B"
{store} merge=asst
"""


def assistants_module(attribute: str) -> str:
    """The module with one assistant and its output model.

    Args:
        attribute: the name of the list of assistants.
    """
    return _ASSISTANTS.format(attribute=attribute)


def dependency() -> str:
    """What a project that uses this package names among its dependencies."""
    return f"invoke-assistants>={version('invoke-assistants')}"


def pyproject(name: str, packages: Sequence[str]) -> str:
    """A new ``pyproject.toml``.

    Args:
        packages: the folders of the packages that an install brings.
    """
    return _PYPROJECT.format(name=json.dumps(name), dependency=json.dumps(dependency()), packages=json.dumps(list(packages)))
