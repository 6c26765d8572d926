"""Reading IDX, the format of the MNIST files.

A file is one array. Its header says which, and fixes the length of the file to the byte:

    2 bytes     zero
    1 byte      type of an item: 0x08 uint8, 0x09 int8, 0x0B int16, 0x0C int32, 0x0D float32,
                0x0E float64
    1 byte      n, the number of dimensions
    4n bytes    the size of each dimension, an unsigned integer
    the rest    the items, last index fastest

All numbers are big-endian. Read one from its bytes, as an array in the byte order of this machine
(Numba refuses any other). Bytes that are not such a file, cut short or too long included, raise
ValueError: a download that broke off must not become a training set.
"""

import io
import struct

import numpy as np

from numlin.data import idx
from numlin.learn.grading import Mistake, kept


def read_idx(data):
    """The array in `data`, a bytes object; ValueError if it is not exactly one IDX file."""
    raise NotImplementedError


CATCH = (ValueError,)
OWN = {"read_idx": kept(lambda data: idx.read(io.BytesIO(data)), ValueError)}
SOURCE = ("numlin.data.idx:_read_stream", "numlin.data.idx:_read_header")
HINTS = (
    "data[3] is a number. struct.unpack, or np.frombuffer with a dtype such as '>u4', reads sizes.",
    "First the length; then np.frombuffer(data, dtype, offset=4 + 4 * n), reshape, astype.",
)
DIFFERS = "numlin's reads a stream, takes no more memory than arrives, and names what is wrong."
CODES = {8: "u1", 9: "i1", 11: "i2", 12: "i4", 13: "f4", 14: "f8"}


def _twin(order=">", memory="C", exact=True, start=None, typed=True, checked=True):
    """The reader with one thing changed."""

    def read_idx(data):
        if (len(data) < 4 or data[:2] != b"\0\0" or data[2] not in CODES) and checked:
            raise ValueError("not IDX")
        n = data[3]
        shape = struct.unpack_from(f"{order}{n}I", data, 4)
        item = np.dtype(">" + (CODES.get(data[2], "u1") if typed else "u1"))
        begin, count = start or 4 + 4 * n, int(np.prod(shape, dtype=object))
        if exact and len(data) != begin + count * item.itemsize:
            raise ValueError("length")
        items = np.frombuffer(data[begin:], item, count).astype(item.newbyteorder("="))
        return items.reshape(shape, order=memory)

    return kept(read_idx, ValueError, struct.error, IndexError)


def _file(code, shape, items=None):
    head = struct.pack(f">4B{len(shape)}I", 0, 0, code, len(shape), *shape)
    items = np.arange(1, 1 + np.prod(shape, dtype=int)) if items is None else np.array(items)
    return head + items.astype(">" + CODES[code]).tobytes()


def _mistake(text, data, **changed):
    return Mistake("read_idx", text, _twin(**changed), (data,))


MISTAKES = (
    _mistake("bytes after the last item are not noticed. The header fixes the length: a file that "
             "goes on is another file.", _file(8, (2,)) + b"\7", exact=False),
    _mistake("sizes are read as little-endian. The bytes 00 00 00 02 are 2, most significant "
             "first.", _file(8, (2,)), order="<"),
    _mistake("the first index is taken as the fastest. The items of one row follow each other.",
             _file(8, (2, 2)), memory="F"),
    _mistake("the header is taken to be 16 bytes long. It has 4 + 4n: 8 bytes for labels, 16 for "
             "images.", _file(8, (2,)), start=16),
    _mistake("the type code is not read. 0x0B says that an item is two bytes long.",
             _file(11, (2,)), typed=False),
    _mistake("the first four bytes are not checked. Two zero bytes and one of six type codes, or "
             "it is something else: a ValueError.", b"\1" + _file(8, (2,))[1:], checked=False),
)  # fmt: skip


def cases():
    """Calls (function, arguments), ordinary and degenerate, that a solution must get right."""
    good = [_file(code, (2, 3)) for code in CODES] + [_file(8, (3, 2, 2)), _file(9, ())]
    good += [_file(12, (2,), [-1, 70000]), _file(13, (1, 2), [0.5, -2]), _file(8, (0, 3))]
    one = good[0]
    bad = [one[:-1], good[5][:-8], one + b"\0", b"", b"\0\0\x08", one[:6], b"\x1f\x8b" + one[2:]]
    bad += [one[:2] + b"\x0a" + one[3:], b"<html>not found</html>"]
    return [("read_idx", (data,)) for data in good + bad]


def prove(s):
    """Held against files of every type and shape, and broken ones."""
    rng = np.random.default_rng(0)
    for shape in ((5,), (2, 3, 4), (3, 1)):
        numbers = rng.integers(-100, 100, shape)
        data = struct.pack(f">4B{len(shape)}I", 0, 0, 11, len(shape), *shape)
        found = s("read_idx", data + b"".join(struct.pack(">h", v) for v in numbers.flat))
        s.holds(np.array_equal(found, numbers), f"gives {found.tolist()}, not {numbers.tolist()}")
    s.agrees()
    for name, args in cases()[:11]:
        found, own = s(name, *args).dtype, s.exercise.OWN[name](*args).dtype
        s.holds(found == own and found.isnative, f"has dtype {found.str}, expected {own.str}")
    return "six types, five shapes, no items at all, native byte order; nine broken files refused"
