"""How Sphinx builds the documentation: from these pages and the docstrings alone, with no network."""

from __future__ import annotations

import sys
from pathlib import Path

import mlops_kit

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from reference_pages import write_reference_pages  # noqa: E402 - found beside this file, once it is on the path

project = "mlops_kit"
author = "The mlops_kit developers"
release = version = mlops_kit.__version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

default_role = "py:obj"  # a name in single backticks is a link where it is in the reference
autosummary_generate = False
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

html_theme = "furo"
html_title = f"mlops_kit {release}"
html_copy_source = False

write_reference_pages(HERE / "reference" / "generated")
