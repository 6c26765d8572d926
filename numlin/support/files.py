"""Write files whole or not at all: one by one, or as a folder of them.

A file is written under a temporary name beside its place, and renamed. A folder is staged inside
itself, and then exchanged for the old one in one rename where it holds nothing but what an earlier
run wrote; elsewhere (a mount, a folder with a user's own files) its files move one by one. A
manifest, which is written before the first of them and again after the last, knows every file by
its hash: what may be removed, and whether all are of one run.

A temporary name is locked (flock) as long as its process lives, and the kernel drops the lock
however that ends. So leftovers are temporary names that nobody holds: whoever next writes beside
one removes it. Signals that end a process wait while files move and while leftovers go.
"""

import atexit
import ctypes
import errno
import hashlib
import json
import os
import re
import shutil
import signal
import stat
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: no locks, and so nothing is known to be left over
    fcntl = None  # type: ignore[assignment]

MANIFEST = "numlin-manifest.json"
FilePath = str | PathLike[str]
TEMPORARY = re.compile(r"\.numlin-[0-9a-f]{16}(\..*)?")
PATIENCE = 60  # seconds to wait for a folder that another process is about to change
SIGNALS = [
    getattr(signal, name) for name in ("SIGHUP", "SIGTERM", "SIGINT") if hasattr(signal, name)
]
UNBLOCKED = getattr(os, "O_NONBLOCK", 0)  # opening a pipe waits for nobody
KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


@contextmanager
def replacing(path):
    """Yield a temporary path beside `path`; on success it takes that name, on any error it goes.

    The rename is atomic, so a reader sees the old file or the new one, never a half, and two
    processes that write the same file do not mix. Parent folders are made.

    Parameters
    ----------
    path : str or Path
        The file to write: of a link its target, of an old file its mode and owner stay. What
        stood there before stays until the block has succeeded.

    Yields
    ------
    Path
        An empty file in the same folder, of the same suffix, to be written in the block.

    Raises
    ------
    OSError
        It cannot be written, or a folder, a pipe, a device or a socket is there.
    """
    check_target(path)
    target = Path(os.path.realpath(path))
    with _temporary(path, target.parent, target.suffix) as (temporary, signals):
        with naming(path, temporary):
            yield temporary
        signals.held = True
        with naming(path):
            _place(temporary, target)


def write_json(path, record):
    """Write `record` to `path` as strict JSON (a NaN is an error), whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")


@contextmanager
def staging(folder, keep=False):
    """Yield a temporary folder; on success its files are `folder`'s, on any error it goes.

    Files that an earlier run wrote into `folder` and that are unchanged go, unless `keep`; all
    others stay. Interrupting leaves `folder` as it was; while files move, it has to wait, and so
    has another process that writes to `folder`.
    """
    if Path(folder).exists() and not Path(folder).is_dir():
        message = "found a file, expected a folder to write to"
        raise OSError(errno.ENOTDIR, message, str(folder))
    target = Path(os.path.realpath(folder))
    with _temporary(folder, target) as (temporary, signals):
        new = temporary / "new"
        with suppress(OSError), _locked(target.parent, patience=0):
            _sweep(target.parent)
        with naming(folder, new):
            new.mkdir()
            yield new
        signals.held = True
        with naming(folder, new), _locked(target):
            _fill(target, new, keep)


def manifest(folder):
    """(complete, {file: its sha256s}) of what was written into `folder`, as far as that is known.

    A file has two sha256s where a run did not end: the old and the new.
    """
    try:
        content = json.loads(read_whole(Path(folder, MANIFEST), 2**24))
        found = {name: set(map(str, hashes)) for name, hashes in content["files"].items()}
        return bool(content["complete"]), found
    except (AttributeError, KeyError, OSError, RecursionError, TypeError, ValueError):
        return False, {}


def sha256(path):
    """Hex digest of the file at `path`."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def scratch():
    """A new folder among the system's temporary files, which goes when the process ends."""
    claimed = _claim(Path(tempfile.gettempdir()))
    atexit.register(_discard, *claimed)
    return claimed[0]


def check_target(path):
    """Raise OSError unless a file can be written at `path`: a regular one is there, or none."""
    with suppress(FileNotFoundError):
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
            message = f"found {KINDS[stat.S_IFMT(mode)]}, expected a file to write"
            raise OSError(number, message, str(path))


def read_whole(path, limit):
    """The bytes of a regular file; ValueError if it is none, or longer than `limit` bytes.

    Neither an endless device nor a pipe that nobody writes to is read.
    """
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | UNBLOCKED)) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            found = KINDS[stat.S_IFMT(status.st_mode)]
            raise ValueError(f"{path}: found {found}, expected a regular file")
        if status.st_size > limit:
            found = f"{status.st_size:,} bytes"
            raise ValueError(f"{path}: found {found}, expected at most {limit:,}")
        return file.read(status.st_size or limit)


class Signals:
    """The signals that end a process, put off while `held`; see SIGNALS.

    The first that comes when they are not held raises KeyboardInterrupt and has all others wait, so
    that none of them breaks the clean-up. At the end each goes to whoever would have had it. Only
    the main thread can put signals off, and only it is hit by them.
    """

    def __enter__(self):
        self.held, self._caught, self._before = True, [], {}
        if threading.current_thread() is threading.main_thread():
            before = {number: signal.getsignal(number) for number in SIGNALS}
            ignored = signal.SIG_IGN, None
            self._before = {k: handler for k, handler in before.items() if handler not in ignored}
        for number in self._before:
            signal.signal(number, self._catch)
        return self

    def _catch(self, number, frame):
        self._caught.append(number)
        if not self.held:
            self.held = True
            raise KeyboardInterrupt

    def release(self):
        """Put signals off no longer, unless a block around this one does."""
        around = (getattr(handler, "__self__", None) for handler in self._before.values())
        self.held = any(isinstance(each, Signals) and each.held for each in around)
        if self._caught and not self.held:
            self.held = True
            raise KeyboardInterrupt

    def __exit__(self, *error):
        for number, handler in self._before.items():
            signal.signal(number, handler)
        for number in self._caught:
            signal.raise_signal(number)


@contextmanager
def _temporary(path, folder, suffix=None):
    """Yield a new temporary name in `folder` and the Signals around it; see _claim."""
    with Signals() as signals:
        made, claimed = [], None
        try:
            try:
                with naming(path):
                    made = [each for each in (folder, *folder.parents) if not each.exists()]
                    claimed = _claim(folder, suffix)
                signals.release()
                yield claimed[0], signals
            finally:
                signals.held = True
        finally:
            if claimed:
                _discard(*claimed)
            for each in made:
                with suppress(OSError), _locked(each, patience=1):  # nobody is about to use it
                    each.rmdir()


def _claim(folder, suffix=None):
    """Make a temporary file, or folder if there is no suffix, and lock it: its path and handle."""
    path, handle = folder / f".numlin-{os.urandom(8).hex()}{(suffix or '')[:16]}", None
    with _locked(folder):
        _sweep(folder)
        try:
            if suffix is None:
                path.mkdir()
            else:
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            handle = _lock(path)
        except OSError:
            _discard(path, handle)
            raise
    return path, handle


def _discard(path, handle):
    """Remove a temporary name that may have been renamed, and drop its lock."""
    for _ in range(2):  # what fails once on a bad disk may not fail again
        with suppress(OSError):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
    if handle is not None:
        os.close(handle)


def _sweep(folder):
    """Remove the temporary names in `folder`, which is locked, whose process is gone."""
    with os.scandir(folder) as entries:
        left = [Path(entry.path) for entry in entries if TEMPORARY.fullmatch(entry.name)]
    for path in left:
        with suppress(OSError):
            if (handle := _lock(path)) is not None:
                _discard(path, handle)


@contextmanager
def _locked(folder, patience=None):
    """Make `folder` if it is missing, and hold its lock, if it can have one."""
    while True:
        _make(folder)
        with suppress(FileNotFoundError):  # somebody exchanged or removed it meanwhile
            handle = _lock(folder, PATIENCE if patience is None else patience)
            if handle is None or os.path.samestat(os.fstat(handle), os.stat(folder)):
                break
            os.close(handle)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _make(folder):
    """Make `folder` if it is missing, also while others make and remove its parents."""
    for left in reversed(range(100)):
        try:
            return folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, FileNotFoundError):
            if not left:
                raise


def _lock(path, patience=0.0):
    """An open handle of `path` that holds its lock; None where there are no locks.

    Raises TimeoutError when another holds it for more than `patience` seconds.
    """
    if fcntl is None:
        return None
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | UNBLOCKED)
    except PermissionError:
        return None
    since = time.monotonic()
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except BlockingIOError:
            if time.monotonic() - since >= patience:
                os.close(handle)
                message = f"another process has been writing there for {patience:g} s"
                raise TimeoutError(errno.ETIMEDOUT, message, str(path)) from None
            time.sleep(0.01)
        except OSError:
            os.close(handle)
            return None


def _fill(folder, new, keep):
    """Make the files in `new`, staged inside `folder`, those of `folder`, and note them down."""
    staged = sorted(path for path in new.rglob("*") if path.is_file())
    files = {path.relative_to(new).as_posix(): path for path in staged}
    found, (_, known) = {name: {sha256(path)} for name, path in files.items()}, manifest(folder)
    kept = {name: hashes for name, hashes in known.items() if keep and name not in found}
    _write_manifest(new / MANIFEST, True, kept | found)
    if not kept and _holds_only(folder, known, new.parent) and _exchange(folder, new):
        return
    for name in (*files, MANIFEST):
        check_target(folder / name)
    moving = {name: hashes | known.get(name, set()) for name, hashes in found.items()}
    _write_manifest(new / MANIFEST, False, known | moving)
    _move(new / MANIFEST, folder / MANIFEST)
    for name, path in files.items():
        _move(path, folder / name)
    for name in sorted(known.keys() - found.keys() - kept.keys()):
        if _is_known(folder, name, known):
            (folder / name).unlink()
            with suppress(OSError):  # others are in it
                (folder / name).parent.rmdir()
    _write_manifest(new / MANIFEST, True, kept | found)
    _move(new / MANIFEST, folder / MANIFEST)


def _write_manifest(path, complete, hashes):
    listed = {name: sorted(hashes[name]) for name in sorted(hashes)}
    write_json(path, {"complete": complete, "files": listed})


def _is_known(folder, name, known):
    """Whether this file in `folder` is as a run wrote it."""
    path = folder / name
    with suppress(OSError, ValueError):
        inside = path.resolve() == path and path.is_relative_to(folder)
        return inside and path.is_file() and sha256(path) in known.get(name, ())
    return False


def _holds_only(folder, known, staged):
    """Whether `folder` holds only known files and what is staged there, and nobody is at home."""
    with suppress(OSError):
        if Path.cwd().is_relative_to(folder):
            return False
    parents = {parent for name in known for parent in (folder / name).parents}
    for at, folders, names in os.walk(folder):
        if Path(at) == folder:
            folders.remove(staged.name)
        at = Path(at)
        if not all(at / each in parents and not (at / each).is_symlink() for each in folders):
            return False
        relative = ((at / name).relative_to(folder).as_posix() for name in names)
        if not all(name == MANIFEST or _is_known(folder, name, known) for name in relative):
            return False
    return True


def _exchange(folder, new):
    """Let `new` and `folder` change places in one rename, and say whether the system can do that.

    What is staged inside `folder` goes beside it for that, and comes back with the old files.
    """
    staged, beside, swapped = new.parent, folder.parent / new.parent.name, False
    try:
        for old in (folder, *folder.rglob("*")):
            _keep_mode(new / old.relative_to(folder), old)
        os.rename(staged, beside)
        try:
            _swap(beside / new.name, folder)
            swapped = True
        finally:
            os.rename(beside, staged)
    except (AttributeError, OSError, TypeError):  # not Linux, a mount, or a read-only parent
        if not swapped and not new.exists():
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return swapped


def _swap(one, other):
    """Exchange two names in one step, which Linux alone has."""
    swap = ctypes.CDLL(None, use_errno=True).renameat2
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    if swap(here, os.fsencode(one), here, os.fsencode(other), exchange):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(other))


def _move(source, target):
    """Rename `source` to `target` whose links are followed, to another disk if they lead there."""
    target = Path(os.path.realpath(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        _place(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with replacing(target) as temporary:
            shutil.copyfile(source, temporary)


def _place(source, target):
    """Rename `source` to `target`, and leave mode and owner as they are there."""
    _keep_mode(source, target)
    os.replace(source, target)


def _keep_mode(new, old):
    """Give `new` the mode and the owner of `old`, if both are there and that is allowed."""
    with suppress(FileNotFoundError, PermissionError):
        status = old.stat()
        new.chmod(stat.S_IMODE(status.st_mode))
        os.chown(new, status.st_uid, status.st_gid)


@contextmanager
def naming(path, temporary=None):
    """Have an OSError name `path`, or what it is to hold, where it names the temporary or nothing.

    Without a `temporary` every error names `path`.
    """
    try:
        yield
    except OSError as error:
        name = error.filename
        if temporary and name:
            name = Path(os.fsdecode(name))
            if not name.is_relative_to(temporary):
                raise
            path = Path(path, name.relative_to(temporary))
        if error.errno is None:
            raise
        raise type(error)(error.errno, error.strerror, str(path)) from None
