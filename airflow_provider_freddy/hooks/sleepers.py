"""Sleeping between two looks, until somebody in the same process cancels the response."""

from __future__ import annotations

import asyncio


class Sleepers:
    """Those who sleep until the next look at a response, all in one event loop."""

    def __init__(self) -> None:
        self._by_response: dict[str, set[asyncio.Future[None]]] = {}

    async def sleep(self, response_id: str, seconds: float) -> bool:
        """
        Sleep, or less long if somebody cancels the response meanwhile.

        :param response_id: the response.
        :param seconds: how long.
        :return: whether the sleep was cut short.
        """
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(seconds, _end_sleep, woken)
        sleepers = self._by_response.setdefault(response_id, set())
        sleepers.add(woken)
        try:
            await woken
        finally:
            timer.cancel()
            sleepers.discard(woken)
            if not sleepers:
                self._by_response.pop(response_id, None)
        return timer.when() > loop.time()

    def wake(self, response_id: str) -> None:
        """
        Wake everybody who waits for a response.

        :param response_id: the response.
        """
        for sleeper in self._by_response.get(response_id, ()):
            _end_sleep(sleeper)


def _end_sleep(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
