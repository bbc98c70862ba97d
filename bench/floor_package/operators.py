"""The smallest module with an operator."""

from airflow.sdk import BaseOperator


class FloorOperator(BaseOperator):
    """Does nothing."""
