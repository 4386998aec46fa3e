"""A server on loopback that serves files, and misbehaves as it is told."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[["Handler", bytes], None]


@dataclass
class Server:
    """What a server has, how it answers, and what it was asked.

    Attributes:
        address: Where it is, without a slash at the end.
        files: Contents by path.
        script: Answers of the next requests for a path; after the last, and without any, as it should.
        asked: Path and headers of every request.
        sent: Bytes of bodies by path.
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    script: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)

    def add(self, path: str, content: bytes, *script: Answer) -> str:
        """Serve a file, after answers of one's own; returns its address."""
        self.files[path], self.script[path] = content, list(script)
        return self.address + path

    def ranges(self, path: str) -> list[str | None]:
        """The Range headers of the requests for a path."""
        return [headers.get("Range") for name, headers in self.asked if name == path]


class Handler(BaseHTTPRequestHandler):
    """One request; ``self.server.state`` is the :class:`Server`."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        state: Server = self.server.state  # type: ignore[attr-defined]
        state.asked.append((self.path, dict(self.headers)))
        if self.path not in state.files:
            fail(404)(self, b"")
            return
        script = state.script[self.path]
        (script.pop(0) if script else well)(self, state.files[self.path])

    def head(self, status: int, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def body(self, content: bytes) -> None:
        self.wfile.write(content)
        sent = self.server.state.sent  # type: ignore[attr-defined]
        sent[self.path] = sent.get(self.path, 0) + len(content)

    def hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


def etag(content: bytes) -> str:
    return f'"{len(content)}-{hash(content)}"'


def start_of(handler: Handler, content: bytes) -> int:
    """Where an answer may begin, by Range and If-Range."""
    asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    condition = handler.headers.get("If-Range")
    return int(asked[1]) if asked and condition in (None, etag(content)) else 0


def well(handler: Handler, content: bytes, send: int | None = None) -> None:
    """As it should; or, with ``send``, the head and then only so many bytes of the body."""
    start = start_of(handler, content)
    if start >= len(content) > 0:
        handler.head(416, Content_Length=0)
        return
    rest = content[start:]
    headers = {"Content_Length": len(rest), "ETag": etag(content), "Content_Type": "application/octet-stream"}
    if start:
        headers["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
    handler.head(206 if start else 200, **headers)
    handler.body(rest[:send])
    if send is not None:
        handler.hang_up()


def cut(after: int) -> Answer:
    """Breaks the connection after so many bytes."""
    return lambda handler, content: well(handler, content, after)


def hang(seconds: float, after: int = 0) -> Answer:
    """Says nothing for a while after so many bytes, then breaks the connection."""

    def answer(handler: Handler, content: bytes) -> None:
        well(handler, content, after)
        time.sleep(seconds)

    return answer


def fail(status: int, **headers: object) -> Answer:
    """Answers with a status and a page about it."""

    def answer(handler: Handler, content: bytes) -> None:
        page = b"<html>no</html>"
        handler.head(status, Content_Type="text/html", Content_Length=len(page), **headers)
        handler.body(page)

    return answer


def whole(handler: Handler, content: bytes) -> None:
    """Ignores ranges, and has nothing to tell versions apart."""
    handler.head(200, Content_Length=len(content))
    handler.body(content)


def unsized(handler: Handler, content: bytes) -> None:
    """Does not say how long the file is."""
    handler.head(200, Connection="close")
    handler.body(content)
    handler.hang_up()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is what tests do."""


@contextmanager
def serving() -> Iterator[Server]:
    """A server for as long as the block runs."""
    listener = _Listener(("127.0.0.1", 0), Handler)
    listener.state = Server(f"http://127.0.0.1:{listener.server_address[1]}")  # type: ignore[attr-defined]
    threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield listener.state  # type: ignore[attr-defined]
    finally:
        listener.shutdown()
        listener.server_close()
