"""The IDX format of the MNIST files: read it, write it, map it into memory.

An IDX file is one array, plain or packed with gzip, and says so in a header of 4 + 4n bytes:

    offset    bytes   meaning
    0         2       zero
    2         1       type code: which of six types one item is, `DTYPES` below
    3         1       n, the number of dimensions
    4         4n      the size of each dimension, an unsigned integer
    4 + 4n    ...     the items, last index fastest, and then the file ends

Every number is big-endian (most significant byte first). The header fixes the length of the file
to the byte, so a file that is cut short, goes on too long or is something else is always noticed.
An array without dimensions holds one item; one with a dimension of size 0 holds none. Both are
valid here.
"""

import gzip
import hashlib
import itertools
import math
import os
import stat
import struct
import sys
import zlib
from typing import BinaryIO

import numpy as np
from numpy.typing import ArrayLike

from numlin.support.arguments import Array
from numlin.support.files import FilePath, replacing

DTYPES: dict[int, np.dtype] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
CODES = {dtype: code for code, dtype in DTYPES.items()}

MAX_NDIM = 64  # NumPy's limit; the format's is 255
MAX_SIZE = 2**32 - 1  # of one dimension
GZIP_MAGIC = b"\x1f\x8b"
CHUNK = 2**16  # bytes read or inflated at a time


class IdxError(ValueError):
    """A file is not the IDX file it should be: `file`, `field`, `found` and `expected` say how."""

    def __init__(self, file: str, field: str, found: object, expected: str) -> None:
        super().__init__(file, field, found, expected)
        self.file, self.field, self.found, self.expected = file, field, found, expected

    def __str__(self):
        return f"{self.file}: {self.field}: found {self.found}, expected {self.expected}"


def read(source: FilePath | BinaryIO) -> Array:
    """Read an IDX file, plain or gzip (told by its first two bytes, not by its name).

    Memory grows with the bytes that arrive, never with the bytes that the header promises, and
    reading stops at the first byte beyond the promise: neither a false header nor a gzip bomb
    takes more than it delivers.

    Parameters
    ----------
    source : str, Path or binary file object
        A file object is read from where it stands to its end, needs no `seek` and is left open.

    Returns
    -------
    ndarray of the header's shape and type
        C-contiguous, writable and in the byte order of this machine.

    Raises
    ------
    IdxError
        The file is not IDX, its type code is unknown, its header or data are cut short, bytes
        follow the data, the dimensions are too large, or the gzip stream is corrupt.
    OSError
        The file cannot be opened or read.
    """
    if hasattr(source, "read"):
        name = getattr(source, "name", None) or f"<{type(source).__name__}>"
        return _read_stream(source, name)
    name = os.fsdecode(source)
    with open(source, "rb") as stream:
        return _read_stream(stream, name, on_disk=True)


def shape(path: FilePath) -> tuple[int, ...]:
    """The shape that the header of an IDX file, plain or packed, states; IdxError as in `read`."""
    name = os.fsdecode(path)
    with open(path, "rb") as stream:
        return _start(name, stream)[1]


def write(path: FilePath, array: ArrayLike, compress: bool = False) -> None:
    """Write an array as an IDX file, whole or not at all.

    The same array gives the same bytes, packed or not: the gzip header holds no name and no time.

    Parameters
    ----------
    path : str or Path
        Replaced only once the new file is complete.
    array : array_like of any shape
        uint8, int8, int16, int32, float32 or float64, in any byte order and memory layout.
    compress : bool
        Pack the file with gzip.

    Raises
    ------
    IdxError
        The format has no type code for the array's dtype, or no room for one of its dimensions.
    """
    array = np.asarray(array)
    dtype = array.dtype.newbyteorder(">")
    if dtype not in CODES:
        known = ", ".join(known.name for known in CODES)
        raise IdxError(os.fsdecode(path), "dtype", array.dtype, f"one of {known} (see astype)")
    if max(array.shape, default=0) > MAX_SIZE:
        raise IdxError(os.fsdecode(path), "dimensions", array.shape, f"sizes up to {MAX_SIZE}")
    header, items = _header(array), np.asarray(array, dtype, order="C")
    with replacing(path) as temporary, open(temporary, "wb") as stream:
        if compress:
            with gzip.GzipFile("", "wb", 6, stream, mtime=0) as packed:
                packed.write(header)
                packed.write(items.data)
        else:
            stream.write(header)
            stream.write(items.data)


def sha256(array: Array) -> str:
    """Hex digest of the plain file that `write` would make of `array`, of any shape."""
    items = np.asarray(array, array.dtype.newbyteorder(">"), order="C")
    digest = hashlib.sha256(_header(array))
    digest.update(items.data)
    return digest.hexdigest()


def memmap(path: FilePath) -> np.memmap:
    """Map an uncompressed IDX file into memory, read-only; pages load when they are touched.

    The items stay as the file has them, so int16, int32, float32 and float64 are big-endian:
    NumPy computes with them as they are, compiled kernels need `read` or `astype`.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    memmap of the header's shape and type

    Raises
    ------
    IdxError
        As in `read`; and the file is packed with gzip, which cannot be mapped.
    """
    name = os.fsdecode(path)
    with open(path, "rb") as stream:
        chunks = _chunks(stream)
        start = _fill(bytearray(), chunks, len(GZIP_MAGIC))
        if start.startswith(GZIP_MAGIC):
            raise IdxError(name, "file", "a gzip stream", "plain IDX (unpack it: gzip -d)")
        dtype, shape, _ = _read_header(name, start, chunks)
        _check_file_size(name, stream, dtype, shape)
        return np.memmap(stream, dtype, "r", offset=_header_size(shape), shape=shape)


def _read_stream(stream, name, on_disk=False):
    """The array in `stream`, which, when `on_disk`, is a whole file whose size can be asked for."""
    dtype, shape, data, chunks, packed = _start(name, stream)
    if on_disk and not packed:
        _check_file_size(name, stream, dtype, shape)
    _fill(data, chunks, _data_size(dtype, shape) + 1)
    _check_length(name, dtype, shape, len(data))
    array = np.ndarray(shape, dtype, buffer=data)
    return array if dtype.isnative else array.byteswap(inplace=True).view(dtype.newbyteorder("="))


def _start(name, stream):
    """What the header says, and how to go on: (dtype, shape, first data, chunks, packed)."""
    chunks = _chunks(stream)
    start = _fill(bytearray(), chunks, len(GZIP_MAGIC))
    packed = start.startswith(GZIP_MAGIC)
    if packed:
        chunks = _inflate(name, itertools.chain([bytes(start)], chunks))
        start = bytearray()
    return *_read_header(name, start, chunks), chunks, packed


def _read_header(name, start, chunks):
    """Return (dtype, shape, bytearray of the data read so far) from `start` and what follows it."""
    _fill(start, chunks, 4)
    if any(start[:2]):
        raise IdxError(name, "magic number", bytes(start[:4]), "two zero bytes first (not IDX)")
    if len(start) < 4:
        raise IdxError(name, "header", f"{len(start)} bytes", "at least 4")
    code, ndim = start[2:4]
    if code not in DTYPES:
        known = ", ".join(f"0x{code:02X} ({dtype.name})" for code, dtype in DTYPES.items())
        raise IdxError(name, "type code", f"0x{code:02X}", f"one of {known}")
    if ndim > MAX_NDIM:
        raise IdxError(name, "number of dimensions", ndim, f"at most {MAX_NDIM}")
    _fill(start, chunks, 4 + 4 * ndim)
    if len(start) < 4 + 4 * ndim:
        raise IdxError(name, "header", f"{len(start)} bytes", f"{4 + 4 * ndim} ({ndim} dimensions)")
    shape = struct.unpack_from(f">{ndim}I", start, 4)
    dtype = DTYPES[code]
    if _data_size(dtype, (max(size, 1) for size in shape)) > sys.maxsize:  # as NumPy counts
        raise IdxError(name, "dimensions", shape, f"a product of at most {sys.maxsize} bytes")
    return dtype, shape, start[_header_size(shape) :]


def _header(array):
    code = CODES[array.dtype.newbyteorder(">")]
    return struct.pack(f">4B{array.ndim}I", 0, 0, code, array.ndim, *array.shape)


def _header_size(shape):
    return 4 + 4 * len(shape)


def _data_size(dtype, shape):
    return math.prod(shape) * dtype.itemsize


def _check_length(name, dtype, shape, found):
    """Raise unless `found`, the bytes after the header, is what dtype and shape promise."""
    promised = _data_size(dtype, shape)
    expected = f"{promised} for shape {shape} of {dtype.name}"
    if found < promised:
        raise IdxError(name, "data", f"{found} bytes", f"{expected} (the file is cut short)")
    if found > promised:
        found = f"at least {found} bytes"
        raise IdxError(name, "data", found, f"{expected} (bytes follow the data)")


def _check_file_size(name, stream, dtype, shape):
    """Hold the header against the size of the open file; a pipe or a device has none."""
    status = os.fstat(stream.fileno())
    if stat.S_ISREG(status.st_mode):
        _check_length(name, dtype, shape, status.st_size - _header_size(shape))


def _chunks(stream):
    """Yield the bytes of `stream` to its end, at most CHUNK at a time."""
    while chunk := stream.read(CHUNK):
        yield chunk


def _fill(buffer, chunks, size):
    """Append chunks to the bytearray until it holds `size` bytes or they end; return it."""
    while len(buffer) < size and (chunk := next(chunks, None)) is not None:
        buffer += chunk
    return buffer


def _inflate(name, chunks):
    """Yield what a gzip stream holds, at most CHUNK bytes at a time and only when asked for.

    A gzip stream is one or more members end to end, each checked against its CRC and its length.
    """
    field, expected = "gzip stream", "an intact one (fetch the file again)"
    member = zlib.decompressobj(wbits=31)  # 31: gzip's header and trailer, not zlib's own
    for chunk in chunks:
        while chunk:
            if member.eof:
                field, expected = "bytes after the gzip stream", "none, or another intact stream"
                member = zlib.decompressobj(wbits=31)
            try:
                inflated = member.decompress(chunk, CHUNK)
            except zlib.error as error:
                raise IdxError(name, field, error, expected) from error
            yield inflated
            chunk = member.unused_data or member.unconsumed_tail
    if not member.eof:
        raise IdxError(name, field, "a stream cut short", expected)
