"""Make the one copy of Vega that HTML reports carry, with its licences and its hash.

    python -m venv VENV && VENV/bin/pip install vl-convert-python==1.9.0
    VENV/bin/python tools/vega_bundle.py

Needs npm, for the licences alone. Writes vega.js, vega.sha256 and VEGA-LICENSES.txt into
selectllm/report/html/assets; the bundle is the one of `vl_convert.javascript_bundle()`, in a
function of its own so that its names are not the page's.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import vl_convert

ASSETS = Path(__file__).parents[1] / "selectllm" / "report" / "html" / "assets"
VEGA_LITE, VEGA_EMBED = "6.4", "7"
INTERPRETER = "expressionInterpreter"


def bundle() -> str:
    """The bundle, which must hold Vega's interpreter of expressions: pages allow no eval."""
    made = vl_convert.javascript_bundle(vl_version=VEGA_LITE)
    if INTERPRETER not in made:
        sys.exit("the bundle holds no expression interpreter; take another version of vl-convert")
    return f"(() => {{\n{made}\n}})();\n".replace("</script", "<\\/script").replace(
        "<!--", "<\\!--"
    )


def licences() -> str:
    """The licence of every package in the bundle, as npm has it."""
    holders: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        packages = [f"vega@{vl_convert.get_vega_version()}", f"vega-lite@{VEGA_LITE}"]
        packages += [f"vega-embed@{VEGA_EMBED}", "lodash.debounce@4"]
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *packages]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        for described in sorted(Path(folder).glob("node_modules/**/package.json")):
            about = json.loads(described.read_text(encoding="utf-8"))
            texts = sorted(described.parent.glob("LICEN[SC]E*"))
            if "version" in about and texts:
                name = f"{about['name']} {about['version']} ({about.get('license')})"
                holders.setdefault(texts[0].read_text(encoding="utf-8").strip(), []).append(name)
    first = f"vega.js: made by vl-convert {vl_convert.__version__} of packages among these."
    rule = f"\n\n{'-' * 80}\n\n"
    each = ("\n".join(sorted(names)) + f"\n\n{text}" for text, names in holders.items())
    return rule.join([first, *each]) + "\n"


def main() -> None:
    """Write the three files."""
    text = bundle()
    (ASSETS / "vega.js").write_text(text, encoding="utf-8", newline="")
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    (ASSETS / "vega.sha256").write_text(f"{digest}  vega.js\n", encoding="utf-8")
    (ASSETS / "VEGA-LICENSES.txt").write_text(licences(), encoding="utf-8")


if __name__ == "__main__":
    main()
