"""Try an installed invoke-assistants as a new project would: ``smoke.py PYTHON``, the Python that it is installed for.

Everything runs in a scratch folder, so nothing of a checkout is imported. Needs the standard library alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

INSTALLED = """
import importlib.metadata, importlib.util, pathlib, sys
import invoke_assistants
folder = pathlib.Path(invoke_assistants.__file__).parent
assert pathlib.Path(sys.prefix).resolve() in folder.resolve().parents, f"{folder} is not what was installed"
assert (folder / "py.typed").is_file(), "py.typed is missing"
files = importlib.metadata.files("invoke-assistants")
foreign = {file.parts[0] for file in files} - {"invoke_assistants"}
assert all(name.endswith(".dist-info") for name in foreign), f"installed beside the package: {foreign}"
print(importlib.metadata.version("invoke-assistants"))
"""
FOREIGN = ("ASST_", "OPENAI_", "INVOKE_", "PYTHON", "APP_ENV", "ACTION")


def main(python: Path) -> None:
    """Run each step; the first one that fails ends this with what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "scratch")
        root.mkdir()
        version = run(root, python, "-I", "-c", INSTALLED).strip()
        assert run(root, python, "-m", "invoke_assistants", "--version").split()[-1] == version
        run(root, python, "-m", "invoke_assistants", "init", "--yes")
        assert "asst.create" in run(root, python, "-m", "invoke", "--list")
        assert "2 created" in run(root, python, "-m", "invoke", "asst.create")
        assert "sample" in run(root, python, "-m", "invoke", "asst.run", "triage", "My parcel is a week late.")
        run(root, python, "-m", "invoke", "asst.plan", "--check")
    print(f"invoke-assistants {version} works on {python}")


def run(root: Path, *command: str | Path) -> str:
    """The standard output of a command in the scratch project."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    done = subprocess.run(
        command, cwd=root, env={**env, "HOME": str(root)}, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command[1:4])).splitlines()[0]} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
