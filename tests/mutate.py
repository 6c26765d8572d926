"""Does the suite notice? Plant one fault at a time in a copy of numlin, and run the tests it meets.

    python tests/mutate.py                     all faults of tests/faults.py, a table at the end
    python tests/mutate.py callbacks evaluate  those whose file contains one of these words
    python tests/mutate.py --list FILE         faults of another list: a Python file with FAULTS

A fault is (file, old, new): `old` stands once in the file. TESTS says which tests a file meets; a
list without one takes that of tests/faults.py. These tests are run without any fault first, and
must pass. Survivors are printed as they are found; the exit code is 1 if there are any. Not part
of the suite: a fault takes seconds.
"""

import argparse
import ast
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIMIT = 240  # seconds: a test that hangs has noticed


def tests_for(file, tests):
    """The test files for a file: those of the longest prefix of it in the list's TESTS."""
    prefix = max((p for p in tests if file.startswith(p)), key=len, default=None)
    found = [f"tests/test_{name}.py" for name in tests[prefix].split()] if prefix else ["tests"]
    missing = [name for name in found if not (ROOT / name).exists()]
    if missing:
        raise SystemExit(f"{file}: no such tests: {', '.join(missing)}")
    return found


def copy_tree(folder):
    """A copy of what git knows of the checkout, changes included, in `folder`."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.split("\n"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def passes(folder, tests):
    """Whether these tests pass in the copy, run until the first that does not."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=LIMIT,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def try_faults(waiting, tests, verdicts):
    """Take faults from the queue until it is empty, and note who survived."""
    with tempfile.TemporaryDirectory(prefix="numlin-mutate-") as name:
        folder = Path(name)
        copy_tree(folder)
        while True:
            try:
                fault = waiting.get_nowait()
            except queue.Empty:
                return
            file, old, new = fault
            source = (folder / file).read_text()
            (folder / file).write_text(source.replace(old, new))
            survived = passes(folder, tests_for(file, tests))
            (folder / file).write_text(source)
            verdicts.append((fault, survived))
            if survived:
                print(f"SURVIVED {file}: {old!r} -> {new!r}", flush=True)


def check(faults):
    """Raise SystemExit that names every fault that stands nowhere, or twice, or is no code."""
    wrong = []
    for file, old, new in faults:
        source = (ROOT / file).read_text() if (ROOT / file).exists() else ""
        if source.count(old) != 1 or old == new:
            wrong.append(f"{file}: {old!r} stands {source.count(old)} times, expected once")
        elif file.endswith(".py"):
            try:
                ast.parse(source.replace(old, new))
            except SyntaxError as error:
                wrong.append(f"{file}: {old!r} -> {new!r}: {error}")
    if wrong:
        raise SystemExit("\n".join(wrong))


def read(path):
    """What the list of faults in the Python file `path` defines."""
    listed: dict = {}
    exec(compile(path.read_text(), path, "exec"), {"__name__": "faults"}, listed)
    return listed


def main():
    """Run the faults asked for and print, for each file, how many were noticed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--list", type=Path, default=ROOT / "tests" / "faults.py")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    listed = read(options.list)
    tests = listed.get("TESTS") or read(ROOT / "tests" / "faults.py")["TESTS"]
    faults = [
        fault
        for fault in listed["FAULTS"]
        if not options.words or any(word in fault[0] for word in options.words)
    ]
    check(faults)
    needed = sorted({name for file, *_ in faults for name in tests_for(file, tests)})
    with tempfile.TemporaryDirectory(prefix="numlin-mutate-") as name:
        copy_tree(Path(name))
        failing = [test for test in needed if not passes(Path(name), [test])]
    if failing:
        raise SystemExit(f"fail or take too long without any fault: {', '.join(failing)}")
    waiting: queue.SimpleQueue = queue.SimpleQueue()
    for fault in faults:
        waiting.put(fault)
    verdicts: list = []
    workers = [
        threading.Thread(target=try_faults, args=(waiting, tests, verdicts))
        for _ in range(options.jobs)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    planted = Counter(fault[0] for fault, _ in verdicts)
    noticed = Counter(fault[0] for fault, survived in verdicts if not survived)
    for file in sorted(planted):
        print(f"{file:40} {noticed[file]:3} of {planted[file]:3}")
    print(f"{noticed.total()} of {planted.total()} faults noticed")
    return int(noticed.total() < planted.total())


if __name__ == "__main__":
    sys.exit(main())
