from __future__ import annotations

import pytest

from airflow_provider_freddy.core.identifier import MAX_LENGTH, check_identifier


@pytest.mark.parametrize(
    "value", ["resp_abc123", "r", "-1", "_", "resp:1", "a.b", "a..b", "user@example", "a=b+c~d", "x" * MAX_LENGTH]
)
def test_an_id_is_returned_as_it_is(value):
    assert check_identifier(value, "response id") == value


@pytest.mark.parametrize("value", ["", " ", "\t\n", "None", "none", "NULL", "nan", "undefined", "True", "false"])
def test_what_a_template_without_a_value_renders_to_is_told_as_such(value):
    with pytest.raises(ValueError, match="template"):
        check_identifier(value, "response id")


@pytest.mark.parametrize(
    "value",
    [
        *[".", "..", "../x", "./x", ".hidden", "/", "a/b", "a\\b", "a?b", "a#b", "a&b", "a%2Fb", "%2e%2e", "a;b"],
        *["\n", "a\n", "\na", "a\r\nX-Evil: 1", "a b", " a", "a ", "a\tb", "a\x00b", "a\x7f", "a'b", 'a"b', "<a>"],
        *[
            "ä",
            "résp",
            "日本",
            "\u200b",
            "a\u200b",
            "a\u2028",
            "\ud800",
            "\uff11\uff12",
            "{{ x }}",
            "['resp_1']",
            "(1,)",
        ],
    ],
)
def test_nothing_that_could_change_a_url_is_an_id(value):
    with pytest.raises(ValueError, match="response id"):
        check_identifier(value, "response id")


@pytest.mark.parametrize("value", [None, 1, 1.5, True, b"resp_1", ["resp_1"], {"id": "resp_1"}, object()])
def test_an_id_is_text(value):
    with pytest.raises(ValueError, match=f"must be a string, not {type(value).__name__}"):
        check_identifier(value, "response id")


@pytest.mark.parametrize("length", [MAX_LENGTH + 1, 10_000])
def test_an_id_that_is_too_long_is_not_repeated_in_full(length):
    with pytest.raises(ValueError, match=f"has {length} characters") as caught:
        check_identifier("x" * length, "response id")
    assert len(str(caught.value)) < 200


def test_a_list_rendered_as_text_is_told_as_such():
    with pytest.raises(ValueError, match="list rendered as text"):
        check_identifier("['resp_1', 'resp_2']", "response id")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("a b", "'a b' has characters that no id has."),
        ("X/", "'X/' has characters that no id has."),
        ("['1']", "has characters that no id has. It looks like a list rendered as text: pass the XComArg itself."),
        (
            "None",
            "a template that found nothing. Check that the task which should push it has run and has pushed it.",
        ),
    ],
)
def test_what_is_wrong_is_told_to_the_end(value, words):
    with pytest.raises(ValueError, match="The response id") as caught:
        check_identifier(value, "response id")
    assert str(caught.value).endswith(words)
