"""What Airflow's providers manager reads, in every process: it must import next to nothing."""

from __future__ import annotations

from typing import Any

from airflow_provider_freddy import __version__


def get_provider_info() -> dict[str, Any]:
    """Return the metadata of this provider (entry point ``apache_airflow_provider``)."""
    from airflow_provider_freddy.hooks.form import conn_fields, declared_ui_field_behaviour

    package = "airflow_provider_freddy"
    integration = "Freddy"
    return {
        "package-name": "airflow-provider-freddy",
        "name": integration,
        "description": "Model responses of Freddy that never outlive their task.",
        "versions": [__version__],
        "integrations": [
            {"integration-name": integration, "external-doc-url": "https://docs.aitronos.com", "tags": ["service"]}
        ],
        "hooks": [{"integration-name": integration, "python-modules": [f"{package}.hooks.freddy"]}],
        "operators": [{"integration-name": integration, "python-modules": [f"{package}.operators.freddy"]}],
        "sensors": [{"integration-name": integration, "python-modules": [f"{package}.sensors.freddy"]}],
        "triggers": [
            {
                "integration-name": integration,
                "python-modules": [f"{package}.triggers.freddy", f"{package}.triggers.cancel"],
            }
        ],
        "notifications": [f"{package}.notifications.freddy.CancelResponseNotifier"],
        "extra-links": [f"{package}.links.freddy.FreddyResponseLink"],
        "config": {
            "freddy": {
                "description": "Settings of the Freddy provider.",
                "options": {
                    "watchdog": {
                        "description": (
                            "Whether a task that starts model responses has a small process beside it, which cancels "
                            "them when the task's process is killed: on or off. Airflow itself may call nothing then."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "off",
                        "default": "on",
                    },
                    "guard_all_dags": {
                        "description": (
                            "Whether every DAG is guarded as by airflow_provider_freddy.guard.guard: its tasks and the "
                            "DAG itself get the callbacks that cancel what they have started."
                        ),
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": "True",
                        "default": "False",
                    },
                },
            }
        },
        "connection-types": [
            {
                "connection-type": "freddy",
                "hook-class-name": f"{package}.hooks.freddy.FreddyHook",
                "hook-name": integration,
                "conn-fields": conn_fields(),
                "ui-field-behaviour": declared_ui_field_behaviour(),
            }
        ],
    }
