"""The suite in two processes says what it says in one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import side_by_side

pytestmark = pytest.mark.skipif(
    os.name != "posix" or side_by_side._processors() < 2, reason="one processor, or no posix"
)
CONFTEST = """
import side_by_side
from side_by_side import pytest_runtestloop
side_by_side.WORTH_IT = 1
"""
FILE = """
import os, time
from pathlib import Path
import pytest

@pytest.fixture(scope="module", autouse=True)
def once():
    Path(__file__ + ".log").open("a").write(f"{os.getpid()}\\n")

def test_passes():
    time.sleep(0.3)

def test_fails():
    print("printed", 3 + 4)
    assert 1 + 1 == 3

def test_skips():
    pytest.skip("for a reason")
"""
DIES = """
import os, time
import side_by_side

SECOND = side_by_side.SHARED in os.environ

def test_dies():
    os.kill(os.getpid(), 9) if SECOND else time.sleep(0.2)
"""


def suite(folder, files, *arguments):
    """Exit code and output of pytest, in the folder, of {file: source}."""
    for name, source in {"conftest.py": CONFTEST, **files}.items():
        (folder / name).write_text(source)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(side_by_side.__file__).parent)},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def test_both_processes_work_and_one_report_tells_all(tmp_path):
    files = {f"test_{k}.py": FILE for k in range(6)}
    code, out = suite(tmp_path, files)
    assert code == 1 and "6 failed, 6 passed, 6 skipped" in out
    assert out.count("printed 7") == 6 and "for a reason" in out
    logs = [(tmp_path / f"{name}.log").read_text().split() for name in files]
    assert all(len(log) == 1 for log in logs), "each file in one process"
    assert len({log[0] for log in logs}) == 2, "and both of them have some"


@pytest.mark.parametrize("arguments", [["-x"], ["-s"], ["--co"]])
def test_what_is_watched_or_stops_early_is_in_one_process(arguments, tmp_path):
    files = {f"test_{k}.py": FILE for k in range(2)}
    suite(tmp_path, files, *arguments)
    pids = {pid for log in tmp_path.glob("*.log") for pid in log.read_text().split()}
    assert len(pids) == (arguments != ["--co"])


def test_a_process_that_dies_is_told(tmp_path):
    code, out = suite(tmp_path, {f"test_{k}.py": DIES for k in range(20)})
    assert code == 1 and "the second process of the tests ended with -9" in out
