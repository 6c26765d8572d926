"""Write a file whole or not at all."""

import os
import shutil
import tempfile
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
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def staging(folder):
    """Yield a temporary folder; on success its files move into `folder`, on any error it goes.

    Files of `folder` with other names stay. Interrupting leaves `folder` as it was.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder}: found a file, expected a folder to write to")
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        yield temporary
        for source in sorted(path for path in temporary.rglob("*") if path.is_file()):
            target = folder / source.relative_to(temporary)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _umask():
    """The process's umask, which mkstemp's 0600 ignores; reading it means setting it twice."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
