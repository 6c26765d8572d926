"""Run and grade a learner's file: here (`judge`), or in a process with a time limit (`run`).

A file may crash, loop, exit or say nothing; each is told apart, and only a process that lives to
write its verdict down has one.
"""

import faulthandler
import json
import linecache
import os
import re
import subprocess
import sys
import tempfile
import traceback
import types
from contextlib import redirect_stdout
from importlib import import_module
from inspect import signature
from pathlib import Path

from numlin.learn.grading import Solution, Wrong, WrongKind, diagnose

LIMIT = 10.0  # seconds for one file
GRACE = 60.0  # seconds more, to start Python
ROOT = Path(__file__).parent.parent.parent
COMMAND = [sys.executable, "-P", "-c", "from numlin.learn import judge; judge.main()"]


def judge(exercise, path):
    """Grade the file `path` in this process: a dict of its "state" and a "message".

    "right"; "nearly", the message says what is wrong; "wrong", if no case is right; "open", if
    nothing is written yet; "empty", if no function is there at all; "crashes" and "exits", with
    the line that does it. Besides, what the file has "printed", and by how much a right one differs
    from numlin, its "gap".
    """
    printed, solution = _Printed(), Solution({}, exercise)
    with redirect_stdout(printed):
        try:
            solution.functions = _functions(exercise, _load(path))
            state, message = "right", exercise.prove(solution)
        except _Missing as missing:
            state, message = "empty", str(missing)
        except Wrong as wrong:
            known = isinstance(wrong, WrongKind)
            message = str(wrong) if known else diagnose(solution, wrong)
            calls = exercise.cases() if solution.last else ()
            state = "nearly" if any(solution.gets(*call) for call in calls) else "wrong"
        except NotImplementedError as error:
            state = "nearly" if solution.finished else "open"
            what = f"{solution.last[0]} is " if solution.finished else ""
            message = f"{what}still to be written, {_place(path, error)}"
        except SystemExit as error:
            state = "exits"
            message = f"ends the process before it is graded, {_place(path, error)}"
        except BaseException as error:
            state, message = "crashes", f"{_words(error)}, {_place(path, error)}"
            if solution.last:
                message += f"\ncalled as {solution.call(*solution.last)}"
    printed = printed.text.rstrip()
    return {"state": state, "message": message, "printed": printed, "gap": solution.gap}


def run(name, path, limit=LIMIT):
    """Grade the file `path` in its own process; besides the states of `judge`, "endless"."""
    path, search = path.absolute(), filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))
    with tempfile.TemporaryDirectory() as folder:
        verdict, trace, errors = (Path(folder, file) for file in ("verdict", "trace", "errors"))
        with open(errors, "wb") as stderr:
            process = subprocess.Popen(
                [*COMMAND, name, str(path), str(limit), folder],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(search)},
            )
        try:
            code = process.wait(limit + GRACE)
        except subprocess.TimeoutExpired:  # not even the watchdog inside has come through
            return {"state": "endless", "message": f"not done after {limit + GRACE:g} s"}
        finally:
            process.kill()
        if verdict.exists():
            return json.loads(verdict.read_text())
        said, complaint = (file.read_text() if file.exists() else "" for file in (trace, errors))
    lines = re.findall(rf'File "{re.escape(str(path))}", line (\d+)', said)
    where = _line(path, int(lines[0])) if lines else "outside of your lines"
    if said.startswith("Timeout"):
        return {"state": "endless", "message": f"not done after {limit:g} s, {where}"}
    if said or code < 0:
        return {"state": "crashes", "message": f"the process died ({code}), {where}"}
    if "numlin/learn" in complaint:
        raise RuntimeError(complaint)
    message = f"ends the process before it is graded, with exit code {code}"
    return {"state": "exits", "message": message}


def main():
    """The process of `run`: name, path, limit and folder are its arguments."""
    name, path, limit, folder = sys.argv[1:]
    exercise = import_module(f"numlin.learn.{name}")
    sys.argv = [path]
    with open(Path(folder, "trace"), "w") as trace:
        faulthandler.enable(trace)
        faulthandler.dump_traceback_later(float(limit), exit=True, file=trace)
        record = judge(exercise, Path(path))
        faulthandler.cancel_dump_traceback_later()
    Path(folder, "draft").write_text(json.dumps(record))
    os.replace(Path(folder, "draft"), Path(folder, "verdict"))
    os._exit(0)  # whatever threads or exit functions a file has left behind


class _Missing(Exception):
    """None of the functions that were asked for is in the file."""


class _Printed:
    """Standard output of a learner's file: the first 2,000 characters."""

    text = ""

    def write(self, text):
        self.text += text[: 2000 - len(self.text)]
        return len(text)

    def flush(self):
        """Nothing is kept back."""


def _load(path):
    """The names that a learner's file defines; its neighbours can be imported."""
    module = sys.modules[path.stem] = types.ModuleType(path.stem)
    module.__file__ = str(path)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    exec(compile(path.read_bytes(), str(path), "exec"), vars(module))
    return vars(module)


def _functions(exercise, defined):
    """The functions of an exercise among the names defined, each known to take its arguments."""
    found = {name: defined[name] for name in exercise.OWN if callable(defined.get(name))}
    for name in exercise.OWN:
        expected = signature(getattr(exercise, name))
        if name not in found:
            raise (WrongKind if found else _Missing)(f"does not define {name}{expected}")
        parameters = signature(getattr(found[name], "py_func", found[name]))
        try:
            parameters.bind(*expected.parameters)
        except TypeError:
            raise WrongKind(f"{name}{parameters}: expected {name}{expected}") from None
    return found


def _words(error):
    """An exception in one line; of Numba's long ones, what says most."""
    lines = [
        line.strip() for line in str(getattr(error, "msg", error)).splitlines() if line.strip()
    ]
    if type(error).__module__.startswith("numba"):
        lines = [line for line in lines if "pipeline" not in line] or lines
    return ": ".join([type(error).__name__, *lines[:1]])


def _place(path, error):
    """The innermost line of the learner's file that an exception comes from.

    One that comes from numlin alone is not the learner's, and is raised again.
    """
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return _line(path, error.lineno)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    lines += map(int, re.findall(rf'File ".*{re.escape(path.name)}", line (\d+)', str(error)))
    if lines:
        return _line(path, lines[-1])
    if not {"_load", "raw"} & {frame.name for frame in frames}:
        raise error
    return "outside of your lines"


def _line(path, number):
    linecache.checkcache(str(path))
    return f"line {number}: {linecache.getline(str(path), number).strip()}"
