"""Bounds in integers: which rows of raw pixels are certainly not active, at a third of the work.

To score a row of uint8 pixels in floating point, each of them has to be widened first, and that,
not reading, is what a row then costs. As they are, bytes can only be multiplied by integers. So
let q be w / unit, rounded to integers, and r what rounding leaves::

    w = unit q + r,    |r_j| <= unit / 2,    x.w = unit (x.q) + x.r,    |x.r| <= 255 n unit / 2

The sum x.q has no rounding error at all, in any order: |q| is bounded so that 32 bits hold it.
For 784 pixels the score is known to 4% of the largest weight. A sample whose robust margin is at
least 1 even so is not active, and nobody needs its score. All others are scored in floating point
as ever, now from the cache; so no bit of any result depends on this.

The bound must hold for the score that floating point gives. A dot product of n terms, summed in
any order, is off by at most about n u sum |x_j| |w_j|, u the unit roundoff of w's type: twice that
with |x_j| = 255 is added, and a relative 1e-9 for what float64 rounds here.

`dot_four_in_a_loop` is that sum as a plain loop, which is no faster than floating point. Processors
with AVX-512 VNNI have an instruction that multiplies 64 pairs of bytes and adds them up by fours,
vpdpbusd, of which Numba's loops make no use. So q = 256 high + low is a pair of bytes, and
`_llvm_dot_four_bytes` spells the same loop in LLVM's words. Without that instruction
(MULTIPLIES_BYTES) the kernel scores all rows in floating point.

References
----------
Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1 (dot products).
Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, VPDPBUSD.
"""

import numpy as np
from numba import config, types
from numba.core import cgutils
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic, overload

from numlin.kernels.jit import NO_JIT, jit, wide_vectors
from numlin.kernels.screening import ROUND_UP
from numlin.support.arguments import WHITE

ir = cgutils.ir
BYTES = 64  # in one register
LARGEST = 127 * 256 + 127  # that two signed bytes hold
HALF_BYTE, EIGHT = np.int32(128), np.int32(8)  # a plain 128 would make all that it meets 64 bits
LEAST = 1e-30  # that the largest weight is taken for, so that the steps per unit are finite
HALF = 0.502  # of a unit is what rounding leaves at most: w / unit is itself off by 2**-24 of it
MOST = (2**31 - 1) // WHITE  # that the |q| may sum up to, for 32 bits to hold |x.q|
MOST_FEATURES = MOST // 1000  # with fewer steps to the largest weight the bounds say little


def new_rounded(X):
    """Room (2, n) for the two bytes of integers, `high` and `low`; n is a multiple of BYTES.

    None if X (n_samples, n_features) is not of raw pixels: then Numba leaves out, unseen, what a
    function that is given it does after `if rounded is None: return`.
    """
    return np.empty((2, -(-X.shape[1] // BYTES) * BYTES), np.int8) if X.itemsize == 1 else None


@overload(new_rounded)
def _new_rounded(X):
    if X.dtype == types.uint8:
        return lambda X: np.empty((2, -(-X.shape[1] // BYTES) * BYTES), np.int8)
    return lambda X: None


@jit
def round_weights(w, size, rounded):
    """Round w into `rounded`; the unit, and how far at most x.w is from unit (x.q), over 255.

    `size` is what a float64 margin is a sum of beside the score: 1 + |b| + drop.
    """
    if rounded is None:
        return 0.0, 0.0
    wide_vectors()
    real = w.dtype.type
    largest, norm = np.int64(0), 0.0
    for j in range(w.size):
        length = np.float64(abs(w[j]))
        largest = max(largest, np.float64(length).view(np.int64))  # in the order of the numbers
        norm += length
    if not norm < np.inf:
        return 1.0, np.inf
    steps = min(LARGEST, MOST // w.size)
    per_unit = real(steps / max(np.int64(largest).view(np.float64), LEAST))
    for j in range(w.size):
        q = np.int32(np.rint(w[j] * per_unit))
        high = (q + HALF_BYTE) >> EIGHT
        rounded[0, j], rounded[1, j] = high, q - (high << EIGHT)
    for j in range(w.size, rounded.shape[1]):
        rounded[0, j] = rounded[1, j] = 0
    unit = 1 / np.float64(per_unit)
    roundoff = 2.0**-23 if w.itemsize == 4 else 2.0**-52
    rounding = (w.size + 16) * roundoff * norm + (ROUND_UP - 1) * (norm + size)
    return unit, w.size * HALF * unit + rounding


@jit
def dot_four_in_a_loop(X, g, h, i, k, rounded, *ahead):
    """X[g] . q, X[h] . q, X[i] . q and X[k] . q, exactly."""
    of_g = of_h = of_i = of_k = np.int32(0)
    for j in range(X.shape[1]):
        q = np.int32(np.int32(256) * np.int32(rounded[0, j]) + np.int32(rounded[1, j]))
        of_g = np.int32(of_g + np.int32(X[g, j]) * q)
        of_h = np.int32(of_h + np.int32(X[h, j]) * q)
        of_i = np.int32(of_i + np.int32(X[i, j]) * q)
        of_k = np.int32(of_k + np.int32(X[k, j]) * q)
    return of_g, of_h, of_i, of_k


@intrinsic
def _llvm_dot_four_bytes(_, X, g, h, i, k, rounded, g_ahead, h_ahead, i_ahead, k_ahead, n_ahead):
    """`dot_four_in_a_loop` by vpdpbusd, 64 features at a time; a mask hides what is beyond.

    In step with it, the first n_ahead bytes of four other rows are asked for, into the second-level
    cache: one line for each that is used up, where a whole row at once makes the processor wait.
    """
    bit, byte, word, long = (ir.IntType(bits) for bits in (1, 8, 32, 64))
    pixels, sums = ir.VectorType(byte, BYTES), ir.VectorType(word, BYTES // 4)
    mask, void = ir.VectorType(bit, BYTES), ir.VoidType()

    def build(context, builder, signature, arguments):
        X, g, h, i, k, rounded, *ahead, n_ahead = arguments
        X_type, rounded_type = signature.args[0], signature.args[5]
        X = context.make_array(X_type)(context, builder, X)
        rounded = context.make_array(rounded_type)(context, builder, rounded)
        _, n_features = cgutils.unpack_tuple(builder, X.shape, 2)
        _, n_padded = cgutils.unpack_tuple(builder, rounded.shape, 2)
        weights = rounded.data, builder.gep(rounded.data, [n_padded])  # high bytes, low bytes

        def declare(name, result, *operands):
            return builder.module.declare_intrinsic(name, (), ir.FunctionType(result, operands))

        multiply_add = declare("llvm.x86.avx512.vpdpbusd.512", sums, sums, sums, sums)
        load_some = declare(
            "llvm.masked.load.v64i8.p0", pixels, pixels.as_pointer(), word, mask, pixels
        )
        prefetch = declare("llvm.prefetch", void, byte.as_pointer(), word, word, word)
        reduce = declare("llvm.vector.reduce.add.v16i32", word, sums)

        def start(row):
            at = cgutils.get_item_pointer(context, builder, X_type, X, [row, long(0)])
            return builder.bitcast(at, byte.as_pointer())

        def chunk(start, j):
            return builder.bitcast(builder.gep(start, [j]), pixels.as_pointer())

        rows = [(start(row), start(other)) for row, other in zip((g, h, i, k), ahead, strict=True)]
        totals = [
            [cgutils.alloca_once_value(builder, ir.Constant(sums, None)) for _ in weights]
            for _ in rows
        ]

        def add(j, load):
            ask = builder.select(builder.icmp_signed("<", j, n_ahead), j, long(0))
            q = [builder.bitcast(builder.load(chunk(at, j), align=1), sums) for at in weights]
            for (row, other), both in zip(rows, totals, strict=True):
                read, second_level, data = word(0), word(2), word(1)
                builder.call(prefetch, [builder.gep(other, [ask]), read, second_level, data])
                x = builder.bitcast(load(chunk(row, j)), sums)
                for weight, total in zip(q, both, strict=True):
                    more = builder.call(multiply_add, [builder.load(total), x, weight])
                    builder.store(more, total)

        whole = builder.and_(n_features, long(-BYTES))
        with cgutils.for_range_slice(builder, long(0), whole, long(BYTES)) as (j, _):
            add(j, lambda at: builder.load(at, align=1))
        with builder.if_then(builder.icmp_signed("<", whole, n_features)):
            beyond = builder.sub(long(BYTES), builder.sub(n_features, whole))
            shown = builder.bitcast(builder.lshr(long(-1), beyond), mask)
            nothing = ir.Constant(pixels, None)
            add(whole, lambda at: builder.call(load_some, [at, word(1), shown, nothing]))
        eight, found = ir.Constant(sums, [8] * (BYTES // 4)), []
        for of_high, of_low in totals:
            both = builder.add(builder.shl(builder.load(of_high), eight), builder.load(of_low))
            found.append(builder.call(reduce, [both]))
        return context.make_tuple(builder, signature.return_type, found)

    row = types.intp
    found = types.UniTuple(types.int32, 4)
    return found(X, row, row, row, row, rounded, row, row, row, row, row), build


def multiplies_bytes():
    """Whether Numba compiles for the processor at hand as it is, and it has vpdpbusd."""
    as_it_is = not (config.CPU_NAME or config.CPU_FEATURES or NO_JIT)
    return as_it_is and {"+avx512vnni", "+avx512bw"} <= set(get_host_cpu_features().split(","))


MULTIPLIES_BYTES = multiplies_bytes()
dot_four_bytes = _llvm_dot_four_bytes if MULTIPLIES_BYTES else dot_four_in_a_loop
