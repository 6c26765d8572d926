"""Work that holds Python's global lock, shared with a forked copy of the process."""

import os
import signal
import sys
import warnings
from contextlib import suppress


def share_with_a_copy(function, items, done):
    """function(item) for all items, at most 255, some of them in a copy of this process.

    What `function` does must show outside of the process, as a file does. Both take the next item
    that is left. Here `done(item)` is told of each that is finished; what the copy did not finish
    is done here, so that errors are raised here. Linux alone forks safely with what is loaded.
    """
    items, finished = list(items), set()

    def tell(indices):
        for index in indices:
            finished.add(index)
            done(items[index])

    if sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1 and len(items) > 1:
        _side_by_side(function, items, tell)
    for index in range(len(items)):
        if index not in finished:
            function(items[index])
            tell([index])


def _side_by_side(function, items, tell):
    (left, put), (said, say) = os.pipe(), os.pipe()
    os.write(put, bytes(range(len(items))))
    os.close(put)
    os.set_blocking(said, False)
    child = None
    try:
        with suppress(OSError), warnings.catch_warnings():  # too many processes: all is done here
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which BLAS has
            child = os.fork()
        if child == 0:
            _work_in_the_copy(function, items, left, say)
        os.close(say)
        say = None
        while child and (index := os.read(left, 1)):
            function(items[index[0]])
            tell(index)
            with suppress(BlockingIOError):
                tell(os.read(said, len(items)))
        os.set_blocking(said, True)
        while child and (indices := os.read(said, len(items))):
            tell(indices)
    except BaseException:
        if child:
            os.kill(child, signal.SIGKILL)
        raise
    finally:
        for handle in (left, said, say):
            if handle is not None:
                os.close(handle)
        if child:
            os.waitpid(child, 0)


def _work_in_the_copy(function, items, left, say):
    """What the copy does; it ends here, whatever happens."""
    code = 1
    try:
        while index := os.read(left, 1):
            function(items[index[0]])
            os.write(say, index)
        code = 0
    finally:
        os._exit(code)
