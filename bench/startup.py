"""Cold start: three different numbers, each in a process of its own, wall time.

"compile" is the first call of the kernel with an empty cache on disk, "from cache" the first call
in the next process, "steady" a call after that: 200 rows, so that only the start is seen. "import"
is that of the compiled kernels, Numba included. "unwritable" compiles with a package and a home
that cannot be written to, where every process compiles again.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import numlin
from bench.timing import WrongResult, last_line
from numlin.support.progress import Progress

PROGRAM = """
import time
import json, sys
import numpy as np
start = time.perf_counter()
from numlin import kernels
from numlin.kernels import compiled
imported = time.perf_counter() - start
storage = sys.argv[1]
real = np.float64 if storage == "float64" else np.float32
rng = np.random.default_rng(0)
X = (rng.random((200, 784)) * (255 if storage == "uint8" else 1)).astype(storage)
y, w = np.tile(np.array([-1, 1], np.int8), 100), np.zeros(784, real)
arguments = kernels.arguments(X, y, w, 0.0, rng.permutation(200), np.full(2, 0.1), 100, eps=0.1)
seconds = []
for _ in range(20):
    start = time.perf_counter()
    compiled.sgd_epoch(*arguments)
    seconds.append(time.perf_counter() - start)
print(json.dumps({"import": imported, "first": seconds[0], "steady": sorted(seconds[1:])[9],
                  "norm": float(abs(w).sum())}))
"""


def rows(data, options):
    """Rows of the group `startup`."""
    storages = ["float32"] if options.quick else ["float32", "uint8", "float64"]
    n_rounds = 1 if options.quick else 3
    samples = {}
    with Progress("startup", n_rounds * (len(storages) + 1)) as progress:
        for _ in range(n_rounds):
            for storage in storages:
                for name, seconds in _cold_then_warm(storage).items():
                    samples.setdefault(name, []).append(seconds)
                progress.advance()
            samples.setdefault("compile float32, unwritable", []).append(_unwritable())
            progress.advance()
    return [_row(name, seconds) for name, seconds in samples.items()]


def _row(name, seconds):
    fixed = {"rows": 0, "n_bytes": 0, "flops": 0, "real": "float32", "baseline": "", "note": ""}
    return {
        "name": name,
        **fixed,
        "clock": "perf_counter",
        "seconds": seconds,
        "rounds": list(range(len(seconds))),
    }


def _cold_then_warm(storage):
    """Seconds of each stage by name, with a cache that was empty."""
    with tempfile.TemporaryDirectory(prefix="numlin-bench-") as cache:
        cold = _run(storage, {"NUMBA_CACHE_DIR": cache})
        if not any(Path(cache).rglob("*.nbi")):
            raise WrongResult(f"startup: no kernel was stored in {cache}")
        warm = _run(storage, {"NUMBA_CACHE_DIR": cache})
    if cold["norm"] != warm["norm"]:
        raise WrongResult(f"startup: the stored kernel for {storage} computes something else")
    return {
        f"import for {storage}": warm["import"],
        f"compile {storage}": cold["first"],
        f"from cache {storage}": warm["first"],
        f"steady {storage}": warm["steady"],
    }


def _unwritable():
    """Seconds of the first call where neither package nor home can be written."""
    with tempfile.TemporaryDirectory(prefix="numlin-bench-") as folder:
        package = Path(folder, "numlin")
        shutil.copytree(
            Path(numlin.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
        )
        for inside in (package, *filter(Path.is_dir, package.rglob("*"))):
            (inside / "__pycache__").touch()  # a file where Numba wants a folder
        found = _run("float32", {"HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null/none"}, folder)
        if list(Path(folder).rglob("*.nbi")):
            raise WrongResult("startup: the unwritable package was written to")
    return found["first"]


def _run(storage, changes, folder=Path(numlin.__file__).parent.parent):
    """What PROGRAM prints for a storage, with numlin from `folder` and a changed environment."""
    environment = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    environment |= {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"} | changes
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, storage],
        env=environment,
        text=True,
        capture_output=True,
        cwd=tempfile.gettempdir(),
        check=False,
    )
    if done.returncode:
        raise WrongResult(f"startup {storage}: {last_line(done)}")
    found = json.loads(done.stdout)
    if not np.isfinite(found["norm"]) or found["norm"] == 0:
        raise WrongResult(f"startup {storage}: the weights are {found['norm']}")
    return found
