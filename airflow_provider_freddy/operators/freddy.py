"""The operators: start a response and see it through, and cancel responses."""

from airflow_provider_freddy.operators.cancel_response import CancelResponseOperator
from airflow_provider_freddy.operators.create_response import CreateResponseOperator

__all__ = ["CancelResponseOperator", "CreateResponseOperator"]
