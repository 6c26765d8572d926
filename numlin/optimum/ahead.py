"""Compile the kernels of the optimum beside other work, where they are not on disk yet.

Numba compiles one function after the other in a process. What a second process compiles, the first
one finds on disk, like that of any earlier run; so where nothing can be stored, nothing is begun.
"""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from numlin.balls import LINF_BOX
from numlin.kernels.jit import is_stored
from numlin.optimum import path
from numlin.optimum.pivots import pivots

ROOT = Path(__file__).parent.parent.parent  # where numlin is found
PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.SIG_DFL)
from numlin.optimum.ahead import compile_kernels
compile_kernels()
"""


@contextmanager
def compiling():
    """Have the kernels compiled while this block runs, if they must be; at its end they are."""
    if is_stored(pivots) is not False:
        yield
        return
    child = _start()
    try:
        yield
        if child:
            child.wait()
    finally:
        if child:
            child.kill()
            child.wait()


def _start():
    """The process that compiles, with this numlin and nothing of the present folder; or None."""
    search = filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))
    try:
        return subprocess.Popen(
            [sys.executable or "python3", "-P", "-c", PROGRAM],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(search)},
        )
    except OSError:  # no room for another process: all is compiled in this one
        return None


def compile_kernels():
    """Solve a small problem of raw pixels, free and in the box: every kernel has a part in it."""
    rng = np.random.default_rng(0)
    y = np.where(np.arange(60) % 2, 1, -1).astype(np.int8)
    contrast = 25 * y[:, None] * (np.arange(24) % 3 - 1)
    X = np.clip(rng.normal(120 + contrast, 60), 0, 255).astype(np.uint8)
    path(X, y, (0.1, 0.2))
    path(X, y, (0.1, 0.2), ball=LINF_BOX)
