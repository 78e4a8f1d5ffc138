"""llama.cpp's own server over one GGUF file, in a process of its own: where it ends, whatever it generates ends too.

``python -P llama_server.py FILE CONTEXT THREADS``, the key of its clients as stdin's first line. It prints its address once the
model is loaded, and serves until stdin ends, which it does with the process that started it, however that one ends.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

BATCH = 256  # tokens of a prompt that are read at once; only between two batches it is noticed that nobody waits any more


def main(path: str, context: str, threads: str) -> None:
    """Serve."""
    llama: Any = importlib.import_module("xllamacpp")  # it has no types
    parameters = llama.CommonParams()
    parameters.model.path = path
    parameters.n_parallel = 1  # answers are made one after the other
    parameters.n_ctx = int(context)
    parameters.n_batch = BATCH
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = int(threads)
    parameters.verbosity = -1
    parameters.api_keys = [sys.stdin.readline().strip()]  # its port is open to every web page and user of this machine
    server = llama.Server(parameters)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)  # unloading would wait for an answer under way


if __name__ == "__main__":
    main(*sys.argv[1:])
