"""The HTTP server underneath: uvicorn in a thread, which starts, drops connections and stops at once."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Generator
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

START_SECONDS = 10.0
STOP_SECONDS = 3.0


class _Server(uvicorn.Server):
    """
    Stops when told, and cuts off whatever is under way.

    uvicorn's own loop looks every tenth of a second whether it is to stop, and then waits for open requests. Each
    test that uses a fake Freddy would pay for that, and a request that hangs would never let go.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    def stop(self) -> None:
        """Have the server end; may be called from any thread."""
        if self._loop is not None and self._stopping is not None:
            # A loop that is closed has nothing left to stop.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stopping.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self.ready.set()

    async def main_loop(self) -> None:
        assert self._stopping is not None
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # What was accepted a moment ago has to become a connection while the server is still open, or asyncio
        # loses track of it: so accept no more, then let these get through.
        for listener in sockets or []:
            asyncio.get_running_loop().remove_reader(listener)
        await _settle()
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        # Beside the requests there may be TLS handshakes, which uvicorn does not know of.
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _settle()


async def _settle() -> None:
    # asyncio opens and closes a connection in a few steps, each in the next turn of the loop.
    for _ in range(10):
        await asyncio.sleep(0)


def _protocol(connected: Callable[[], None]) -> type[H11Protocol]:
    class CountedProtocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            connected()
            # A handler finds it as request.state.transport, to close the connection without a reply.
            self.app_state = {**self.app_state, "transport": transport}

    return CountedProtocol


@contextlib.contextmanager
def serving(
    app: ASGIApp, host: str, port: int, certificate: str | None, connected: Callable[[], None]
) -> Generator[int, None, None]:
    """
    Serve an application from a background thread.

    :param app: The application.
    :param host: Address to listen on.
    :param port: Port to listen on, 0 for any that is free.
    :param certificate: Path of a PEM file with a key and its certificates, None for plain HTTP.
    :param connected: Called for every TCP connection; with TLS, once its handshake is done.
    :return: A context manager with the port; at its end no thread and no socket are left.
    :raises OSError: The port is taken.
    :raises RuntimeError: The server did not start, or did not stop.
    """
    options: dict[str, Any] = {"ssl_certfile": certificate} if certificate else {}
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=_protocol(connected),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=60,
        **options,
    )
    config.load()
    with socket.create_server((host, port)) as listener:
        # asyncio sets it only on sockets made with an explicit protocol; without it a reply on a kept connection
        # waits 40 ms for the client's delayed acknowledgement. Accepted sockets inherit it.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server = _Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="fake-freddy", daemon=True)
        thread.start()
        if not server.ready.wait(START_SECONDS):
            raise RuntimeError("The fake Freddy did not start")
        try:
            yield listener.getsockname()[1]
        finally:
            server.stop()
            thread.join(STOP_SECONDS)
            if thread.is_alive():
                raise RuntimeError("The fake Freddy did not stop")
