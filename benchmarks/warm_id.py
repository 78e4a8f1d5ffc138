"""The time of a warm ``assistant.id()``, and of one ``os.stat`` of the store, in µs; the current folder is the host project."""

import os
import sys
import timeit
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))
from declared import ASSISTANTS  # type: ignore[import-not-found]

NUMBER = 2_000
assistant = ASSISTANTS[0]
assistant.id()
for work in (assistant.id, lambda: os.stat("assistants_store.json")):  # noqa: PTH116 - the floor is the call itself
    print(min(timeit.repeat(work, number=NUMBER, repeat=50)) / NUMBER * 1e6)
