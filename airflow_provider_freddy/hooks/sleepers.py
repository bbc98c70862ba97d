"""Sleeping between two looks, until somebody in the same process cancels the response."""

from __future__ import annotations

import asyncio


class Sleepers:
    """Those who sleep until the next look at a response, all in one event loop."""

    def __init__(self) -> None:
        # Nearly every response has one; a set for it would be as large as all the rest.
        self._by_response: dict[str, tuple[asyncio.Future[None], ...]] = {}

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
        self._by_response[response_id] = (*self._by_response.get(response_id, ()), woken)
        try:
            await woken
        finally:
            timer.cancel()
            if others := tuple(other for other in self._by_response[response_id] if other is not woken):
                self._by_response[response_id] = others
            else:
                del self._by_response[response_id]
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
