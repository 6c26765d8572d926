"""Work shared with a forked copy: all of it is done, and errors are raised here."""

import os
import signal
import sys
import time

import pytest

from numlin.support import forks
from numlin.support.forks import share_with_a_copy

forked = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2,
    reason="work is not shared: no Linux, or one processor",
)


def writes(folder, item):
    """A new file that names the process."""
    time.sleep(0.02)
    with open(folder / str(item), "x") as file:
        file.write(str(os.getpid()))


@forked
def test_both_processes_take_part_and_each_item_is_done_once(tmp_path):
    told = []
    share_with_a_copy(lambda item: writes(tmp_path, item), range(20), told.append)
    assert sorted(told) == list(range(20)) == sorted(int(p.name) for p in tmp_path.iterdir())
    pids = {int(path.read_text()) for path in tmp_path.iterdir()}
    assert len(pids) == 2
    with pytest.raises(ProcessLookupError):  # the copy is gone
        os.kill((pids - {os.getpid()}).pop(), 0)


@pytest.mark.parametrize("how", ["dies", "fails", "no fork", "one processor"])
def test_what_the_copy_does_not_do_is_done_here(how, monkeypatch, tmp_path):
    here, told = os.getpid(), []

    def work(item):
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL) if how == "dies" else 1 / 0
        writes(tmp_path, item)

    def refuses():
        raise OSError

    if how == "no fork":
        monkeypatch.setattr(forks.os, "fork", refuses)
    elif how == "one processor":
        monkeypatch.setattr(forks.os, "sched_getaffinity", lambda _: {0}, raising=False)
    share_with_a_copy(work, "abcdefgh", told.append)
    assert sorted(told) == list("abcdefgh")
    assert {path.read_text() for path in tmp_path.iterdir()} == {str(here)}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_is_raised_here_and_ends_the_copy(error, tmp_path):
    here = os.getpid()

    def work(item):
        if os.getpid() == here:
            raise error(item)
        time.sleep(60)

    since = time.monotonic()
    with pytest.raises(error):
        share_with_a_copy(work, range(4), print)
    assert time.monotonic() - since < 20
