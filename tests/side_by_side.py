"""The suite in two processes, file by file, with nothing installed beyond pytest.

A second pytest with the same arguments collects the same tests. Both take the files that are left
from one pipe, an index at a time; what the second one finds it writes down as pytest's own reports,
and the first one shows them as if they were its own. Where a run is to stop at a failure, or to be
watched, or pytest-xdist is at work, or there is one processor only, all is as ever.
"""

import hashlib
import os
import pickle
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from itertools import groupby

import pytest

SHARED = "NUMLIN_TESTS_SHARED"  # in the second process: the pipe, the reports, what it collects
WORTH_IT = 300  # tests
AS_HERE = [] if {"", os.getcwd()} & set(sys.path) else ["-P"]  # the present folder is not imported


def pytest_runtestloop(session):
    """Run the tests, of each file in one process; None leaves them to pytest's own loop."""
    files = [list(items) for _, items in groupby(session.items, lambda item: item.path)]
    names = hashlib.sha256("\n".join(item.nodeid for item in session.items).encode()).hexdigest()
    if SHARED in os.environ:
        return _second(session, files, names)
    options = session.config.option
    watched = options.collectonly or options.usepdb or options.maxfail or options.capture == "no"
    by_xdist = getattr(options, "numprocesses", None) or hasattr(session.config, "workerinput")
    alone = watched or by_xdist
    if alone or os.name != "posix" or len(session.items) < WORTH_IT or _processors() < 2:
        return None
    return _first(session, files, names)


def _processors():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _first(session, files, names):
    config = session.config

    def show(lines):
        for line in lines:
            report = config.hook.pytest_report_from_serializable(
                config=config, data=pickle.loads(bytes.fromhex(line.decode()))
            )
            config.hook.pytest_runtest_logreport(report=report)

    with tempfile.TemporaryFile() as errors, tempfile.NamedTemporaryFile() as reports:
        left, put = os.pipe()
        os.write(put, bytes(range(len(files))))
        os.close(put)
        shared = {SHARED: f"{left} {reports.name} {names}"}
        command = [sys.executable, *AS_HERE, "-m", "pytest", *config.invocation_params.args]
        with _process(
            command,
            env={**os.environ, **shared},
            cwd=config.invocation_params.dir,
            pass_fds=[left],
            stdout=errors,
            stderr=errors,
        ) as second:
            for _ in _run(_items(files, left)):
                show(_whole_lines(reports))
            os.close(left)
            while (code := _wait(second)) is None:
                show(_whole_lines(reports))
            show(_whole_lines(reports))
        if code:
            errors.seek(0)
            told = errors.read().decode(errors="replace")[-3000:]
            print(f"\n{told}\nthe second process of the tests ended with {code}")
            raise session.Failed
    return True


def _second(session, files, names):
    left, path, expected = os.environ.pop(SHARED).split()
    if names != expected:
        pytest.exit("the second process collects other tests", 4)
    with open(path, "a") as reports:

        class Writes:
            def pytest_runtest_logreport(self, report):
                data = session.config.hook.pytest_report_to_serializable(
                    config=session.config, report=report
                )
                reports.write(pickle.dumps(data).hex() + "\n")  # JSON would make lists of tuples
                reports.flush()

        session.config.pluginmanager.register(Writes())
        for _ in _run(_items(files, int(left))):
            pass
    session.testsfailed = 0  # the first process counts them
    return True


def _items(files, left):
    """The tests of the files that are taken, one after the other, from the pipe `left`."""
    while index := os.read(left, 1):
        yield from files[index[0]]


def _run(items):
    """Run each of the items, and yield after it."""
    item = next(items, None)
    while item is not None:
        following = next(items, None)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        yield
        item = following


def _whole_lines(file):
    """What was added to the file, up to the end of its last line."""
    start, text = file.tell(), file.read()
    whole = text[: text.rfind(b"\n") + 1]
    file.seek(start + len(whole))
    return whole.splitlines()


@contextmanager
def _process(command, **options):
    """The process, which does not outlive the block."""
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def _wait(process):
    """The exit code, None if there is none yet after a moment."""
    try:
        return process.wait(0.2)
    except subprocess.TimeoutExpired:
        return None
