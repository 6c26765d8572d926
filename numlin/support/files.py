"""Write a file whole or not at all."""

import errno
import json
import os
import shutil
import signal
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path):
    """Yield a temporary path beside `path`; on success it takes that name, on any error it goes.

    The rename is atomic, so a reader sees the old file or the new one, never a half, and two
    processes that write the same file do not mix. Parent folders are made.

    Parameters
    ----------
    path : str or Path
        The file to write. What stood there before stays until the block has succeeded.

    Yields
    ------
    Path
        An empty file in the same folder, of the same suffix, to be written in the block.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "found a folder, expected a file to write", str(path))
    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(path.suffix, f".{path.stem}-", path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with _naming(path):
            temporary.chmod(0o666 & ~_umask())
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path, record):
    """Write `record` to `path` as strict JSON (a NaN is an error), whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")


@contextmanager
def staging(folder, stale=()):
    """Yield a temporary folder; on success its files move into `folder`, on any error it goes.

    Of what stood in `folder` before, files that match a pattern in `stale` go and all others
    stay. Interrupting leaves `folder` as it was; while files move, it has to wait.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        message = "found a file, expected a folder to write to"
        raise NotADirectoryError(errno.ENOTDIR, message, str(folder))
    with _naming(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        yield temporary
        with _naming(folder), _uninterrupted():
            for pattern in stale:
                for old in folder.glob(pattern):
                    old.unlink()
            for source in sorted(path for path in temporary.rglob("*") if path.is_file()):
                target = folder / source.relative_to(temporary)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(source, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _naming(path):
    """Have an OSError name `path`, not the temporary file beside it."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise type(error)(error.errno, error.strerror, str(path)) from None


@contextmanager
def _uninterrupted():
    """Put Ctrl-C off until the block is done; only the main thread can, and is hit by it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught = []
    before = signal.signal(signal.SIGINT, lambda *event: caught.append(event))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if caught:
        raise KeyboardInterrupt


def _umask():
    """The process's umask, which mkstemp's 0600 ignores; reading it means setting it twice."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
