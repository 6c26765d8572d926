"""Files are written whole or not at all; tables line up; progress is silent in a pipe."""

import errno
import io
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from numlin import cli
from numlin.support import files
from numlin.support.files import MANIFEST, manifest, read_whole, replacing, sha256, staging
from numlin.support.progress import Progress
from numlin.support.text import table


def test_a_file_appears_when_the_block_succeeds(tmp_path):
    with replacing(tmp_path / "deep" / "er" / "a.txt") as temporary:
        temporary.write_text("new")
        assert not (tmp_path / "deep" / "er" / "a.txt").exists()
    assert (tmp_path / "deep" / "er" / "a.txt").read_text() == "new"


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_interrupted_block_leaves_the_old_file_and_nothing_else(tmp_path, error):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(error), replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise error
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "usual").write_text("")
    with replacing(tmp_path / "ours") as temporary:
        temporary.write_text("")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "ours")]
    assert modes[0] == modes[1]


@pytest.mark.skipif(os.name != "posix", reason="links and permissions are POSIX's")
@pytest.mark.parametrize("there", [True, False])
def test_of_a_link_the_target_is_written_and_of_an_old_file_the_mode_stays(tmp_path, there):
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "file", tmp_path / "link"
    if there:
        target.write_text("old")
        target.chmod(0o640)
    link.symlink_to(target)
    with replacing(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink() and target.read_text() == "new"
    assert not there or stat.S_IMODE(target.stat().st_mode) == 0o640
    assert contents(tmp_path) == {"link": "new", "elsewhere/file": "new"}


def make_fifo(path):
    os.mkfifo(path)


def make_device(path):
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes devices")


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(path))


@pytest.mark.skipif(os.name != "posix", reason="such files are POSIX's")
@pytest.mark.parametrize("make", [make_fifo, make_device, make_socket, Path.mkdir])
def test_what_is_no_regular_file_is_neither_replaced_nor_read(tmp_path, monkeypatch, make):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "special")
    (tmp_path / "link").symlink_to("special")
    before = os.lstat("special")
    for name in ("special", "link"):
        with pytest.raises(OSError, match="found a .*, expected a file") as error, replacing(name):
            pass
        assert error.value.filename == name
        with pytest.raises((ValueError, OSError)):
            read_whole(name, 100)
    assert os.path.samestat(before, os.lstat("special")) and os.path.islink("link")
    assert sorted(os.listdir()) == ["link", "special"]


def test_a_file_is_read_up_to_a_limit_and_refused_above_it(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert read_whole(tmp_path / "file", 5) == b"12345"
    with pytest.raises(ValueError, match="file: found 5 bytes, expected at most 4"):
        read_whole(tmp_path / "file", 4)


def contents(folder):
    """{path: text} of all files but the manifest."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }


def stage(folder, keep=False, **texts):
    """Stage files, "__" in their names for "/" and "_" for "."; return `contents`."""
    with staging(folder, keep) as staged:
        for name, text in texts.items():
            path = staged / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    return contents(folder)


def test_a_folder_becomes_what_was_staged_but_what_is_not_ours_stays(tmp_path):
    out = tmp_path / "out"
    assert stage(out, a_txt="1", models__b_npz="1") == {"a.txt": "1", "models/b.npz": "1"}
    assert stage(out, a_txt="2") == {"a.txt": "2"}
    assert not (out / "models").exists()
    stage(out, models__b_npz="3", models__c_npz="3", figures__d_png="3")
    (out / "models" / "mine.npz").write_text("mine")
    (out / "models" / "c.npz").write_text("changed by its owner")
    assert stage(out, a_txt="4") == {
        "a.txt": "4",
        "models/mine.npz": "mine",
        "models/c.npz": "changed by its owner",
    }
    assert not (out / "figures").exists() and manifest(out)[0]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_files_are_kept_where_that_is_asked_for(tmp_path):
    stage(tmp_path / "out", a_png="1", b_png="1")
    assert stage(tmp_path / "out", keep=True, b_png="2") == {"a.png": "1", "b.png": "2"}
    assert stage(tmp_path / "out", c_png="3") == {"c.png": "3"}, "the manifest knows all of them"


def test_an_interrupted_staging_leaves_the_folder_as_it_was(tmp_path):
    with pytest.raises(KeyboardInterrupt), staging(tmp_path / "deep" / "out") as folder:
        (folder / "new").write_text("new")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_way_of_a_file_is_said_before_anything_changes(tmp_path):
    stage(tmp_path / "out", a="1", b="1")
    (tmp_path / "out" / "c").mkdir()
    with pytest.raises(IsADirectoryError) as error:
        stage(tmp_path / "out", a="2", c="2")
    assert error.value.filename == str(tmp_path / "out" / "c")
    assert contents(tmp_path / "out") == {"a": "1", "b": "1"} and manifest(tmp_path / "out")[0]


def test_a_manifest_from_elsewhere_removes_nothing_outside_and_a_damaged_one_nothing(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "mine").write_text("mine")
    (out / "link").symlink_to(tmp_path)
    names = ["../mine", str(tmp_path / "mine"), "link/mine", "mine\0", "..", ""]
    hashes = {name: [sha256(tmp_path / "mine")] for name in names}
    for text in (json.dumps({"complete": True, "files": hashes}), "{", "[" * 99999, '{"files": 1}'):
        (out / MANIFEST).write_text(text)
        assert stage(out, a="1") == {"a": "1"}
        assert (tmp_path / "mine").read_text() == (out / "link" / "mine").read_text() == "mine"
    assert manifest(out) == (True, {"a": {sha256(out / "a")}})


def other_disk():
    """A folder on another disk than the temporary one, or a skip."""
    for folder in ("/dev/shm", "/run", "/var/tmp"):
        usable = os.path.isdir(folder) and os.access(folder, os.W_OK)
        if usable and os.stat(folder).st_dev != os.stat(tempfile.gettempdir()).st_dev:
            return tempfile.TemporaryDirectory(dir=folder)
    pytest.skip("there is no second disk")


@pytest.mark.skipif(os.name != "posix", reason="links are POSIX's")
def test_a_folder_or_a_file_that_is_a_link_to_another_disk_is_written_there(tmp_path):
    with other_disk() as other:
        (tmp_path / "out").symlink_to(other)
        assert stage(tmp_path / "out", a="1", b="1") == {"a": "1", "b": "1"}
        assert stage(tmp_path / "out", a="2") == {"a": "2"}
        assert sorted(os.listdir(other)) == ["a", MANIFEST]
        (tmp_path / "own").mkdir()
        (tmp_path / "own" / "a").symlink_to(Path(other) / "a")
        assert stage(tmp_path / "own", a="3", b="3") == {"a": "3", "b": "3"}
        assert (Path(other) / "a").read_text() == "3" and (tmp_path / "own" / "a").is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["out", "own"]


@contextmanager
def mounted(*arguments):
    """A file system mounted at the last argument, or a skip."""
    if subprocess.run(["mount", *map(str, arguments)], capture_output=True).returncode:
        pytest.skip("only root mounts file systems")
    try:
        yield
    finally:
        subprocess.run(["umount", str(arguments[-1])], check=True)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mount is Linux's")
def test_a_mount_and_a_folder_in_a_read_only_one_are_written(tmp_path):
    out, size = tmp_path / "out", ["-o", "size=1m"]
    out.mkdir()
    with mounted("-t", "tmpfs", *size, "none", tmp_path), mounted_at(out, size):
        subprocess.run(["mount", "-o", "remount,ro", tmp_path], check=True)
        assert stage(out, a="1", b="1") == {"a": "1", "b": "1"}
        assert stage(out, a="2") == {"a": "2"}
        assert os.listdir(tmp_path) == ["out"] and sorted(os.listdir(out)) == ["a", MANIFEST]
        with pytest.raises(OSError, match="No space left") as error, staging(out) as staged:
            (staged / "models").mkdir()
            with replacing(staged / "models" / "b") as temporary:
                temporary.write_bytes(bytes(2**21))
        assert error.value.filename == str(out / "models" / "b")
        assert contents(out) == {"a": "2"} and sorted(os.listdir(out)) == ["a", MANIFEST]


@contextmanager
def mounted_at(out, size):
    out.mkdir()
    with mounted("-t", "tmpfs", *size, "none", out):
        yield


def test_whoever_is_at_home_in_a_folder_stays_in_it(tmp_path, monkeypatch):
    stage(tmp_path / "out", a="1")
    inode = (tmp_path / "out").stat().st_ino
    monkeypatch.chdir(tmp_path / "out")
    assert stage(Path(), a="2") == {"a": "2"} == contents(tmp_path / "out")
    assert (tmp_path / "out").stat().st_ino == inode


def read_at(folder, name):
    with open(name, opener=partial(os.open, dir_fd=folder)) as file:
        return file.read()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the exchange is Linux's")
def test_a_reader_never_sees_files_of_two_runs(tmp_path):
    out, mixed, done = tmp_path / "out", [], threading.Event()
    stage(out, a="0", b="0")
    (out / "b").chmod(0o640)

    def read():
        while not done.is_set():
            folder = os.open(out, os.O_RDONLY)  # of one run, whatever it is called by now
            try:
                texts = {read_at(folder, "a"), read_at(folder, "b")}
                mixed.extend([texts] * (len(texts) - 1))
            except FileNotFoundError:
                pass  # what was exchanged goes
            os.close(folder)

    reader = threading.Thread(target=read)
    reader.start()
    for k in range(50):
        stage(out, a=str(k), b=str(k))
    done.set()
    reader.join()
    assert not mixed and stat.S_IMODE((out / "b").stat().st_mode) == 0o640


def test_a_set_that_did_not_get_whole_is_told_and_completed_by_the_next_run(tmp_path, monkeypatch):
    out = tmp_path / "out"
    stage(out, a="1", b="1", c="1")
    (out / "mine").write_text("mine")
    original = os.replace

    def replace(source, target):
        if Path(target).name == "b":
            raise OSError(errno.EIO, os.strerror(errno.EIO), source)
        original(source, target)

    with monkeypatch.context() as patch, pytest.raises(OSError) as error:
        patch.setattr(os, "replace", replace)
        stage(out, a="2", b="2", d="2")
    assert error.value.filename == str(out / "b") and not manifest(out)[0]
    assert contents(out) == {"a": "2", "b": "1", "c": "1", "mine": "mine"}, "nothing is lost"
    assert stage(out, b="3") == {"b": "3", "mine": "mine"} and manifest(out)[0]


HOLDER = """
import sys, time
from numlin.support.files import replacing, staging
with staging(sys.argv[1] + "/out"), replacing(sys.argv[1] + "/file.npz"):
    print("ready", flush=True)
    time.sleep(60)
"""


def test_what_the_dead_left_goes_and_what_the_living_use_stays(tmp_path):
    def start():
        command = [sys.executable, "-c", HOLDER, tmp_path]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment())
        assert process.stdout.readline() == b"ready\n"
        return process

    def temporary():
        return [path for path in tmp_path.rglob(".numlin-*") if path.parent.name != "new"]

    (tmp_path / ".numlin-notes").write_text("mine")
    with start() as dead, start() as living:
        dead.kill()
        dead.wait()
        assert len(temporary()) == 4 + 1
        stage(tmp_path / "out", a="1")
        assert len(temporary()) == 2 + 1, "beside the folder and in it"
        living.terminate()
    stage(tmp_path / "out", a="2")
    assert [path.name for path in temporary()] == [".numlin-notes"]


def environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_two_that_write_to_one_folder_wait_for_each_other(tmp_path, monkeypatch):
    original, results = os.replace, []

    def slow(source, target):
        time.sleep(0.01)
        original(source, target)

    monkeypatch.setattr(os, "replace", slow)
    (tmp_path / "mine").write_text("mine")

    def write(text):
        stage(tmp_path, **dict.fromkeys("abcdef", text))
        results.append(text)

    threads = [threading.Thread(target=write, args=(str(k),)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = contents(tmp_path)
    assert len(results) == 6 and found.pop("mine") == "mine"
    assert len(found) == 6 and len(set(found.values())) == 1 and manifest(tmp_path)[0]


def test_a_lock_that_is_not_given_back_is_an_error_that_names_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PATIENCE", 0.05)
    with files._locked(tmp_path), pytest.raises(TimeoutError, match="another process") as error:
        stage(tmp_path, a="1")
    assert error.value.filename == str(tmp_path)


SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


@pytest.fixture
def as_a_command():
    """Signals are handled as in the process `numlin`."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    cli.handle_signals()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("own", [True, False])
def test_a_signal_while_files_move_waits_until_they_have_moved(
    tmp_path, monkeypatch, as_a_command, number, own
):
    stage(tmp_path / "out", a="1", b="1")
    if own:
        (tmp_path / "out" / "mine").write_text("mine")
    original = os.rename if not own else os.replace

    def rename(source, target):
        signal.raise_signal(number)
        original(source, target)

    monkeypatch.setattr(os, original.__name__, rename)
    with pytest.raises(KeyboardInterrupt):
        stage(tmp_path / "out", a="2", b="2")
    assert contents(tmp_path / "out") == {"a": "2", "b": "2"} | ({"mine": "mine"} if own else {})
    assert signal.getsignal(number) is signal.default_int_handler


def test_a_second_interrupt_does_not_break_the_clean_up(tmp_path, monkeypatch, as_a_command):
    original = os.rmdir

    def rmdir(path, **options):
        signal.raise_signal(SIGNALS[-1])
        original(path, **options)

    monkeypatch.setattr(os, "rmdir", rmdir)
    with pytest.raises(KeyboardInterrupt), staging(tmp_path / "deep" / "out") as folder:
        (folder / "new").write_text("new")
        signal.raise_signal(SIGNALS[0])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_a_signal_that_was_ignored_stays_so_and_a_default_one_kills_after_the_clean_up(tmp_path):
    program = """
import signal, sys
from numlin.support.files import staging
signal.signal(signal.SIGHUP, signal.SIG_IGN)
with staging(sys.argv[1]) as folder:
    (folder / "a").write_text("new")
    signal.raise_signal(signal.SIGHUP)
    if len(sys.argv) > 2:
        signal.raise_signal(signal.SIGTERM)
"""
    command = [sys.executable, "-c", program, tmp_path / "out"]
    assert subprocess.run([*command, "die"], env=environment()).returncode == -signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
    assert subprocess.run(command, env=environment()).returncode == 0
    assert contents(tmp_path / "out") == {"a": "new"}


def test_a_folder_where_a_file_should_be_written_is_named(tmp_path):
    with pytest.raises(IsADirectoryError, match="found a folder") as error, replacing(tmp_path):
        pass
    assert error.value.filename == str(tmp_path)


def test_an_error_names_the_file_and_not_the_temporary_one(tmp_path):
    (tmp_path / "file").write_text("")
    for context in (replacing, staging):
        with pytest.raises(OSError) as error, context(tmp_path / "file" / "out"):
            pass
        assert error.value.filename == str(tmp_path / "file" / "out")


def test_staging_over_a_file_is_refused_by_name(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(NotADirectoryError, match="found a file.*out"), staging(tmp_path / "out"):
        pass


def test_a_table_lines_up_words_left_and_numbers_right():
    assert table(["model", "error"], [["a", "1%"], ["longer", "100%"]]).splitlines() == [
        "model   error",
        "------  -----",
        "a          1%",
        "longer   100%",
    ]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream, shown", [(io.StringIO(), False), (Terminal(), True)])
def test_progress_shows_on_a_terminal_and_is_silent_in_a_pipe(monkeypatch, stream, shown):
    monkeypatch.setattr(sys, "stderr", stream)
    with Progress("reading", total=4) as progress:
        progress.advance(2, note="half way")
    assert ("reading  50% half way" in stream.getvalue()) is shown
    assert (stream.getvalue() == "") is not shown


def test_a_folder_that_one_process_makes_and_unmakes_is_there_for_the_others(tmp_path):
    program = """
import sys
from contextlib import suppress
from pathlib import Path
from numlin.support.files import replacing
for k in range(300):
    path = Path(sys.argv[1]) / f"{k}" / "deep" / "file"
    with suppress(StopIteration), replacing(path):
        raise StopIteration
    with replacing(path) as temporary:
        temporary.write_text("whole")
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [each.communicate()[1] for each in running] == [""] * 4
    for k in range(300):
        assert [each.name for each in (tmp_path / f"{k}" / "deep").iterdir()] == ["file"]


@pytest.mark.parametrize("error", [FileNotFoundError, FileExistsError])
def test_a_parent_that_others_remove_while_a_folder_is_made_is_made_again(
    error, monkeypatch, tmp_path
):
    mkdir, goes = Path.mkdir, iter([True, False, True])

    def meanwhile(path, *mode, **options):
        if next(goes, False):
            raise error(path)
        mkdir(path, *mode, **options)

    monkeypatch.setattr(Path, "mkdir", meanwhile)
    with replacing(tmp_path / "deep" / "file") as temporary:
        temporary.write_text("whole")
    assert (tmp_path / "deep" / "file").read_text() == "whole" and next(goes, None) is None
    monkeypatch.setattr(Path, "mkdir", lambda path, *_, **__: path.rename("x"))
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "never" / "file"):
        raise AssertionError


def test_a_record_that_json_cannot_say_leaves_the_old_file(tmp_path):
    path = tmp_path / "record.json"
    files.write_json(path, {"loss": 0.5})
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(path, {"loss": float("nan")})
    assert json.loads(path.read_text()) == {"loss": 0.5} and os.listdir(tmp_path) == [path.name]
