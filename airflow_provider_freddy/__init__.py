"""Apache Airflow provider for the Freddy model API."""

__version__ = "0.1.0"
