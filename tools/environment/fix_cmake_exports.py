"""Set this machine's Python and NumPy headers in the CMake exports of the ROS 2 wheels.

The exports contain two include folders of the machine that built the wheels.
"""

import os
import re
import sys
import sysconfig
from pathlib import Path

import numpy as np

_BUILDER = r"/opt/python/cp\d+-cp\d+"


def fix(prefix: Path) -> int:
    """Rewrite the exports below `prefix` in place; return the number of changed files."""
    python_headers = os.environ.get("CMAKE_INCLUDE_PATH") or sysconfig.get_paths()["include"]
    folders = {
        rf"{_BUILDER}/lib/python[\d.]+/site-packages/numpy/_core/include": np.get_include(),
        rf"{_BUILDER}/include/python[\d.]+": python_headers,
    }
    changed = 0
    for path in prefix.glob("share/*/cmake/*.cmake"):
        text = fixed = path.read_text()
        for pattern, folder in folders.items():
            fixed = re.sub(pattern, folder.replace("\\", r"\\"), fixed)
        if fixed != text:
            path.write_text(fixed)
            changed += 1
    return changed


if __name__ == "__main__":
    print(f"{fix(Path(sys.prefix))} CMake exports of the ROS 2 wheels adapted to this machine")
