from __future__ import annotations

import pytest

from airflow_provider_freddy.core.link import check_link_base_url, response_link


@pytest.mark.parametrize(
    ("base_url", "link"),
    [
        ("https://a.example", "https://a.example/v1/model/response/resp_1?organizationId=org_1"),
        ("http://a.example", "http://a.example/v1/model/response/resp_1?organizationId=org_1"),
        ("https://a.example/freddy/", "https://a.example/freddy/v1/model/response/resp_1?organizationId=org_1"),
        ("https://a.example/r/{response_id}", "https://a.example/r/resp_1"),
        (
            "https://a.example/{organization_id}?r={response_id}#top",
            "https://a.example/org_1?r=resp_1#top",
        ),
    ],
)
def test_the_base_url_may_say_where_the_ids_belong(base_url: str, link: str) -> None:
    assert response_link(check_link_base_url(base_url), "resp_1", "org_1") == link


def test_ids_are_quoted() -> None:
    assert response_link("https://a.example/{response_id}", "a/b", "o") == "https://a.example/a%2Fb"
    assert response_link("https://a.example", "a/b", "o&x=1").endswith("/a%2Fb?organizationId=o%26x%3D1")


@pytest.mark.parametrize(
    "text",
    [
        "a.example",
        "ftp://a.example",
        "javascript:alert(1)//{response_id}",
        "https://",
        "https://user:secret@a.example",
        "https://a.example/ {response_id}",
        "https://a.example?x=1",
        "https://a.example#top",
        "https://a.example?o={organization_id}",
    ],
)
def test_what_a_browser_should_not_open_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="link_base_url") as caught:
        check_link_base_url(text)
    assert "secret" not in str(caught.value)
