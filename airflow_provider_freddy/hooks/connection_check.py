"""What the Test button asks Freddy, and what the answer means."""

from __future__ import annotations

from airflow_provider_freddy.connection import ConnectionSettings
from airflow_provider_freddy.core.problem import Problem, ProblemKind
from airflow_provider_freddy.core.reply import ModelResponse
from airflow_provider_freddy.core.request import ApiRequest, get_response_request

# A look at a response that cannot exist answers every question and bills nothing.
_NO_SUCH_RESPONSE = "resp_airflow_connection_test"
_NO_SUCH_ORGANIZATION = "org_airflow_connection_test"


def check_request(organization_id: str | None) -> ApiRequest:
    """
    Build the request of the connection test.

    :param organization_id: the organization of the connection, ``None`` if it has none.
    """
    return get_response_request(_NO_SUCH_RESPONSE, organization_id=organization_id or _NO_SUCH_ORGANIZATION)


def describe_check(answer: ModelResponse | Problem, settings: ConnectionSettings) -> tuple[bool, str]:
    """
    Say what the answer to the connection test means.

    :param answer: what came back.
    :param settings: the connection under test.
    :return: whether the connection works, and what to tell the user.
    """
    url, organization = settings.base_url, settings.organization_id
    not_freddy = f"{url} answers, but not as Freddy does. Check the base URL."
    if isinstance(answer, ModelResponse):
        return False, not_freddy
    if answer.http_status is None and answer.kind is ProblemKind.INVALID_REQUEST:
        return False, f"The connection cannot be used: {answer.message}"
    if answer.http_status is None and answer.kind is ProblemKind.UNAVAILABLE:
        return False, f"Cannot reach Freddy at {url}. {answer.message} Check host, port, http or https, and proxy."
    if answer.kind is ProblemKind.RATE_LIMITED:
        return False, f"{url} asks to slow down (HTTP 429). Test again in a while."
    # Freddy names every refusal with a code; a proxy or another product that answers 404 does not.
    if answer.code is None and (answer.http_status or 0) < 500:
        return False, f"{not_freddy} It said: {answer}"
    if answer.kind is ProblemKind.CREDENTIALS:
        return False, f"Freddy refuses the API key (auth scheme {settings.auth_scheme}). Check key and auth scheme."
    if organization is None and answer.kind in {ProblemKind.PERMISSION, ProblemKind.NOT_FOUND}:
        return True, "Freddy accepts the API key. There is no organization id here: every task has to name one."
    if answer.kind is ProblemKind.PERMISSION:
        return False, f"Freddy accepts the API key, but not for the organization {organization!r}."
    if answer.kind is ProblemKind.NOT_FOUND:
        return True, f"Freddy accepts the API key for the organization {organization!r}."
    return False, f"Freddy answers with an error. {answer}"
