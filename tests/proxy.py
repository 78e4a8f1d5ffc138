"""A proxy on a socket that cuts a connection in the middle of a write, or stalls."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from types import TracebackType

RST = struct.pack("ii", 1, 0)


class Proxy:
    """Passes bytes to a port of this machine and back, until it is told otherwise."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cuts = 0
        self._half = ""
        self._marker = b""
        self._stall = ""
        self._sockets: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.close()

    def cut(self, half: str, marker: bytes) -> None:
        """Reset the connection of the next request that holds these bytes: before it arrives, or before its answer does."""
        self._half, self._marker = half, marker

    def stall(self, how: str) -> None:
        """From here on say nothing (``silent``), or a byte now and then (``drip``)."""
        self._stall = how

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._sockets.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        if self._stall:
            with contextlib.suppress(OSError):
                while self._stall == "drip":
                    client.sendall(b"H")
                    time.sleep(0.1)
            return
        server = socket.create_connection(("127.0.0.1", self._target))
        self._sockets.append(server)
        lost = threading.Event()
        threading.Thread(target=self._answers, args=(server, client, lost), daemon=True).start()
        seen = b""
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                seen = seen[-200:] + data
                if self._half and self._marker in seen:
                    half, self._half = self._half, ""
                    self.cuts += 1
                    if half == "request":
                        self._reset(client)
                        server.close()
                        return
                    lost.set()
                server.sendall(data)
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _answers(self, server: socket.socket, client: socket.socket, lost: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                if lost.is_set():
                    self._reset(client)
                    return
                client.sendall(data)
            client.shutdown(socket.SHUT_WR)

    def _reset(self, client: socket.socket) -> None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads from it
        client.close()
