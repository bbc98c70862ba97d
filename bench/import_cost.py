"""
What a DAG file pays for an import, beyond Airflow itself.

Fresh interpreters that have loaded ``airflow.sdk`` as a task process has. Ours is everything at once that a DAG file
can want; a peer's is one module.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any

from bench.child import call
from bench.options import Options
from bench.report import Goal, Row

TITLE = "Import of what stands in a DAG file"
FLOOR = "empty package"
OURS = "airflow_provider_freddy"
PEERS = {
    "airbyte": "airflow.providers.airbyte.operators.airbyte",
    "dbt-cloud": "airflow.providers.dbt.cloud.operators.dbt",
    "databricks": "airflow.providers.databricks.operators.databricks",
    "http": "airflow.providers.http.operators.http",
    "openai": "airflow.providers.openai.operators.openai",
}
HTTP_LIBRARIES = ("requests", "urllib3", "aiohttp", "httpx2", "openai", "asgiref")


def dag_facing() -> list[str]:
    """Return the modules of the provider that a DAG file imports, as far as this version has them."""
    names = ["callbacks", "exceptions", "guard", "hooks.freddy"]
    for package in ("decorators", "links", "notifications", "operators", "sensors"):
        if _exists(f"{OURS}.{package}"):
            paths = import_module(f"{OURS}.{package}").__path__
            names += [f"{package}.{module.name}" for module in iter_modules(paths)]
    return [f"{OURS}.{name}" for name in sorted(names)]


def _exists(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def cost(names: list[str]) -> dict[str, Any]:
    """
    Import modules and return what it has cost; called in a fresh interpreter.

    :param names: the modules.
    """
    import psutil  # type: ignore[import-untyped]
    from airflow.sdk import DAG, BaseOperator, task  # ruff: ignore[unused-import]

    process = psutil.Process()
    seen = set(sys.modules)
    memory = process.memory_info().rss
    start = time.perf_counter()
    for name in names:
        import_module(name)
    milliseconds = 1000 * (time.perf_counter() - start)
    new = set(sys.modules) - seen
    return {
        "milliseconds": milliseconds,
        "megabytes": (process.memory_info().rss - memory) / 2**20,
        "modules": len([name for name in new if not name.startswith((OURS, "bench"))]),
        "http": len([name for name in new if name.split(".")[0] in HTTP_LIBRARIES]),
    }


def measure(options: Options) -> list[Row]:
    """
    Import ours, the floor and the peers in turns.

    :param options: rounds.
    """
    cases = {OURS: dag_facing(), FLOOR: ["bench.floor_package.operators"]}
    cases |= {name: [module] for name, module in PEERS.items() if _exists(module)}
    samples: dict[str, list[dict[str, Any]]] = {name: [] for name in cases}
    # The first round fills the file cache, and is thrown away.
    for round_number in range(options.rounds + 1):
        for name, modules in cases.items():
            sample = call("bench.import_cost:cost", modules)
            if round_number:
                samples[name].append(sample)

    def column(key: str, name: str) -> list[float]:
        return [float(sample[key]) for sample in samples[name]]

    others = [name for name in cases if name != OURS]
    heavy = [Goal(at_most=1 / 50, of="http"), Goal(at_most=1 / 180, of="openai")]
    return [
        Row(
            "import, ms (ours: all that stands in a DAG file together)",
            column("milliseconds", OURS),
            {name: column("milliseconds", name) for name in others},
            [Goal(at_most=4, of=FLOOR), *heavy],
        ),
        Row(
            "new modules outside the package itself",
            column("modules", OURS),
            {name: column("modules", name) for name in others if name != FLOOR},
            [Goal(at_most=12)],
        ),
        Row(
            "HTTP modules among them",
            column("http", OURS),
            {name: column("http", name) for name in others if name != FLOOR},
            [Goal(at_most=0)],
        ),
    ]
