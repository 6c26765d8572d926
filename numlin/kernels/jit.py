"""The one place for Numba's options, and for what makes stored machine code stale."""

import pickle
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from llvmlite.binding import get_host_cpu_name
from numba import config, types
from numba.core import cgutils
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.registry import CPUDispatcher
from numba.extending import intrinsic

from numlin.support.files import replacing
from numlin.support.progress import say
from numlin.support.text import printable

NO_JIT = bool(config.DISABLE_JIT)  # type: ignore[attr-defined]  # $NUMBA_DISABLE_JIT
PROCESSOR = get_host_cpu_name()  # as LLVM knows it: "znver4", "graniterapids", ...
ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    [
        *(ROOT / "kernels").glob("*.py"),
        *(ROOT / "optimum").rglob("*.py"),
        *(ROOT / name for name in ("losses.py", "balls.py", "support/arguments.py")),
    ]
)
STAMP = sha256(b"".join(path.read_bytes() for path in SOURCES)).hexdigest()

# What the compiler may assume about floating point, flag by flag:
#   reassoc   a sum may be split into independent partial sums: without it a dot product is
#             one long chain of additions, each waiting for the one before
#   contract  a*b + c may be one fused multiply-add, rounded once instead of twice
#   nsz       the sign of a zero does not matter
# Left out: nnan and ninf, since a NaN must reach the loss, and arcp and afn, which gain nothing.
FASTMATH = {"reassoc", "contract", "nsz"}

# nogil: threads train side by side. error_model "numpy": 1/0 is infinite, not an exception. Numba
# makes two wrappers of a function, to be called by Python and by C: nothing here is called by C.
OPTIONS = {"fastmath": FASTMATH, "nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}


class _Stored(IndexDataCacheFile):
    """Numba's files of machine code, each ending with its sha256: a wrong bit is never run."""

    def _dump(self, obj):
        content = super()._dump(obj)
        return content + sha256(content).digest()

    @contextmanager
    def _open_for_write(self, filepath):
        with replacing(filepath) as temporary, open(temporary, "wb") as file:
            yield file

    def _load_data(self, name):
        content = Path(self._data_path(name)).read_bytes()
        if sha256(content[:-32]).digest() != content[-32:]:
            raise ValueError(f"{name} is damaged")
        return pickle.loads(content)


class _Cache(FunctionCache):
    """Numba's store of machine code, stale as soon as anything in `SOURCES` changes.

    Numba renews it when the file of the function itself changes; but a kernel takes constants,
    options and other kernels from files beside its own, and must never run with old ones. What
    cannot be read is compiled and stored anew, and what cannot be stored is compiled all the same.
    """

    def __init__(self, function):
        super().__init__(function)
        self._cache_file = _Stored(self._cache_path, self._impl.filename_base, STAMP)

    def load_overload(self, *arguments):
        try:
            return super().load_overload(*arguments)
        except Exception as error:  # a damaged pickle raises any kind
            self._say_once(error)
            with suppress(OSError):
                self.flush()

    def save_overload(self, *arguments):
        try:
            super().save_overload(*arguments)
        except Exception as error:
            self._say_once(error)

    def _say_once(self, error, said=[]):  # noqa: B006, one list for all kernels
        if not said:
            said.append(error)
            why = printable(f"the cache {self._cache_path} is of no use: {error}")
            say(f"numlin: compiling anew, {why}")


class _Compiled(CPUDispatcher):
    """A compiled function: for Python as it is, for other compiled functions as `inner`.

    `inner` has no wrapper for Python and is not stored, as its code becomes part of theirs: a third
    less to compile for an epoch of SGD, and one file instead of forty.
    """

    def __init__(self, function):
        options = {"nopython": True, **OPTIONS}
        super().__init__(function, targetoptions=options)
        self.inner = CPUDispatcher(function, targetoptions={**options, "no_cpython_wrapper": True})

    @property
    def _numba_type_(self):
        return types.Dispatcher(self.inner)


def jit(function):
    """Compile `function` when first called; keep the machine code on disk where possible.

    Numba stores it in ``__pycache__`` beside the source, else in the user's cache directory
    (``$NUMBA_CACHE_DIR`` goes first). Where none can be written, each process compiles anew, and so
    it does, saying so once, where what is stored is damaged or the disk is full.
    """
    if NO_JIT:
        return function
    dispatcher = _Compiled(function)
    with suppress(RuntimeError):  # no folder to write to
        dispatcher._cache = _Cache(function)
    return dispatcher


def is_stored(function):
    """Whether machine code of a compiled function is on disk; None where none can be stored."""
    cache = getattr(function, "_cache", None)
    if not isinstance(cache, _Cache):
        return None
    try:
        return bool(cache._cache_file._load_index())
    except Exception:  # a damaged pickle raises any kind, as in load_overload
        return False


@intrinsic
def _llvm_prefetch(_, X, i, byte):
    """Ask for the cache line of this byte of X[i], for reading, into the second-level cache."""

    def build(context, builder, signature, arguments):
        X, i, byte = arguments
        array = context.make_array(signature.args[0])(context, builder, X)
        row = cgutils.get_item_pointer(context, builder, signature.args[0], array, [i, i.type(0)])
        address = builder.gep(builder.bitcast(row, cgutils.voidptr_t), [byte])
        flag = cgutils.ir.IntType(32)
        prefetch = builder.module.declare_intrinsic(
            "llvm.prefetch",
            [address.type],
            cgutils.ir.FunctionType(cgutils.ir.VoidType(), [address.type, flag, flag, flag]),
        )
        read, second_level, data = flag(0), flag(2), flag(1)
        builder.call(prefetch, [address, read, second_level, data])
        return context.get_dummy_value()

    return types.void(X, types.intp, types.intp), build


@intrinsic
def _llvm_wide_vectors(_):
    """Let LLVM use 512-bit registers in the calling function where the processor has them.

    It would use 256 bits, as the first such processors slowed down at 512. For loops that wait
    for memory, half the instructions means that the processor sees twice as far ahead. llvmlite's
    own `add` takes only the attributes it knows, hence `set.add`.
    """

    def build(context, builder, signature, arguments):
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), build


def _nothing(*arguments):
    """What a hint to the compiler comes to when nothing is compiled."""


prefetch = _nothing if NO_JIT else _llvm_prefetch
wide_vectors = _nothing if NO_JIT else _llvm_wide_vectors
