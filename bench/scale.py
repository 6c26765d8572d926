"""Scale: one epoch of `fit` straight from a memory-mapped IDX file of raw pixels, wall time.

The file holds --rows digits, MNIST's over and over in a new random order each time; it is made in
--folder, and removed. Each size is a process of its own. "first" is an epoch on a file just mapped,
whose pages are in the page cache but not in the process's tables, "again" a second one; both with
the order, the checks and all else that `fit` does. The ratio is the time per row over that of ten
epochs on as many rows as the training set has, from the same file. "anonymous" is the most memory
the process had of its own, which for a mapped file is all that counts.
"""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bench.data import BLOCK
from bench.timing import WrongResult, last_line
from numlin.data import idx
from numlin.sgd import Training, fit
from numlin.support.progress import Progress

SHUFFLES = {"block shuffle": BLOCK, "full shuffle": 0}
ROUNDS = 5
SMALL_EPOCHS = 10
SPARE = 1.1  # of the file's size must be free


def rows(data, options):
    """Rows of the group `scale`: small, a quarter, half and all of --rows, and one full shuffle."""
    n_rows = options.rows or (81_000 if options.quick else 810_000)
    small = min(len(data.y), n_rows // 4)
    folder = options.folder or tempfile.gettempdir()
    found = []
    with digits_file(data, n_rows, folder) as files:
        for n_used in (n_rows // 4, n_rows // 2, n_rows):
            found += _epochs(*files, n_used, small, "block shuffle")
        found += _epochs(*files, n_rows, small, "full shuffle")
    return found


@contextmanager
def digits_file(data, n_rows, folder):
    """Yield the paths of an IDX file of `n_rows` digits and of one of their labels.

    Both go at the end, also after an error or Ctrl-C. Raises OSError where there is no room.
    """
    n_bytes = n_rows * data.pixels.shape[1]
    free = shutil.disk_usage(folder).free
    if free < SPARE * n_bytes:
        raise OSError(
            f"{folder}: {free / 1e9:.1f} GB free, expected {SPARE * n_bytes / 1e9:.1f}; "
            "choose fewer --rows or another --folder"
        )
    with tempfile.TemporaryDirectory(prefix="numlin-scale-", dir=folder) as made:
        images, labels = Path(made, "images"), Path(made, "labels")
        idx.write(labels, _write(images, data, n_rows))
        yield images, labels


def _write(path, data, n_rows):
    """Write n_rows digits to `path`, the training set at a time; return the labels (n_rows,)."""
    rng = np.random.default_rng(0)
    labels = np.empty(n_rows, np.int8)
    with open(path, "wb") as stream, Progress("writing digits", n_rows) as progress:
        stream.write(struct.pack(">4B2I", 0, 0, 0x08, 2, n_rows, data.pixels.shape[1]))
        for first in range(0, n_rows, len(data.y)):
            chosen = rng.permutation(len(data.y))[: n_rows - first]
            stream.write(data.pixels[chosen])
            labels[first : first + len(chosen)] = data.y[chosen]
            progress.advance(len(chosen))
        stream.flush()
        os.fsync(stream.fileno())  # or the system would go on writing while epochs are timed
    return labels


def _epochs(images, labels, n_rows, small, shuffle):
    """The rows of one size: the small case, the first epoch and the one after it."""
    arguments = images, labels, n_rows, small, SHUFFLES[shuffle]
    top = str(Path(__file__).parent.parent)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([top, *sys.path])}
    done = subprocess.run(
        [sys.executable, "-m", "bench.scale", *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise WrongResult(f"scale, {n_rows:,} rows: {last_line(done)}")
    found = json.loads(done.stdout)
    base = f"{small:,} rows beside {n_rows:,}, {shuffle}, {SMALL_EPOCHS} epochs"
    memory = f"anonymous memory at most {found['anonymous'] / 1e6:.0f} MB"
    names = {
        "small": base,
        "first": f"{n_rows:,} rows, {shuffle}, first",
        "again": f"{n_rows:,} rows, {shuffle}, again",
    }
    visits = {"small": SMALL_EPOCHS * small, "first": n_rows, "again": n_rows}
    return [
        {
            "name": name,
            "rows": visits[key],
            "flops": 0,
            "real": "float32",
            "n_bytes": found["n_features"] * visits[key],
            "baseline": base,
            "note": memory if key == "first" else "",
            "clock": "perf_counter",
            "rounds": list(range(len(found[key]))),
            "seconds": found[key],
            "anonymous": found["anonymous"],
        }
        for key, name in names.items()
    ]


def main(images, labels, n_rows, small, shuffle_block):
    """In a process of its own: time the epochs and print the samples and the memory as JSON."""
    n_rows, small = int(n_rows), int(small)
    mapped, y = idx.memmap(images), idx.memmap(labels)

    def timed(X, y, n_epochs=1):
        training = Training(
            n_epochs=n_epochs, eps=0.1, learning_rate=0.01, shuffle_block=int(shuffle_block)
        )
        start = time.perf_counter()
        found = fit(X, y, training)
        return time.perf_counter() - start, found

    copied = timed(np.array(mapped[:small]), y[:small])[1]  # compiles, too
    direct = timed(mapped[:small], y[:small])[1]
    if not (np.array_equal(copied.w, direct.w) and copied.b == direct.b):
        raise WrongResult("the memory map trains another model than its copy in memory")
    seconds, watch = {"small": [], "first": [], "again": []}, Anonymous()
    for _ in range(ROUNDS):
        mapped = idx.memmap(images)
        seconds["small"] += [timed(mapped[:small], y[:small], SMALL_EPOCHS)[0] for _ in range(4)]
        mapped = idx.memmap(images)
        for name in ("first", "again"):
            seconds[name].append(timed(mapped[:n_rows], y[:n_rows])[0])
    print(json.dumps(seconds | {"anonymous": watch.stop(), "n_features": mapped.shape[1]}))


class Anonymous:
    """Looks twenty times a second how much memory of its own the process has; keeps the most."""

    def __init__(self):
        self.most, self.done = 0, threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self):
        while not self.done.wait(0.05):
            self.most = max(self.most, self.now())

    @staticmethod
    def now():
        """Bytes; NaN where there is no /proc to tell."""
        try:
            text = Path("/proc/self/status").read_text()
        except OSError:
            return float("nan")
        return int(re.search(r"RssAnon:\s+(\d+) kB", text)[1]) * 1024

    def stop(self):
        """The most it ever saw."""
        self.done.set()
        self.thread.join()
        return max(self.most, self.now())


if __name__ == "__main__":
    main(*sys.argv[1:])
