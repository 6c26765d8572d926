"""Work side by side: in order, with the first error, and nobody waits after Ctrl-C."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from numlin.support.threads import side_by_side


@pytest.mark.parametrize("n_threads", [1, 2, 5, 100])
def test_results_come_in_the_order_of_the_items(n_threads):
    seen = set()

    def square(k):
        seen.add(threading.get_ident())
        time.sleep(0.002 * (7 - k))
        return k * k

    assert side_by_side(square, range(7), n_threads) == [k * k for k in range(7)]
    assert 1 <= len(seen) <= min(n_threads, 7) and (n_threads == 1 or len(seen) > 1)
    assert side_by_side(square, [], n_threads) == []


@pytest.mark.parametrize("wrong", [0, 1, 5])
def test_the_first_error_is_raised_and_nothing_more_is_begun(wrong):
    begun = []

    def work(k):
        begun.append(k)
        time.sleep(0.01)
        if k == wrong:
            raise ValueError(f"item {k}")

    with pytest.raises(ValueError, match=f"item {wrong}"):
        side_by_side(work, range(40), 2)
    time.sleep(0.05)
    assert wrong in begun and len(begun) <= wrong + 3


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
@pytest.mark.parametrize("first", ["main", "other"])
def test_ctrl_c_waits_for_no_other_thread(first):
    """Whether it meets the calling thread at work or waiting, the process ends at once."""
    program = (
        "import threading, time\n"
        "from numlin.support.threads import side_by_side\n"
        "main = threading.main_thread()\n"
        f"quick = {first == 'other'}\n"
        "def work(k):\n"
        "    if threading.current_thread() is main:\n"
        "        print('begun', flush=True)\n"
        "        time.sleep(0.1 if quick else 30)\n"
        "    else:\n"
        "        time.sleep(30)\n"
        "side_by_side(work, range(2), 2)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "begun\n"
    time.sleep(0.4)
    start = time.monotonic()
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=20)
    assert time.monotonic() - start < 3 and "KeyboardInterrupt" in errors
