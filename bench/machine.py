"""Where the numbers come from."""

import os
from pathlib import Path

import numba
import numpy as np

from numlin.support.environment import environment as numlin_environment


def environment():
    """numlin's own description of the environment, and what matters for speed: JSON-ready."""
    return numlin_environment() | {
        "caches": _caches(),
        "huge_pages": _text("/sys/kernel/mm/transparent_hugepage/enabled"),
        "blas": _blas(),
        "numba_threads": numba.config.NUMBA_NUM_THREADS,
        "threads": {
            name: value
            for name, value in sorted(os.environ.items())
            if name.endswith("_NUM_THREADS") or name == "XLA_FLAGS"
        },
    }


def _caches():
    """Size of each cache of the first processor as Linux tells it, such as {"L1 Data": "48K"}."""
    found = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (_text(folder / part) for part in ("level", "type", "size"))
        found[f"L{level} {kind}"] = size
    return found


def _blas():
    """NumPy's BLAS: its name and version."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{blas['name']} {blas['version']}"


def _text(path):
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None
