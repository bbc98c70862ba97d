"""The plugin by which Airflow finds the listener (entry point ``airflow.plugins``); imported in every process."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_freddy.version_compat import in_api_server

if in_api_server():
    from airflow_provider_freddy import listener

    _listeners: list[object] = [listener]
else:
    # Nowhere else: where DAG files are parsed, a listener makes Airflow refuse tasks of other providers that end from
    # their trigger.
    _listeners = []


class FreddyPlugin(AirflowPlugin):
    """Brings the listener."""

    name = "freddy"
    listeners = _listeners
