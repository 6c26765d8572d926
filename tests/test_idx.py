"""The IDX format: what is written is read back, and what is not IDX is refused by name."""

import gzip
import io
import itertools
import os
import struct
import tracemalloc

import numpy as np
import pytest

from numlin.data import idx
from numlin.data.idx import IdxError

TYPES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
SHAPES = [(), (1,), (7,), (3, 5), (2, 3, 4), (2, 1, 3, 1, 2), (0,), (3, 0, 2), (1,) * 64]

GRID = b"\0\0\x0b\x02\0\0\0\x02\0\0\0\x03\0\x01\0\x02\0\x03\xff\xff\x80\0\x7f\xff"
LABELS = b"\0\0\x08\x01\0\0\0\x05\x05\0\x04\x01\x09"


class Trickle:
    """A stream with nothing but `read`, which gives at most `step` bytes and counts them."""

    def __init__(self, content, step=1):
        self.stream, self.step, self.n_read = io.BytesIO(content), step, 0

    def read(self, n):
        piece = self.stream.read(min(n, self.step))
        self.n_read += len(piece)
        return piece


def sample(code, shape):
    """An array of that type and shape that starts with its extreme and most awkward values."""
    dtype = np.dtype(code)
    if dtype.kind == "f":
        limits = np.finfo(dtype)
        odd = [np.nan, -0.0, np.inf, limits.max, limits.smallest_subnormal, 1 / 3]
    else:
        odd = [np.iinfo(dtype).min, np.iinfo(dtype).max, 1, 0, 2, 100]
    return np.resize(np.array(odd, dtype), shape)


def header(code, *shape):
    return struct.pack(f">4B{len(shape)}I", 0, 0, code, len(shape), *shape)


def refusal(content):
    """The IdxError with which `read` answers those bytes."""
    with pytest.raises(IdxError) as caught:
        idx.read(io.BytesIO(content))
    return caught.value


def peak_memory(call):
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# What is written is read back.


def test_bytes_written_by_hand_are_read_as_the_format_says():
    array = idx.read(io.BytesIO(GRID))
    assert array.tolist() == [[1, 2, 3], [-1, -32768, 32767]]
    assert array.dtype == np.int16
    assert idx.read(io.BytesIO(LABELS)).tolist() == [5, 0, 4, 1, 9]


def test_an_array_is_written_as_the_bytes_written_by_hand(tmp_path):
    idx.write(tmp_path / "grid", np.array([[1, 2, 3], [-1, -32768, 32767]], np.int16))
    assert (tmp_path / "grid").read_bytes() == GRID


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape))[:20])
@pytest.mark.parametrize("code", TYPES)
def test_every_type_and_shape_comes_back_bit_for_bit(tmp_path, code, shape, compress):
    array, path = sample(code, shape), tmp_path / "array"
    idx.write(path, array, compress)
    content = path.read_bytes()
    assert content.startswith(b"\x1f\x8b" if compress else header(TYPES[code], *shape))
    for source in path, str(path), io.BytesIO(content), Trickle(content, step=5):
        back = idx.read(source)
        assert type(back) is np.ndarray
        assert (back.shape, back.tobytes()) == (shape, array.tobytes())
        assert back.dtype == code and back.dtype.isnative
        assert back.flags.c_contiguous and back.flags.writeable and back.flags.aligned


@pytest.mark.parametrize("compress", [False, True])
def test_an_array_in_any_byte_order_and_layout_is_written_the_same(tmp_path, compress):
    array = sample("i4", (4, 6))
    padded = np.zeros((4, 12), np.int32)
    padded[:, ::2] = array
    idx.write(tmp_path / "array", array, compress)
    for same in array.astype(">i4"), np.asfortranarray(array), padded[:, ::2]:
        idx.write(tmp_path / "same", same, compress)
        assert (tmp_path / "same").read_bytes() == (tmp_path / "array").read_bytes()


def test_a_list_is_written_as_the_array_that_numpy_makes_of_it(tmp_path):
    idx.write(tmp_path / "list", [0.5, 0.25])
    assert (tmp_path / "list").read_bytes() == header(0x0E, 2) + struct.pack(">2d", 0.5, 0.25)


def test_the_gzip_file_holds_the_plain_one_and_neither_a_name_nor_a_time(tmp_path):
    array = sample("f4", (3, 5))
    for name in "plain", "one.gz", "two.gz":
        idx.write(tmp_path / name, array, compress=name.endswith(".gz"))
    packed = (tmp_path / "one.gz").read_bytes()
    assert gzip.decompress(packed) == (tmp_path / "plain").read_bytes()
    assert packed == (tmp_path / "two.gz").read_bytes()
    assert packed[3] == 0, "a flag byte of 0: no name, no comment"
    assert packed[4:8] == bytes(4), "the time"


def test_gzip_members_end_to_end_are_one_stream():
    members = [LABELS[:3], b"", LABELS[3:7], LABELS[7:]]
    packed = b"".join(map(gzip.compress, members))
    for source in io.BytesIO(packed), Trickle(packed):
        assert idx.read(source).tolist() == [5, 0, 4, 1, 9]


def test_chunks_of_any_size_give_the_same_array(monkeypatch):
    array = np.random.default_rng(0).integers(0, 3, (40, 50), np.uint8)
    content = header(0x08, 40, 50) + array.tobytes()
    for chunk in 1, 2, 3, 7, 64, 1000, 2000, 2012:
        monkeypatch.setattr(idx, "CHUNK", chunk)
        for form in content, gzip.compress(content), gzip.compress(content, 0):
            np.testing.assert_array_equal(idx.read(io.BytesIO(form)), array)


def test_a_file_object_is_read_from_where_it_stands_and_left_open():
    stream = io.BytesIO(b"before" + LABELS)
    stream.seek(6)
    assert idx.read(stream).size == 5
    assert not stream.closed


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="the system has no /dev/fd")
@pytest.mark.parametrize("content", [LABELS, gzip.compress(LABELS)], ids=["plain", "gzip"])
def test_a_pipe_has_no_size_and_is_read_all_the_same(content):
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    try:
        assert idx.read(f"/dev/fd/{reading}").tolist() == [5, 0, 4, 1, 9]
    finally:
        os.close(reading)


# The memory map.


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape))[:20])
@pytest.mark.parametrize("code", TYPES)
def test_a_map_holds_what_read_returns_in_the_order_of_the_file(tmp_path, code, shape):
    array, path = sample(code, shape), tmp_path / "array"
    idx.write(path, array)
    mapped = idx.memmap(path)
    assert isinstance(mapped, np.memmap)
    assert mapped.dtype == np.dtype(code).newbyteorder(">")
    assert (mapped.shape, mapped.astype(code).tobytes()) == (shape, array.tobytes())
    with pytest.raises(ValueError, match="read-only"):
        mapped[...] = 0


def test_a_gzip_file_is_not_mapped_and_the_message_says_what_to_do(tmp_path):
    path = tmp_path / "labels"
    idx.write(path, np.arange(5, dtype=np.uint8), compress=True)
    with pytest.raises(IdxError) as caught:
        idx.memmap(path)
    assert str(caught.value) == (
        f"{path}: file: found a gzip stream, expected plain IDX (unpack it: gzip -d)"
    )


# What is not IDX is refused, and the message says why.

KNOWN = "one of 0x08 (uint8), 0x09 (int8), 0x0B (int16), 0x0C (int32), 0x0D (float32), 0x0E"
TOO_FEW = "12 for shape (2, 3) of int16 (the file is cut short)"
TOO_MANY = "12 for shape (2, 3) of int16 (bytes follow the data)"
BAD = {
    "empty": (b"", "header", "0 bytes", "at least 4"),
    "web page": (b"<!DOCTYPE html>", "magic number", "b'<!DO'", "two zero bytes first (not IDX)"),
    "one wrong zero": (b"\0\1" + LABELS[2:], "magic number", r"b'\x00\x01\x08\x01'", "two zero"),
    "unknown type": (b"\0\0\x0a" + LABELS[3:], "type code", "0x0A", KNOWN),
    "cut magic": (GRID[:3], "header", "3 bytes", "at least 4"),
    "cut dimensions": (GRID[:11], "header", "11 bytes", "12 (2 dimensions)"),
    "no data": (GRID[:12], "data", "0 bytes", TOO_FEW),
    "cut data": (GRID[:-1], "data", "11 bytes", TOO_FEW),
    "trailing byte": (GRID + b"\0", "data", "at least 13 bytes", TOO_MANY),
    "trailing after nothing": (header(0x0E, 3, 0) + b"\0", "data", "at least 1 bytes", "0 for"),
    "too many dimensions": (header(0x08, *[1] * 65) + b"\0", "dimensions", "65", "at most 64"),
    "product of 2**64": (
        header(0x08, 2**31, 2**31, 4),
        "dimensions",
        "(2147483648, 2147483648, 4)",
        "a product of at most 9223372036854775807 bytes",
    ),
    "bytes of 2**63": (header(0x0E, 2**30, 2**30), "dimensions", "(1073741824, 10737", "a product"),
    "product hidden by a 0": (header(0x08, 0, *[2**31] * 3), "dimensions", "(0, 2147", "a product"),
    "promise of 4 GB": (header(0x08, 2**32 - 1) + b"few", "data", "3 bytes", "4294967295 for"),
}


@pytest.mark.parametrize("form", ["file", "file object", "gzip", "map"])
@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused_with_its_name_field_and_both_values(tmp_path, case, form):
    content, field, found, expected = BAD[case]
    path = tmp_path / "digits"
    path.write_bytes(gzip.compress(content) if form == "gzip" else content)
    with pytest.raises(IdxError) as caught:
        if form == "map":
            idx.memmap(path)
        elif form == "file object":
            with open(path, "rb") as stream:
                idx.read(stream)
        else:
            idx.read(path)
    error, message = caught.value, str(caught.value)
    assert message.startswith(f"{path}: ")
    assert f"{field}: found {found}" in message
    assert f", expected {expected}" in message
    assert message == f"{error.file}: {error.field}: found {error.found}, expected {error.expected}"


def test_a_stream_without_a_name_is_called_by_its_type():
    assert str(refusal(b"")) == "<BytesIO>: header: found 0 bytes, expected at least 4"


PACKED = gzip.compress(LABELS, mtime=0)
INTACT = "an intact one (fetch the file again)"
NONE = "none, or another intact stream"
BAD_GZIP = {
    "cut short": (PACKED[:-9], "gzip stream", "a stream cut short", INTACT),
    "cut in the trailer": (PACKED[:-1], "gzip stream", "a stream cut short", INTACT),
    "wrong CRC": (PACKED[:-8] + b"????" + PACKED[-4:], "gzip stream", "data check", INTACT),
    "wrong length": (PACKED[:-4] + b"\x0e\0\0\0", "gzip stream", "length check", INTACT),
    "bad deflate": (PACKED[:10] + b"\xff" + PACKED[11:], "gzip stream", "block type", INTACT),
    "garbage after": (PACKED + b"garbage", "bytes after the gzip stream", "header check", NONE),
    "zeros after": (PACKED + bytes(512), "bytes after the gzip stream", "header check", NONE),
    "second cut": (PACKED + PACKED[:9], "bytes after the gzip stream", "a stream cut short", NONE),
}


@pytest.mark.parametrize("case", BAD_GZIP)
def test_a_bad_gzip_stream_is_refused_with_its_name_and_what_is_wrong(tmp_path, case):
    content, field, found, expected = BAD_GZIP[case]
    path = tmp_path / "labels.gz"
    path.write_bytes(content)
    with open(path, "rb") as stream:
        for source in path, stream:
            with pytest.raises(IdxError) as caught:
                idx.read(source)
            assert str(caught.value).startswith(f"{path}: {field}: found ")
            assert str(caught.value).endswith(f"{found}, expected {expected}")


def test_every_cut_and_every_extra_byte_is_noticed():
    for whole in GRID, PACKED, gzip.compress(LABELS[:6]) + gzip.compress(LABELS[6:]):
        for end in range(len(whole)):
            refusal(whole[:end])
        for extra in b"\0", b"\x1f", b"x", whole:
            refusal(whole + extra)


def test_every_flipped_bit_of_a_gzip_stream_is_noticed_or_harmless():
    harmless = set()
    for k, bit in itertools.product(range(len(PACKED)), range(8)):
        flipped = bytearray(PACKED)
        flipped[k] ^= 1 << bit
        try:
            array = idx.read(io.BytesIO(flipped))
        except IdxError:
            continue
        assert array.tolist() == [5, 0, 4, 1, 9]
        harmless.add(k)
    padding = len(PACKED) - 9  # the last byte of the deflate data, whose last bits mean nothing
    assert harmless <= {*range(3, 10), padding}, "else only gzip's flags, time and system"


def test_random_bytes_raise_nothing_but_idx_errors():
    rng = np.random.default_rng(0)
    for start, _ in itertools.product([b"", b"\0\0", b"\0\0\x0d\x02", b"\x1f\x8b\x08"], range(200)):
        refusal(start + rng.bytes(rng.integers(1, 40)))


# Bad files do not cost memory.


@pytest.mark.parametrize("members", [1, 2])
def test_a_gzip_bomb_is_left_unexploded(members, monkeypatch):
    parts = [LABELS + bytes(2**25)] if members == 1 else [LABELS, bytes(2**25)]
    bomb = b"".join(map(gzip.compress, parts))
    error = []
    # A chunk read, one inflated, one kept and one copied; the bomb is 128 chunks.
    assert peak_memory(lambda: error.append(refusal(bomb))) < 4 * idx.CHUNK + 2**16
    assert "data: found at least" in str(error[0])
    assert "expected 5 for shape (5,) of uint8" in str(error[0])

    monkeypatch.setattr(idx, "CHUNK", 512)
    stream = Trickle(bomb, step=512)
    with pytest.raises(IdxError):
        idx.read(stream)
    assert stream.n_read <= 2 * 512 < len(bomb) / 30


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_false_promise_of_gigabytes_takes_no_memory(tmp_path, pack):
    path = tmp_path / "images"
    path.write_bytes(pack(header(0x0E, 60000, 100, 100) + b"not that much"))
    assert path.stat().st_size < 64

    def attempt():
        for source in path, io.BytesIO(path.read_bytes()):
            with pytest.raises(IdxError, match="found 13 bytes, expected 4800000000 for"):
                idx.read(source)

    assert peak_memory(attempt) < 2**20


@pytest.mark.parametrize("promised", [2**24, 2**26], ids=["too little", "too much"])
def test_a_plain_file_of_the_wrong_size_is_refused_before_its_data_are_read(tmp_path, promised):
    path = tmp_path / "images"
    path.write_bytes(header(0x08, promised))
    os.truncate(path, 2**25)

    def attempt():
        with pytest.raises(IdxError, match=rf"found (at least )?{2**25 - 8} bytes"):
            idx.read(path)

    # The chunk with the header, gathered, and its rest; the file is 128 chunks.
    assert peak_memory(attempt) < 4 * idx.CHUNK


@pytest.mark.parametrize("compress", [False, True])
def test_a_good_file_is_held_once(tmp_path, compress):
    path = tmp_path / "images"
    idx.write(path, np.zeros((256, 128, 256), np.int16), compress)
    # A bytearray that grows keeps an eighth in reserve.
    assert peak_memory(lambda: idx.read(path)) < 2**24 * 9 / 8 + 4 * idx.CHUNK


# Files are written whole or not at all.


@pytest.mark.parametrize("code", ["?", "u2", "u4", "i8", "f2", "c8", "S3", "O"])
def test_a_dtype_without_a_type_code_is_refused_and_nothing_written(tmp_path, code):
    path = tmp_path / "folder" / "array"
    with pytest.raises(IdxError) as caught:
        idx.write(path, np.zeros(3, code))
    assert str(caught.value) == (
        f"{path}: dtype: found {np.dtype(code)}, expected one of "
        "uint8, int8, int16, int32, float32, float64 (see astype)"
    )
    assert not path.parent.exists()


def test_a_dimension_beyond_32_bits_is_refused_and_nothing_written(tmp_path):
    with pytest.raises(IdxError) as caught:
        idx.write(tmp_path / "long", np.broadcast_to(np.uint8(0), (2**32, 0)))
    assert str(caught.value) == (
        f"{tmp_path / 'long'}: dimensions: found (4294967296, 0), expected sizes up to 4294967295"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("compress", [False, True])
def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(
    tmp_path, monkeypatch, compress
):
    path = tmp_path / "labels"
    path.write_bytes(LABELS)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(gzip.GzipFile if compress else os, "write" if compress else "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        idx.write(path, np.zeros(3, np.uint8), compress)
    assert [entry.name for entry in tmp_path.iterdir()] == ["labels"]
    assert path.read_bytes() == LABELS


def test_a_missing_file_and_a_number_are_left_to_python(tmp_path):
    with pytest.raises(FileNotFoundError):
        idx.read(tmp_path / "none")
    with pytest.raises(TypeError, match="PathLike"):
        idx.read(3)
