"""`python -m selectllm`."""

import os
import sys

# Python looks for modules in the current folder first, so that a file called yaml.py in a pool's
# folder would be run as the library. Code of the user's own is looked for by core/modules.py.
if not sys.flags.safe_path and sys.path and os.path.abspath(sys.path[0]) == os.getcwd():
    del sys.path[0]

from selectllm.cli import script

script()
