"""Bounds in integers: which rows of raw pixels are certainly not active, at a fraction of the work.

To score a row of uint8 pixels in floating point, each of them has to be widened first, and that,
not reading, is what a row then costs. As they are, bytes can only be multiplied by bytes. So let q
be w / unit, rounded to integers of at most LARGEST, and r what rounding leaves::

    w = unit q + r,    x.w = unit (x.q) + x.r,    |x.r| <= 255 max(sum r_j^+, sum r_j^-)

as no pixel is negative. The sum x.q is exact, in any order: LARGEST is what keeps it so. For a
model of MNIST the score is known to about half of the largest weight. A sample whose robust margin
is at least 1 even so is not active, and nobody needs its score. All others, a few in a hundred more
than are active, are scored in floating point as ever, now from the cache; so no bit of any result
depends on this.

The bound must hold for the score that floating point gives. A dot product of n terms, summed in
any order, is off by at most about n u sum |x_j| |w_j|, u the unit roundoff of w's type. Four times
that with |x_j| = 255 is added, which also covers that r is computed and summed in that type, and a
relative 1e-9 for what float64 rounds here.

`dot_four_in_a_loop` is that sum as a plain loop, which is no faster than floating point, as Numba's
loops make no use of the instructions that multiply bytes and add the products up: vpdpbusd, 64 of
them by fours, of processors with AVX-512 VNNI, and vpmaddubsw, 32 of them by twos, of those with
AVX2. `_llvm_dot_four_bytes` spells the same loop in LLVM's words for them. Other processors score
all rows in floating point (MULTIPLIES_BYTES is false).

References
----------
Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1 (dot products).
Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, VPDPBUSD, VPMADDUBSW.
"""

import numpy as np
from numba import config, types
from numba.core import cgutils
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic, overload

from numlin.kernels.jit import NO_JIT, jit, wide_vectors
from numlin.kernels.screening import ROUND_UP
from numlin.support.arguments import CACHE_LINE, WHITE

ir = cgutils.ir
LARGEST = 64  # of |q|: two products, 2 * 255 * 64, fit in 16 bits; 127 would clear few rows more
ROOMY = 60  # of LARGEST is what the largest weight is when the unit is new
LEAST = 1e-30  # that the largest weight is taken for, so that 1 / unit is finite in float32
FEWEST_FEATURES = CACHE_LINE  # are read at a time
MOST_FEATURES = (2**31 - 1) // (WHITE * LARGEST)  # for 32 bits to hold x.q
MULTIPLIERS = {"vpdpbusd": {"+avx512vnni", "+avx512bw"}, "vpmaddubsw": {"+avx2"}}  # and who has it


def new_rounded(X):
    """Room for the n integers q, and once more for those of the last CACHE_LINE features.

    None if X (n_samples, n_features) is not of raw pixels: then Numba leaves out, unseen, what a
    function that is given it does after `if rounded is None: return`.
    """
    return np.empty(X.shape[1] + CACHE_LINE, np.int8) if X.itemsize == 1 else None


@overload(new_rounded)
def _new_rounded(X):
    if X.dtype == types.uint8:
        return lambda X: np.empty(X.shape[1] + CACHE_LINE, np.int8)
    return lambda X: None


@jit
def fits_in_integers(X):
    """Whether X (n_samples, n_features) is of raw pixels, and not of too few or too many a row."""
    return X.itemsize == 1 and FEWEST_FEATURES <= X.shape[1] <= MOST_FEATURES


@jit
def unit_for(w):
    """A unit of which the largest weight is ROOMY, as it may grow until the unit is renewed."""
    wide_vectors()
    largest = np.int64(0)
    for j in range(w.size):
        length = np.float64(abs(w[j]))
        largest = max(largest, length.view(np.int64))  # of the same order as the numbers
    largest = np.int64(largest).view(np.float64)
    return np.float64(w.dtype.type(max(largest, LEAST) / ROOMY if largest < np.inf else 1.0))


@jit
def round_weights(w, size, unit, rounded):
    """Round w to at most LARGEST units, in `rounded`; how far at most x.w is from unit (x.q).

    Returns that over 255. A unit that is too small for w is no error, only a looser bound. The last
    features are read once more with those before them, as a whole line: in the end of `rounded`
    those before them count 0. `size` is what a float64 margin is a sum of beside the score:
    1 + |b| + drop.
    """
    if rounded is None:
        return 0.0
    wide_vectors()
    real = w.dtype.type
    least, most, per_unit, unit = real(-LARGEST), real(LARGEST), real(1 / unit), real(unit)
    rest, lean, norm = real(0), real(0), real(0)
    for j in range(w.size):
        q = np.rint(w[j] * per_unit)
        q = least if q < least else (most if q > most else q)
        rounded[j] = np.int8(q)
        left = w[j] - unit * q
        rest += abs(left)
        lean += left
        norm += abs(w[j])
    seen = w.size // CACHE_LINE * CACHE_LINE
    for j in range(max(w.size - CACHE_LINE, 0), w.size):
        rounded[CACHE_LINE + j] = rounded[j] if j >= seen else 0
    roundoff = 2.0**-24 if w.itemsize == 4 else 2.0**-53
    rounding = 4 * (w.size + 16) * roundoff * norm + (ROUND_UP - 1) * (norm + size)
    return (rest + abs(lean)) / 2 + rounding


@jit
def dot_four_in_a_loop(X, g, h, i, k, rounded, *ahead):
    """X[g] . q, X[h] . q, X[i] . q and X[k] . q, exactly."""
    of_g = of_h = of_i = of_k = np.int32(0)
    for j in range(X.shape[1]):
        q = np.int32(rounded[j])
        of_g = np.int32(of_g + np.int32(X[g, j]) * q)
        of_h = np.int32(of_h + np.int32(X[h, j]) * q)
        of_i = np.int32(of_i + np.int32(X[i, j]) * q)
        of_k = np.int32(of_k + np.int32(X[k, j]) * q)
    return of_g, of_h, of_i, of_k


def multiplier():
    """The instruction that multiplies bytes, if Numba compiles for the processor as it is."""
    if config.CPU_NAME or config.CPU_FEATURES or NO_JIT:
        return None
    found = set(get_host_cpu_features().split(","))
    return next((name for name, needed in MULTIPLIERS.items() if needed <= found), None)


MULTIPLIER = multiplier()


def _multiply_add(builder, name):
    """LLVM types of a register of pixels and of sums, and what emits total + x.q by `name`."""
    byte, short, word = (ir.IntType(bits) for bits in (8, 16, 32))
    width = CACHE_LINE if name == "vpdpbusd" else CACHE_LINE // 2
    pixels, pairs, sums = (
        ir.VectorType(kind, width * 8 // kind.width) for kind in (byte, short, word)
    )

    def call(intrinsic, result, *operands):
        kind = ir.FunctionType(result, [operand.type for operand in operands])
        return builder.call(builder.module.declare_intrinsic(intrinsic, (), kind), operands)

    def four_products(total, x, q):
        x, q = (builder.bitcast(side, sums) for side in (x, q))
        return call("llvm.x86.avx512.vpdpbusd.512", sums, total, x, q)

    def two_products(total, x, q):
        of_two = call("llvm.x86.avx2.pmadd.ub.sw", pairs, x, q)
        of_four = call(
            "llvm.x86.avx2.pmadd.wd", sums, of_two, ir.Constant(pairs, [1] * (width // 2))
        )
        return builder.add(total, of_four)

    return pixels, sums, four_products if name == "vpdpbusd" else two_products


@intrinsic
def _llvm_dot_four_bytes(_, X, g, h, i, k, rounded, g_ahead, h_ahead, i_ahead, k_ahead, n_ahead):
    """`dot_four_in_a_loop` by the MULTIPLIER, a cache line of each row at a time.

    In step with it, the first n_ahead bytes of four other rows are asked for, into the second-level
    cache: one line for each that is used up, where a whole row at once makes the processor wait.
    """
    byte, word, long = (ir.IntType(bits) for bits in (8, 32, 64))

    def build(context, builder, signature, arguments):
        X, g, h, i, k, rounded, *ahead, n_ahead = arguments
        X_type, rounded_type = signature.args[0], signature.args[5]
        X = context.make_array(X_type)(context, builder, X)
        rounded = context.make_array(rounded_type)(context, builder, rounded)
        _, n_features = cgutils.unpack_tuple(builder, X.shape, 2)
        pixels, sums, multiply_add = _multiply_add(builder, MULTIPLIER)
        prefetch = builder.module.declare_intrinsic(
            "llvm.prefetch",
            (),
            ir.FunctionType(ir.VoidType(), [byte.as_pointer(), word, word, word]),
        )
        reduce = builder.module.declare_intrinsic(
            f"llvm.vector.reduce.add.v{sums.count}i32", (), ir.FunctionType(word, [sums])
        )

        def start(row):
            at = cgutils.get_item_pointer(context, builder, X_type, X, [row, long(0)])
            return builder.bitcast(at, byte.as_pointer())

        def load(start, j):
            at = builder.bitcast(builder.gep(start, [j]), pixels.as_pointer())
            return builder.load(at, align=1)

        rows = [(start(row), start(other)) for row, other in zip((g, h, i, k), ahead, strict=True)]
        nothing = ir.Constant(sums, None)
        totals = [cgutils.alloca_once_value(builder, nothing) for _ in rows]

        def add_line(j, weights):
            ask = builder.select(builder.icmp_signed("<", j, n_ahead), j, long(0))
            for part in range(0, CACHE_LINE, pixels.count):
                at = builder.add(j, long(part))
                q = load(weights, at)
                for (row, other), total in zip(rows, totals, strict=True):
                    if part == 0:
                        read, second_level, data = word(0), word(2), word(1)
                        line = builder.gep(other, [ask])
                        builder.call(prefetch, [line, read, second_level, data])
                    builder.store(multiply_add(builder.load(total), load(row, at), q), total)

        line = long(CACHE_LINE)
        whole = builder.and_(n_features, long(-CACHE_LINE))
        with cgutils.for_range_slice(builder, long(0), whole, line) as (j, _):
            add_line(j, rounded.data)
        with builder.if_then(builder.icmp_signed("<", whole, n_features)):
            add_line(builder.sub(n_features, line), builder.gep(rounded.data, [line]))
        found = [builder.call(reduce, [builder.load(total)]) for total in totals]
        return context.make_tuple(builder, signature.return_type, found)

    row = types.intp
    found = types.UniTuple(types.int32, 4)
    return found(X, row, row, row, row, rounded, row, row, row, row, row), build


MULTIPLIES_BYTES = MULTIPLIER is not None
dot_four_bytes = _llvm_dot_four_bytes if MULTIPLIES_BYTES else dot_four_in_a_loop
