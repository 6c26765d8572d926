"""The one place for Numba's options."""

from numba import njit

# What the compiler may assume about floating point, flag by flag:
#   reassoc   a sum may be split into independent partial sums: this alone lets the dot
#             product run in vector registers (left out, it is one long dependency chain)
#   contract  a*b + c may be one fused multiply-add, with one rounding instead of two
#   nsz       the sign of a zero does not matter
# Left out: nnan and ninf (a NaN must reach the loss), arcp and afn (nothing gained).
FASTMATH = {"reassoc", "contract", "nsz"}

# nogil lets threads train side by side; error_model="numpy" makes 1/0 infinite, not an exception.
OPTIONS = {"fastmath": FASTMATH, "nogil": True, "error_model": "numpy"}


def jit(function):
    """Compile `function` on first call; keep the machine code on disk where that is possible.

    Numba stores it in ``__pycache__`` beside the source, else in the user's cache directory
    (or in ``$NUMBA_CACHE_DIR``). Where none of them can be written, each process compiles anew.

    The stored code is renewed when the source file of `function` changes, but not when a
    function that it calls from another file does: kernels call only their own file.
    """
    try:
        return njit(cache=True, **OPTIONS)(function)
    except RuntimeError:
        return njit(**OPTIONS)(function)

