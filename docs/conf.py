"""How the documentation is built: `make docs`."""

import html
import re
import shutil
import tomllib
from pathlib import Path

from docutils.nodes import abbreviation

_PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))[
    "project"
]

project = "selectllm"
author = "The selectllm authors"
release = _PROJECT["version"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_llm.txt"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = "selectllm"
html_static_path = ["_static"]
html_css_files = ["wrap.css"]
html_copy_source = False
html_show_sphinx = False

# Signatures say the types; a class shows what is its own.
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}

# A Markdown twin beside every page (PAGE.html.md), llms.txt and llms-full.txt.
llms_txt_description = _PROJECT["description"]
llms_txt_suffix_mode = "append"


def setup(app):
    """What the pages and their twins need of the docstrings."""
    app.connect("autodoc-process-docstring", _as_code)
    app.connect("doctree-resolved", _without_abbreviations)
    app.connect("build-finished", _beside_the_twins, priority=900)  # once they are there


def _as_code(app, what, name, obj, options, lines):
    """Docstrings mark code as Markdown does, by one backtick; to Sphinx it is two, `a_` a link."""
    text = re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", "\n".join(lines))
    lines[:] = re.sub(r"(?<![`\w])(\w+_)(?![\w`])", r"``\1``", text).split("\n")


def _without_abbreviations(app, doctree, docname):
    """The `*` of a signature as text in the twins, whose builder drops what it does not know."""
    if app.builder.name != "html":
        for node in [*doctree.findall(abbreviation)]:
            node.replace_self(node.children)


def _beside_the_twins(app, exception):
    """The pictures where the twins look for them, and llms.txt without entities of HTML."""
    if exception is not None or app.builder.name != "html":
        return
    out = Path(app.outdir)
    shutil.copytree(Path(app.srcdir) / "images", out / "images", dirs_exist_ok=True)
    listed = out / "llms.txt"
    listed.write_text(html.unescape(listed.read_text("utf-8")), "utf-8")
