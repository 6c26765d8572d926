"""Faults at some of the points that `python tests/injector.py` tries all of, and some fuzzing."""

import os
import subprocess
import sys
from pathlib import Path

import fuzz
import pytest
from conftest import needs_jit


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, which POSIX has")
@needs_jit
def test_a_fault_anywhere_leaves_the_old_or_the_new_and_nothing_else():
    program = Path(__file__).with_name("injector.py")
    done = subprocess.run(
        [sys.executable, program, "--sample", "1"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0 and "45 faults" in done.stdout, done.stdout + done.stderr


@needs_jit
def test_changed_files_are_read_as_their_oracles_read_them_or_refused():
    for kind, (tried, accepted) in fuzz.fuzz(4.0, seed=0).items():
        assert 0 < accepted < tried, kind
