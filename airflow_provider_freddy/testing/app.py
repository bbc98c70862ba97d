"""The routes of the contract."""

from __future__ import annotations

import asyncio
import functools
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airflow_provider_freddy.testing import wire
from airflow_provider_freddy.testing.behaviour import Behaviour, checked_body, credentials
from airflow_provider_freddy.testing.errors import ApiError, invalid, refused
from airflow_provider_freddy.testing.faults import Faults
from airflow_provider_freddy.testing.journal import Journal, RequestRecord, ResponseRecord

Handler = Callable[[Request], Awaitable[Response]]

RATE_LIMIT = 600
RATE_LIMIT_SECONDS = 60
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@dataclass(frozen=True)
class Api:
    """
    Freddy's model-response API.

    :param behaviour: Whom to let in, and what to do with new responses.
    :param journal: Where responses live and requests are noted.
    :param faults: What is to go wrong.
    """

    behaviour: Behaviour
    journal: Journal
    faults: Faults

    def routes(self, base_path: str) -> list[Route]:
        """
        Return the API's routes, the last of which takes whatever no other does.

        :param base_path: What comes before ``/v1``: empty, or with a slash at its start and none at its end.
        """
        collection = f"{base_path}/v1/model/response"
        item = collection + "/{response_id}"
        return [
            Route(collection, self._observed(self._create), methods=["POST"]),
            Route(item, self._observed(self._retrieve), methods=["GET"]),
            Route(item, self._observed(self._cancel), methods=["DELETE"]),
            Route("/{path:path}", self._observed(self._unknown), methods=_METHODS),
        ]

    def _observed(self, handler: Handler) -> Handler:
        async def endpoint(request: Request) -> Response:
            began = time.perf_counter()
            request_id = request.state.request_id = f"req_{secrets.token_hex(12)}"
            self._note(request)
            await request.body()
            work = functools.partial(self._work, handler, request)
            fault = self.faults.take(request.method, request.path_params.get("response_id"))
            response = await (fault.reply(request, work) if fault else work())
            took = int(1000 * (time.perf_counter() - began))
            self.journal.amend(request_id, status=response and response.status_code, duration_ms=took)
            if response is None:
                # The connection is gone: this one goes nowhere.
                return Response()
            response.headers.update(self._headers(request_id, took))
            return response

        return endpoint

    def _note(self, request: Request) -> None:
        scheme, _ = credentials(request.headers)
        host, port = request.client or ("", 0)
        self.journal.received(
            RequestRecord(
                at=time.time(),
                method=request.method,
                path=request.url.path,
                response_id=request.path_params.get("response_id"),
                status=None,
                duration_ms=None,
                request_id=request.state.request_id,
                client=(host, port),
                auth_scheme=scheme,
                user_agent=request.headers.get("user-agent"),
                query=dict(request.query_params),
                headers=dict(request.headers),
            )
        )

    def _headers(self, request_id: str, took: int) -> dict[str, str]:
        return {
            "x-request-id": request_id,
            "freddy-processing-ms": str(took),
            "freddy-api-version": "v1",
            "aitronos-organization": self.behaviour.organization_id,
            "x-ratelimit-limit-requests": str(RATE_LIMIT),
            "x-ratelimit-remaining-requests": str(RATE_LIMIT - len(self.journal.requests()) % RATE_LIMIT),
            "x-ratelimit-reset-requests": str(RATE_LIMIT_SECONDS),
        }

    async def _work(self, handler: Handler, request: Request) -> Response:
        await asyncio.sleep(self.behaviour.latency)
        try:
            return await handler(request)
        except ApiError as error:
            return JSONResponse(error.body, error.status)

    async def _create(self, request: Request) -> Response:
        self._authenticate(request)
        body = checked_body(await request.body())
        self._authorize(body["organization_id"])
        try:
            plan = self.behaviour.plan_for(body.get("metadata") or {})
        except ValueError as error:
            raise invalid("body", "metadata", message=str(error), kind="value_error") from error
        record = self.journal.created(f"resp_{secrets.token_hex(16)}", plan, body)
        self.journal.amend(request.state.request_id, response_id=record.id)
        if body.get("background"):
            return JSONResponse(wire.created(record))
        final = await self._finished(record)
        return JSONResponse(wire.retrieved(final, self.behaviour.vocabulary))

    async def _finished(self, record: ResponseRecord) -> ResponseRecord:
        while record.ended_at is None:
            await asyncio.sleep(0.02)
            record = self._existing(record.id)
        return record

    async def _retrieve(self, request: Request) -> Response:
        self._authenticate(request)
        self._authorize_query(request)
        record = self._existing(request.path_params["response_id"])
        return JSONResponse(wire.retrieved(record, self.behaviour.vocabulary))

    async def _cancel(self, request: Request) -> Response:
        self._authenticate(request)
        self._authorize_query(request)
        response_id = request.path_params["response_id"]
        user_agent = request.headers.get("user-agent")
        match self.journal.cancel(response_id, request.state.request_id, user_agent):
            case None:
                raise refused(404)
            case "processing":
                return JSONResponse(wire.cancelled(self._existing(response_id), self.behaviour.vocabulary))
            case "queued":
                raise refused(400)
            case _:
                raise refused(409)

    async def _unknown(self, request: Request) -> Response:
        raise ApiError(404, {"detail": "Not Found"})

    def _authenticate(self, request: Request) -> None:
        _, key = credentials(request.headers)
        if key != self.behaviour.api_key:
            raise refused(401)

    def _authorize_query(self, request: Request) -> None:
        organization_id = request.query_params.get("organizationId")
        if not organization_id:
            raise invalid("query", "organizationId")
        self._authorize(organization_id)

    def _authorize(self, organization_id: object) -> None:
        if organization_id != self.behaviour.organization_id:
            raise refused(403)

    def _existing(self, response_id: str) -> ResponseRecord:
        record = self.journal.response(response_id)
        if record is None:
            raise refused(404)
        return record
