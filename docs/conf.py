"""Sphinx: the pages are Markdown (MyST), the API reference comes from the docstrings. `make docs` builds it."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

if "AIRFLOW_HOME" not in os.environ:
    # Airflow, which the docstrings' modules import, would write its configuration into the home of whoever builds.
    os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="freddy-docs-")
    atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)

from airflow_provider_freddy import __version__

project = "airflow-provider-freddy"
author = "The maintainers of airflow-provider-freddy"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"{project} {__version__}"
# The pages are whole without asking anybody else.
html_copy_source = False
html_show_copyright = False

# In the order in which the source has them, which is the order of a first reading.
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_typehints_format = "short"

# A reference to something that does not exist breaks the build. What others document cannot be looked up from here.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(airflow|collections|enum|pendulum|pytest|requests)\..+"),
    # Airflow's, as the annotations and docstrings of the code name them; and two aliases of a type.
    ("py:exc", r"Airflow\w+"),
    ("py:class", "BaseOperator|Context|TaskInstanceKey|XComArg|OnOtherEnd|PollInterval"),
    # What nobody calls from outside.
    ("py:class", r"airflow_provider_freddy\.(core\.request\.ApiRequest|deferrable\.DeferrableOperator|guard\.D)"),
    ("py:class", r"airflow_provider_freddy\.operators\.starts_response\.StartsResponse"),
]
