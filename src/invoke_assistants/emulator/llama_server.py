"""llama.cpp's own server for one GGUF file, run as a process of its own: when it ends, so does what it generates.

Usage: ``python -P llama_server.py FILE CONTEXT THREADS``, with the key of its clients as the first line of stdin. It prints its
address once the model is loaded, and serves until stdin ends, which happens when the parent process ends or is killed.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

BATCH = 256  # tokens of a prompt read at once; only between two batches does the server notice that a client is gone


def main(path: str, context: str, threads: str) -> None:
    """Load the model and serve it."""
    llama: Any = importlib.import_module("xllamacpp")  # untyped
    parameters = llama.CommonParams()
    parameters.model.path = path
    parameters.n_parallel = 1  # one answer at a time
    parameters.n_ctx = int(context)
    parameters.n_batch = BATCH
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = int(threads)
    parameters.verbosity = -1
    parameters.api_keys = [sys.stdin.readline().strip()]  # web pages and other users of this machine can reach its port
    server = llama.Server(parameters)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)  # at once: unloading the model would wait for an answer in progress


if __name__ == "__main__":
    main(*sys.argv[1:])
