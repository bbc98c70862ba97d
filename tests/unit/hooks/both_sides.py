"""Sends one request from the blocking and from the asynchronous side, to compare them."""

from __future__ import annotations

import asyncio

from airflow_provider_freddy.core.request import cancel_response_request, get_response_request
from airflow_provider_freddy.core.retry import Budget
from airflow_provider_freddy.hooks.async_exchange import AsyncExchange
from airflow_provider_freddy.hooks.async_transport import AsyncTransport

BUILD = {"GET": get_response_request, "DELETE": cancel_response_request}


def build(method="GET", response_id="resp_1", organization_id="org_1"):
    return BUILD[method](response_id, organization_id=organization_id)


async def with_exchange(hook, work, **options):
    """Do something with an exchange of the hook's connection."""
    sender = await AsyncTransport(hook.settings).open(**options)
    try:
        return await work(AsyncExchange(sender))
    finally:
        await sender.close()


def ask_blocking(hook, request, budget=2.0, response_id="resp_1"):
    return hook._exchange.ask(request, Budget(budget), response_id=response_id, attempts=1)


def ask_async(hook, request, budget=2.0, response_id="resp_1"):
    """Ask once, in an event loop that is there for this only."""
    return asyncio.run(
        with_exchange(hook, lambda exchange: exchange.ask_once(request, Budget(budget), response_id=response_id))
    )


SIDES = {"blocking": ask_blocking, "asynchronous": ask_async}
