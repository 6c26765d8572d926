"""The kernels of the optimum are compiled beside other work, all of them, or not at all."""

import subprocess
import sys
import time

import pytest
from conftest import needs_jit

from numlin.kernels.jit import is_stored
from numlin.optimum import ahead
from numlin.optimum.pivots import pivots

ALL = """
import sys
import numpy as np
from numba.core.dispatcher import Dispatcher
from numlin.balls import LINF_BOX
from numlin.optimum import ahead, path

def compiled():
    modules = [m for name, m in sys.modules.items() if name.startswith("numlin.optimum")]
    found = [v for m in modules for v in vars(m).values() if isinstance(v, Dispatcher)]
    return {f.py_func.__qualname__: len(f.signatures) for f in found}

ahead.compile_kernels()
before = compiled()
rng = np.random.default_rng(1)
y = np.where(rng.random(900) < 0.5, 1, -1).astype(np.int8)
X = np.clip(rng.normal(120 + 9 * y[:, None], 60, (900, 49)), 0, 255).astype(np.uint8)
for ball in ("linf", LINF_BOX):
    path(X, y, (0.05, 0.15, 0.3), ball=ball)
after = compiled()
assert before == after, (before, after)
assert after["pivots"] == 1
"""


@needs_jit
def test_what_is_compiled_ahead_is_all_that_the_optima_need():
    done = subprocess.run([sys.executable, "-c", ALL], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def slow(path, seconds):
    return f"import time; time.sleep({seconds}); open({str(path)!r}, 'w').close()"


def test_a_process_compiles_only_what_is_not_stored_but_can_be(tmp_path, monkeypatch):
    monkeypatch.setattr(ahead, "PROGRAM", slow(tmp_path / "ran", 0.2))
    for stored in (True, None, False):
        monkeypatch.setattr(ahead, "is_stored", lambda _, stored=stored: stored)
        with ahead.compiling():
            assert not (tmp_path / "ran").exists()
        assert (tmp_path / "ran").exists() == (stored is False), "and the block waits for it"


def test_a_process_does_not_outlive_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(ahead, "PROGRAM", slow(tmp_path / "ran", 1))
    monkeypatch.setattr(ahead, "is_stored", lambda _: False)
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt), ahead.compiling():
        raise KeyboardInterrupt
    assert time.monotonic() - start < 0.9
    time.sleep(1.1)
    assert not (tmp_path / "ran").exists()


@needs_jit
def test_machine_code_is_known_to_be_stored():
    ahead.compile_kernels()
    assert is_stored(pivots) in (True, None)  # None: a folder that cannot be written
    assert is_stored(len) is None


def test_without_room_for_a_process_the_block_runs_all_the_same(monkeypatch):
    monkeypatch.setattr(ahead, "is_stored", lambda _: False)
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with ahead.compiling():
        done = True
    assert done


@needs_jit
def test_a_module_of_the_present_folder_is_not_run(tmp_path, monkeypatch):
    (tmp_path / "signal.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ahead, "is_stored", lambda _: False)
    monkeypatch.setattr(ahead, "PROGRAM", ahead.PROGRAM + "open('done', 'w').close()")
    with ahead.compiling():
        pass
    assert (tmp_path / "done").exists() and not (tmp_path / "ran").exists()


@needs_jit
def test_a_damaged_index_is_machine_code_that_is_not_stored(monkeypatch):
    def damaged():
        raise EOFError("Ran out of input")

    if is_stored(pivots) is None:
        pytest.skip("no folder to store machine code in")
    monkeypatch.setattr(pivots._cache._cache_file, "_load_index", damaged)
    assert is_stored(pivots) is False
