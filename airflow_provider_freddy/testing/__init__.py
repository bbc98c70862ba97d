"""
A fake Freddy: a real HTTP server to test DAGs against, with faults on demand and a journal of what ran.

Needs the ``testing`` extra. Nothing of it is imported before it is asked for, because the pytest plugin of this
package is loaded in every pytest run of everybody who has the provider.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_freddy.testing.server import FakeFreddy

__all__ = ["FakeFreddy"]


def __getattr__(name: str) -> Any:
    if name != "FakeFreddy":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from airflow_provider_freddy.testing.server import FakeFreddy
    except ModuleNotFoundError as error:
        raise ImportError(
            f"The fake Freddy needs {error.name}: pip install 'airflow-provider-freddy[testing]'"
        ) from error
    return FakeFreddy
