"""Run Invoke; write how often it replaced the store's file, and the seconds of its transactions, to the file named first."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from invoke.main import program

from invoke_assistants.store.store import Store

counts = {"writes": 0, "seconds": 0.0}
change: Callable[..., None] = Store.change


def timed_change(*arguments: object, **options: object) -> None:
    """One transaction: the store is read, changed and written."""
    began = time.perf_counter()
    try:
        change(*arguments, **options)
    finally:
        counts["seconds"] += time.perf_counter() - began


def hook(event: str, arguments: tuple[object, ...]) -> None:
    """Count the renames that put a new store in place."""
    if event == "os.rename" and str(arguments[1]).endswith("assistants_store.json"):
        counts["writes"] += 1


Store.change = timed_change  # type: ignore[method-assign]
sys.addaudithook(hook)
report = Path(sys.argv.pop(1))
try:
    program.run(["inv", *sys.argv[1:]], exit=False)
finally:
    report.write_text(json.dumps(counts))
