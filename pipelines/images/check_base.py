"""Refuses a base image that the lock file is not for: ``python3 check_base.py [MODULE…]``.

Run at the start of a build, where nothing but Python is there.
"""

import sys
from importlib.util import find_spec

WANTED = (3, 11)

if __name__ == "__main__":
    if sys.version_info[:2] != WANTED:
        sys.exit(f"BASE has Python {sys.version.split()[0]}, and the lock file is for 3.11")
    for module in sys.argv[1:]:
        if find_spec(module) is None:
            sys.exit(f"BASE has no {module}, which its Python should find")
