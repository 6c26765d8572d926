"""Let the k-th rename, unlink, write or open of a command fail, or a signal come, for every k.

A command runs in a fork of this process, on a few images that `datasets` takes for MNIST and at a
time that stands still, so that equal runs write equal bytes and every file can be told by them.

    python tests/injector.py             every point of every command, fault and folder
    python tests/injector.py --sample 1  one point by chance of each
    python tests/injector.py --kills 200 as many kills of each command at a random time
    python tests/injector.py --only train  with any of these: scenes whose name begins so
    python tests/injector.py --crowd 20  as many times 8 processes at once, in one folder and cache
"""

import argparse
import builtins
import contextlib
import errno
import io
import itertools
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from numlin import cli
from numlin.data import datasets, idx, mirrors, strokes
from numlin.studies import article, clock
from numlin.support import files

FAULTS = ("fails", "SIGINT", "SIGTERM", "SIGHUP", "SIGKILL")
CALLS = ("open", "mkdir", "rename", "replace", "unlink", "remove", "rmdir", "chmod")


class Injector:
    """Counts the calls that change files; the k-th fails, or a signal comes before it."""

    def __init__(self, fault, k):
        self.fault, self.k, self.count = fault, k, 0
        for name in CALLS:
            setattr(os, name, partial(self.call, getattr(os, name)))
        files._swap = partial(self.call, files._swap)
        builtins.open = io.open = partial(self.open, open)

    def strikes(self):
        """Whether a call fails; a signal is sent here."""
        self.count += 1
        if self.count == self.k and self.fault != "fails":
            os.kill(os.getpid(), getattr(signal, self.fault))
        return self.count == self.k and self.fault == "fails"

    def call(self, function, path, *arguments, **options):
        if self.strikes():
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return function(path, *arguments, **options)

    def open(self, function, path, mode="r", buffering=-1, encoding=None, *rest, **options):
        if "w" not in mode:
            return function(path, mode, buffering, encoding, *rest, **options)
        if self.strikes():
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        file = (
            io.BufferedRandom(Writes(self, path)) if "+" in mode else Buffered(Writes(self, path))
        )
        return file if "b" in mode else io.TextIOWrapper(file, encoding or "utf-8")


class Buffered(io.BufferedWriter):
    """A file of which little is kept back, so that there are many writes."""


class Writes(io.FileIO):
    """A file on a disk that is full at the k-th call: half of what is written arrives."""

    def __init__(self, injector, path):
        super().__init__(path, "w")
        self.injector = injector

    def write(self, content):
        if self.injector.strikes():
            super().write(memoryview(content)[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(content)


def publish(folder):
    """Write four files that `datasets` takes for MNIST's from now on."""
    table, rng = {}, np.random.default_rng(0)
    for split, n_samples in (("train", 120), ("test", 60)):
        labels = rng.permutation(np.arange(n_samples) % 10).astype(np.uint8)
        for what, array in (("images", strokes.draw(labels, rng)), ("labels", labels)):
            path = folder / f"{datasets.ROLES[f'{split}-{what}']}.gz"
            idx.write(path, array, compress=True)
            table[path.name] = path.stat().st_size, files.sha256(path)
    datasets.MNIST = table


def serve(folder):
    """Serve a folder on this machine, as the only mirror."""
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *arguments: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=folder))
    server.handle_error = lambda *arguments: None  # a client was killed
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ["no_proxy"] = "127.0.0.1"
    mirrors.MIRRORS = (f"http://127.0.0.1:{server.server_port}/",)
    return server


def stop_the_clock():
    """Let no bytes depend on when they are written, and a study that was run be there at once."""
    clock.perf_counter = lambda: 0.0
    zipfile.time = SimpleNamespace(time=lambda: 0.0, localtime=lambda seconds: time.gmtime(0))
    known, run = {}, article.run

    def remembered(source, digits, seed, engine):
        if seed not in known:
            known[seed] = run(source, digits, seed, engine)
        return known[seed]

    article.run = remembered
    return remembered


def fork(arguments, fault="", k=0, forever=False):
    """Start a command in a fork: its process, and a pipe that tells how many points it passed."""
    read, write = os.pipe()
    process = os.fork()
    if process:
        os.close(write)
        return process, read
    os.close(read)
    code = 99
    try:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        sys.stderr = io.StringIO()
        cli.handle_signals()
        injector = Injector(fault, k)
        code = cli.main([str(argument) for argument in arguments])
        complaint = sys.stderr.getvalue()
        os.write(write, f"{injector.count} {complaint}".encode())
    except BaseException as error:
        os.write(write, f"0 {error!r}".encode())
    finally:
        os._exit(code)


def ends(process, read):
    """Exit code, or minus the signal, and what the fork told."""
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    told = b"".join(iter(lambda: os.read(read, 2**16), b"")).decode()
    os.close(read)
    return code, told


def run(arguments, *fault):
    return ends(*fork(arguments, *fault))


def content(root):
    """{path: sha256} of all files and empty folders under `root`."""
    found = {}
    for path in Path(root).rglob("*"):
        if path.is_file():
            found[path.relative_to(root).as_posix()] = files.sha256(path)
        elif not any(path.iterdir()):
            found[path.relative_to(root).as_posix()] = "empty folder"
    return found


class Scene:
    """A command and the folder it writes to, in which an earlier run of it and a user may be.

    `old` and `new` are what stands there before and after it.
    """

    def __init__(self, work, name, command, before=None, own=()):
        self.root, self.name, self.command = Path(work) / name, name, command
        self.backup = Path(work) / f"{name}-before"
        self.whole_set = not own and name.startswith("reproduce")
        self.root.mkdir()
        if before:
            assert run(self.at(before))[0] == 0, before
        for path in own:
            self.root.joinpath(path).write_text("a user's own file")
        shutil.copytree(self.root, self.backup)
        self.old = content(self.root)
        code, told = run(self.at(command))
        assert code == 0, told
        self.n_points, self.new = int(told.split()[0]), content(self.root)
        self.reset()

    def at(self, command):
        return [str(word).replace("ROOT", str(self.root)) for word in command]

    def reset(self):
        shutil.rmtree(self.root)
        shutil.copytree(self.backup, self.root)

    def check(self, code, fault, told):
        """AssertionError unless what is left is what the rules allow."""
        found = content(self.root)
        temporary = [p for p in found if ".numlin-" in p]
        settled = {p: h for p, h in found.items() if p not in temporary}
        about = f"{self.name}, {fault}: exit {code}, {told}"
        if fault.startswith("SIG") and fault != "SIGKILL":
            assert code == 130 or (code == 0 and found == self.new), about
            differs = [
                {p for p in {*found, *each} if found.get(p) != each.get(p)}
                for each in (self.old, self.new)
            ]
            assert found in (self.old, self.new, *self.steps()), (about, differs)
            return
        else:
            for path, sha256 in settled.items():
                known = {each[path] for each in (self.old, self.new) if path in each}
                whole = sha256 in known or path.endswith(files.MANIFEST) or sha256[:5] == "empty"
                assert whole, (about, path)
            if self.whole_set and fault == "SIGKILL":
                assert {p: h for p, h in settled.items() if h[:5] != "empty"} in (
                    self.old,
                    self.new,
                ), about
            self.check_manifest(about, settled)
            assert all(p in settled for p in self.old if "own" in p), about
            if fault == "fails":
                assert code in (0, 2) and not temporary, (about, temporary)
                assert code == 0 or "numlin: error: " in told, about
        code, told = run(self.at(self.command))
        assert code == 0, (about, told)
        assert content(self.root) == self.new, (about, "after the next run")

    def check_manifest(self, about, settled):
        """A manifest that says so is of a whole set."""
        for path in settled:
            if path.endswith(files.MANIFEST):
                folder = (self.root / path).parent
                complete, known = files.manifest(folder)
                if complete:
                    for name, hashes in known.items():
                        assert files.sha256(folder / name) in hashes, (about, name)

    def steps(self):
        """Further ends that are allowed: of files that come one by one, any number has come."""
        if "data" in self.name:
            names = sorted(self.new, key=lambda name: list(datasets.MNIST).index(Path(name).name))
            return [{name: self.new[name] for name in names[:n]} for n in range(len(names))]
        return []

    def strike(self, fault, k):
        """Run the command with a fault at its k-th point, and check what is left."""
        code, told = run(self.at(self.command), fault, k)
        self.check(code, fault, told)
        self.reset()

    def kill(self, rng, longest):
        """Kill the command at a random time, and check what is left."""
        process, read = fork(self.at(self.command))
        time.sleep(rng.uniform(0, longest))
        os.kill(process, signal.SIGKILL)
        code, told = ends(process, read)
        self.check(code, "SIGKILL", told)
        self.reset()
        return code == -signal.SIGKILL


def scenes(work, only=""):
    """Every command in every folder that it may meet, or those whose names begin with `only`."""
    for name, *how in _scenes(work):
        if name.startswith(only):
            yield Scene(work, name, *how)


def _scenes(work):
    data = ["--data", "mnist", "--data-dir", work / "mnist"]
    again = ["reproduce", *data, "--no-figures", "--engine", "numpy", "--out", "ROOT/deep/out"]
    small = ["train", *data, "--engine", "numpy", "--n-epochs", 2, "--out", "ROOT/deep/model.npz"]
    proof = ["optimum", *data, "--certificate", "ROOT/deep/c.json", "--eps"]
    other = ["--seed", "1"]
    yield ("reproduce", again)
    yield ("reproduce-again", again, again + other)
    own = ["deep/out/own.txt", "deep/out/models/own.npz"]
    yield ("reproduce-among-own-files", again, again + other, own)
    yield ("train", small)
    yield ("train-again", small, small + other)
    yield ("optimum", [*proof, 0.1])
    yield ("optimum-again", [*proof, 0.1], [*proof, 0.2])
    yield ("optimum-twice", [*proof, 0.1, 0.2])
    yield ("data", ["data", "--data-dir", "ROOT/deep"])


@contextlib.contextmanager
def stage():
    """A folder with data, a server and a clock for all scenes."""
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        os.environ["XDG_CACHE_HOME"] = str(work / "cache")
        publish(work / "mnist")
        with serve(work / "mnist"):
            for name in ("reproduce", "train", "optimum", "data"):
                import_module(f"numlin.commands.{name}")  # here once, and not in every fork
            study = stop_the_clock()
            source = datasets.find("mnist", work / "mnist")
            for seed in (0, 1):
                study(source, (0, 1), seed, "numpy")
            yield work


def every_point(sample=0, only=""):
    """Strike at every point, or at so many by chance, with every fault; how many that were."""
    rng, total = random.Random(0), 0
    with stage() as work:
        for scene in scenes(work, only):
            struck = 0
            for fault in FAULTS:
                points = range(1, scene.n_points + 1)
                for k in rng.sample(points, sample) if sample else points:
                    scene.strike(fault, k)
                    struck += 1
            print(f"{scene.name}: {scene.n_points} points, {struck} faults", flush=True)
            total += struck
    return total


def random_kills(n_kills, only="", seed=0):
    """Kill each command so many times at random, while it computes and while it writes."""
    rng = random.Random(seed)
    with stage() as work:
        for scene in scenes(work, only):
            since = time.perf_counter()
            run(scene.at(scene.command))
            scene.reset()
            longest = time.perf_counter() - since
            tried = killed = 0
            while killed < n_kills:
                killed, tried = killed + scene.kill(rng, longest), tried + 1
            print(f"{scene.name}: {killed} killed, {tried - killed} were done before", flush=True)


def crowd(n_times, only="", n_processes=8):
    """Run so many at once with different seeds into one folder: it is one of the results."""
    with stage() as work:
        pairs = [scene for scene in scenes(work, only) if scene.name.split("-")[0] != "optimum"]
        for scene, again in itertools.product(pairs, range(n_times)):
            started = [
                fork([*scene.at(scene.command), *(["--seed", str(k % 2)] * (scene.name != "data"))])
                for k in range(n_processes)
            ]
            told = [ends(*each) for each in started]
            assert all(code == 0 for code, _ in told), (scene.name, told)
            found = content(scene.root)
            assert not [path for path in found if "/.numlin" in path], found
            scene.check_manifest(scene.name, found)
            code, told = run(scene.at(scene.command))
            assert code == 0 and content(scene.root) == scene.new, scene.name
            scene.reset()
            if again == n_times - 1:
                print(f"{scene.name}: {n_times} times {n_processes} at once", flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--crowd", type=int, default=0)
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    if options.kills:
        random_kills(options.kills, options.only)
    elif options.crowd:
        crowd(options.crowd, options.only)
    else:
        print(f"{every_point(options.sample, options.only)} faults, all as they should be")


if __name__ == "__main__":
    main()
