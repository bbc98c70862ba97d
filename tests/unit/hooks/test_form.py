from __future__ import annotations

import json

from airflow_provider_freddy.core.endpoint import AUTH_SCHEMES, CONN_TYPE, DEFAULT_AUTH_SCHEME, DEFAULT_BASE_URL
from airflow_provider_freddy.hooks.form import conn_fields, declared_ui_field_behaviour
from airflow_provider_freddy.hooks.freddy import FreddyHook


def test_both_forms_have_the_same_labels_placeholders_and_hidden_fields():
    declared, widgets = declared_ui_field_behaviour(), FreddyHook.get_ui_field_behaviour()
    assert declared["hidden-fields"] == widgets["hidden_fields"]
    assert declared["relabeling"] == widgets["relabeling"]
    assert declared["placeholders"] == widgets["placeholders"]


def test_the_fields_that_are_not_used_are_hidden_and_no_other():
    assert sorted(FreddyHook.get_ui_field_behaviour()["hidden_fields"]) == ["login", "schema"]


def test_the_form_shows_where_key_and_base_url_belong():
    form = FreddyHook.get_ui_field_behaviour()
    assert form["relabeling"]["password"] == "API key"
    assert form["placeholders"]["host"] == DEFAULT_BASE_URL
    json.loads(form["placeholders"]["extra"])


def test_the_custom_fields_are_those_that_a_connection_reads():
    fields = conn_fields()
    assert set(fields) == {"organization_id", "auth_scheme", "link_base_url"}
    schema = fields["auth_scheme"]["schema"]
    # Each of them is an entry of a menu, and "null" would be one, too.
    assert schema["enum"] == list(AUTH_SCHEMES)
    assert schema["default"] == DEFAULT_AUTH_SCHEME
    json.dumps(fields)


def test_the_hook_belongs_to_the_connection_type():
    assert (FreddyHook.conn_type, FreddyHook.conn_name_attr) == (CONN_TYPE, "freddy_conn_id")
    assert FreddyHook().freddy_conn_id == FreddyHook.default_conn_name == "freddy_default"
