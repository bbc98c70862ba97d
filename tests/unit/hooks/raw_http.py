"""A server that answers byte for byte what a test says."""

from __future__ import annotations

import contextlib
import json
import socket
import threading


class RawServer:
    """
    Answers one request of every connection.

    It sends what ``answer`` returns for the text of the request (bytes, or an iterable of such parts)
    and hangs up. With TLS, a part that is a ``bytearray`` goes around it.
    """

    def __init__(self, answer, tls=None):
        self.requests = []
        self.closing = threading.Event()
        self._answer, self._tls = answer, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self.closing.is_set():
            with contextlib.suppress(OSError):
                threading.Thread(target=self._serve, args=(self._listener.accept()[0],), daemon=True).start()

    def _serve(self, connection):
        # The socket that TLS wraps cannot be used beside it, but another one for the same connection.
        with contextlib.suppress(OSError), connection, connection.dup() as bare:
            connection.settimeout(10)
            stream = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
            self.requests.append(self._read(stream))
            answer = self._answer(self.requests[-1])
            for part in [answer] if isinstance(answer, bytes) else answer:
                (bare if isinstance(part, bytearray) else stream).sendall(part)

    @staticmethod
    def _read(stream):
        def more():
            if not (part := stream.recv(65536)):
                raise ConnectionResetError
            return part

        data = b""
        while b"\r\n\r\n" not in data:
            data += more()
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        while len(body) < sum(lengths):
            body += more()
        return head.decode() + "\n\n" + body.decode()

    def close(self):
        self.closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def http_reply(body, status="200 OK", **headers):
    """Return the bytes of a reply."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Content-Length": len(raw), "Connection": "close", **headers}
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode() + raw
