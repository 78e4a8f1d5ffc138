"""One question to the first assistant of the host project in the current folder, and its typed answer."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))
from declared import ASSISTANTS  # type: ignore[import-not-found]

print(ASSISTANTS[0].run("Go.").output.title)
