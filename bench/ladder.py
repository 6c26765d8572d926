"""The ladder: from the naive compiled loop to the fast kernel, one idea on each rung.

A rung is plain.py, or compiled.py with what higher rungs add switched off; each is checked against
an epoch in float64 first. One thread, in shuffled order, batches of 100 at eps 0.1 and of 1 at
eps 0. "ratio" is the time over that of the whole float32 kernel.
"""

import sys
import types
from functools import cache
from pathlib import Path

import numpy as np
from numba import njit

from bench.data import BATCH, numpy_epoch, start
from bench.kernels import epoch
from bench.timing import measure
from numlin.kernels import compiled, plain
from numlin.kernels.jit import OPTIONS
from numlin.kernels.screening import Screening

STRICT = OPTIONS | {"fastmath": False}
NARROW = ("    wide_vectors()\n", "")
ONE_ROW = ("GROUP = 4 ", "GROUP = 1 ")
NO_BLOCKS = (
    ("BLOCK, BLOCK_BYTES = 128,", "BLOCK, BLOCK_BYTES = 4,"),
    ("LOOK_AHEAD = 32 ", "LOOK_AHEAD = 4 "),
)
NOT_AHEAD = (
    ("        prefetch(X, i, byte)", "        pass"),
    ("    prefetch(X, i, n_bytes - 1)", "   "),
)
IN_FLOATS = (("        MULTIPLIES_BYTES\n", "        False\n"),)
RUNGS = {  # name: what it adds, module, what is switched off in its source
    "loops as written": ("every sum in the order in which it stands", plain, ()),
    "re-association": (
        "a sum may be split into independent ones, in packed instructions",
        plain,
        (),
    ),
    "one row at a time": (
        "samples that are not active cost one product; sums in the type of w",
        compiled,
        (NARROW, ONE_ROW, *NO_BLOCKS, *NOT_AHEAD),
    ),
    "wide vectors": (
        "512-bit registers, where the processor has them",
        compiled,
        (ONE_ROW, *NO_BLOCKS, *NOT_AHEAD),
    ),
    "four rows at a time": (
        "one reading of w serves four rows",
        compiled,
        (*NO_BLOCKS, *NOT_AHEAD),
    ),
    "blocks": ("more rows are scored together, and stay valid until w moves", compiled, NOT_AHEAD),
    "reading ahead": ("rows are asked for before their turn comes", compiled, ()),
}


def rows(data, options):
    """Rows of the group `ladder`."""
    exact = cache(
        lambda *key: numpy_epoch(
            data.stored("float64"), data.y.astype(np.float64), start(data, *key), np.float64
        )
    )
    X, cases, kernels = data.stored("float32"), [], rungs()
    widened = variant(compiled, IN_FLOATS)
    for key in ((0.1, BATCH), (0.0, 1)):
        for name, kernel in kernels.items():
            cases.append(_case(name, RUNGS[name][0], kernel, X, data, key, exact))
        note = "a quarter of the bytes, widened in registers"
        cases.append(_case("raw uint8", note, widened, data.pixels, data, key, exact))
    note = "rows that a sum of bytes shows not to be active are not widened"
    bounded = _case("integers", note, compiled.sgd_epoch, data.pixels, data, (0.1, BATCH), exact)
    screened = _case(
        "screening", "rows that provably contribute nothing are left out; float32",
        compiled.sgd_epoch, X, data, (0.1, BATCH), exact,
    )  # fmt: skip
    screen = Screening(X, screened.run.w).screen()
    screened.run.arguments = screened.run.arguments._replace(screen=screen)
    n_rounds = 7 if options.quick else 30
    return measure("ladder", [*cases, bounded, screened], n_rounds, 0.5 if options.quick else 5)


def _case(name, note, kernel, X, data, key, exact):
    """The case of `bench.kernels.epoch` with this kernel, under the rung's name."""
    case = epoch("numba", X, data, key, exact)
    case.run.kernel = kernel
    case.name, case.note = f"{name}, batch {key[1]}", note
    case.baseline = f"reading ahead, batch {key[1]}"
    return case


def rungs():
    """{name: sgd_epoch} of the rungs, in order; all but the last are compiled anew."""
    found = {}
    for name, (_, module, off) in RUNGS.items():
        strict = name == "loops as written"
        found[name] = variant(module, off, STRICT) if off or strict else module.sgd_epoch
    return found


def variant(module, changes, options=OPTIONS):
    """`sgd_epoch` of a copy of a module of kernels, (old, new) changed in its source.

    Compiled with `options`, and kept in memory only.
    """
    source = Path(module.__file__).read_text().replace("\n@jit\n", "\n@_compile\n")
    for old, new in changes:
        if old not in source:
            raise ValueError(f"{module.__file__}: found no {old!r} to change")
        source = source.replace(old, new)
    copy = types.ModuleType(f"{module.__name__}_{len(sys.modules)}")
    copy.__dict__["_compile"] = njit(**options)
    sys.modules[copy.__name__] = copy  # Numba looks functions up there
    exec(compile(source, module.__file__, "exec"), copy.__dict__)
    return copy.sgd_epoch
