"""A program that forgets streams and runs the garbage collector at every call of the event stream's code, one at a time.

From Python 3.12 on, the collector may run between any two instructions of any thread, and closes the streams right there.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import threading
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import httpx2
import openai

from invoke_assistants.emulator import event_stream
from invoke_assistants.emulator.api import EmbeddedAPI
from invoke_assistants.emulator.transport import Transport

Point = tuple[CodeType, int, str]

points: dict[Point, None] = {}
chosen: Point | None = None


def collect(frame: FrameType, event: str, _: Any) -> None:
    """Note each call made in the module of the event stream; collect at the chosen one."""
    global chosen
    if event in ("call", "c_call") and frame.f_code.co_filename == event_stream.__file__:
        point = (frame.f_code, frame.f_lineno, event)
        points[point] = None
        if point == chosen:
            chosen = None
            gc.collect()


def main() -> None:
    service = EmbeddedAPI(Path(tempfile.mkdtemp()) / ".asst" / "local.json")
    client = openai.OpenAI(api_key="x", base_url="http://local/v1", http_client=httpx2.Client(transport=Transport(service)))

    def begun() -> Any:
        return client.beta.agents.sessions.create(agent={"model": "m"}, environment={"type": "none"}, input="x", stream=True)

    begun().get_final_result()
    gc.disable()
    gc.collect()
    gc.freeze()
    threading.setprofile(collect)
    sys.setprofile(collect)
    begun().get_final_result()
    for point in list(points):
        next(begun())
        global chosen
        chosen = point
        begun().get_final_result()
    sys.setprofile(None)
    print(len(points), "points")


if __name__ == "__main__":
    main()
