"""The command line as a person meets it: in a process of its own, or with one line of trouble."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import numlin
from numlin import cli
from numlin.attacks import attack
from numlin.commands import COMMANDS
from numlin.data import datasets
from numlin.model import LinearClassifier
from numlin.support import text

TWO = ["--data", "synthetic", "--digits", "0", "1"]


def run(*arguments, **changes):
    """The command in its own process: (exit code, standard output, standard error)."""
    done = subprocess.run(
        [sys.executable, "-m", "numlin", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **changes},
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def reproduced(strokes_source, tmp_path_factory):
    out = tmp_path_factory.mktemp("reproduced") / "out"
    return out, *run("reproduce", "--data", "synthetic", "--engine", "numpy", "--out", out)


@pytest.fixture
def saved(tmp_path):
    """A model of 784 pixels."""
    X = np.zeros((2, 784))
    X[1, 400] = 1
    LinearClassifier(n_epochs=2, engine="numpy").fit(X, [-1, 1]).save(tmp_path / "model.npz")
    return tmp_path / "model.npz"


def test_importing_numlin_loads_neither_numba_nor_matplotlib():
    code = "import sys, numlin, numlin.cli; print({'numba', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_every_public_name_is_there():
    for name in numlin.__all__:
        assert getattr(numlin, name) is not None
    assert set(numlin.__all__) == set(dir(numlin))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        numlin.nothing


@pytest.mark.parametrize("arguments", [("--help",), ()])
def test_help_or_nothing_at_all_names_every_command_with_its_purpose(arguments):
    code, out, complaint = run(*arguments)
    assert (code, complaint) == (0, "")
    words = " ".join(out.split())
    for command, purpose in COMMANDS.items():
        assert f"{command} {purpose}" in words
    assert "start with" in out and "numlin reproduce" in out


def test_a_command_loads_only_what_it_needs():
    code = "import sys; from numlin import cli; cli.parse(['data']); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "numlin.commands.data" in done.stdout
    assert not [name for name in ("numba", "matplotlib", "commands.train") if name in done.stdout]


def test_reproduce_writes_results_models_and_figures(reproduced):
    out, code, printed, complaint = reproduced
    assert (code, complaint) == (0, "")
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert "results.json" in names and "models/robust-0.3.npz" in names
    assert sum(name.startswith("figures/") for name in names) >= 2
    assert not [name for name in names if "/." in name or name.startswith(".")]


def test_reproduce_prints_a_row_for_each_model_with_the_numbers_of_results_json(reproduced):
    out, _, printed, _ = reproduced
    results = json.loads((out / "results.json").read_text())
    for name, model in results["models"].items():
        row = next(line.split() for line in printed.splitlines() if line.startswith(name))
        assert row[2] == f"{model['test_error']:.2%}" and row[3] == str(model["test_mistakes"])
        accuracy = results["attack"]["robust_accuracy"][name][results["attack"]["eps"].index(0.1)]
        assert row[4] == f"{1 - accuracy:.2%}"


def test_everything_made_from_synthetic_digits_says_so(reproduced):
    out, _, printed, _ = reproduced
    assert "SYNTHETIC DIGITS (not MNIST)" in printed
    assert json.loads((out / "results.json").read_text())["dataset"]["name"] == "synthetic"
    assert LinearClassifier.load(out / "models" / "regular.npz").trained_on_["name"] == "synthetic"


def test_the_ball_reaches_the_model_and_the_attack(strokes_source, tmp_path, capsys, monkeypatch):
    from numlin.commands import evaluate

    monkeypatch.setattr(evaluate, "minimise", lambda *a, **b: SimpleNamespace(lower_bound=0.0))
    path, data = str(tmp_path / "m.npz"), ["--data", "synthetic"]
    few = ["--n-epochs", "2", "--eps", "0.1", "--ball", "linf-box"]
    assert cli.main(["train", *data, *few, "--out", path]) == 0
    model = LinearClassifier.load(path)
    assert model.ball == "linf-box"
    X, y = datasets.load("test", (0, 1), np.float64, strokes_source)
    for norm, eps in (("l2", 2.0), ("l1", 20.0)):
        capsys.readouterr()
        balls = [norm, f"{norm}-box"]
        asked = [path, *data, "--eps", str(eps), "--ball", *balls]
        assert cli.main(["attack", *asked]) == 0
        free, boxed = capsys.readouterr().out.splitlines()[-1].split()[1:]
        worst = [attack(model.w, model.b, X, y, eps, ball) for ball in balls]
        assert [free, boxed] == [f"{found.success.mean():.2%}" for found in worst]
        assert free != boxed
        assert cli.main(["evaluate", *asked]) == 0
        row = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("test "))
        assert row.split()[3:] == [free, boxed]


def test_train_evaluate_and_attack_work_on_one_file(strokes_source, tmp_path):
    model, images = tmp_path / "m.npz", tmp_path / "adv.npz"
    data = ("--data", "synthetic", "--digits", 3, 8)
    few = ("--eps", 0.1, "--n-epochs", 2, "--engine", "numpy")
    assert run("train", *data, *few, "--out", model)[0] == 0
    assert LinearClassifier.load(model).trained_on_["digits"] == [3, 8]
    code, printed, complaint = run("evaluate", model, *data[:2], "--ball", "l2", "l1", "--eps", 1)
    assert (code, complaint) == (0, "") and "3 against 8" in printed
    rows = [line.split() for line in printed.splitlines() if line.startswith(("train ", "test "))]
    assert [len(row) for row in rows] == [5, 5]
    code, printed, _ = run("attack", model, "--data", "synthetic", "--eps", 0, 0.1, "--out", images)
    assert code == 0
    with np.load(images) as stored:
        clean, free, boxed = (stored[f"X_adv_{k}"] for k in ("linf_0", "linf_0.1", "linf-box_0.1"))
        assert np.abs(free - clean).max() == pytest.approx(0.1) and free.max() > 1
        assert (boxed == np.clip(free, 0, 1)).all()
    free, boxed = printed.splitlines()[-3].split()[1:]
    assert float(free[:-1]) >= float(boxed[:-1]) > 0


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["reproduce", "--data-dir", "nowhere"], "nowhere: train-images-idx3-ubyte.gz is missing"),
        (["reproduce", "--data", "synthetic", "--digits", "1", "1"], "digits: found"),
        (["reproduce", "--data", "synthetic", "--seed", "-1"], "seed: found -1"),
        (
            ["reproduce", "--data", "synthetic", "--seeds", "3"],
            "--seeds: only --study kolter-madry",
        ),
        (["check", "--data", "synthetic", "--seed", "-3"], "seed: found -3"),
        (
            ["train", "--data", "synthetic", "--out", "."],
            ".: found a folder, expected a file to write",
        ),
        (["train", "--data", "synthetic", "--n-epochs", "1000000000000"], "Unable to allocate"),
        (["data", "--data-dir", "MODEL"], "MODEL: expected an .npz of x_train, y_train, x_test, y"),
        (["data", "--data", "mnist", "--data-dir", "MODEL"], "MODEL: expected an .npz of x_train"),
        (
            ["train", "--data", "synthetic", "--eps", "-1"],
            "eps: found -1.0, expected a finite number",
        ),
        (["evaluate", "missing.npz", "--data", "synthetic"], "missing.npz: No such file"),
        (["evaluate", "MODEL", *TWO, "--eps", "nan"], "eps: found nan"),
        (["attack", "MODEL", *TWO, "--eps", "-0.5"], "eps: found -0.5"),
        (["attack", "MODEL", *TWO, "--out", "MODEL/x.npz"], "MODEL: not a folder"),
        (["reproduce", "--data", "synthetic", "--out", "MODEL"], "found a file, expected a folder"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(strokes_source, saved, capsys, arguments, message):
    place = {"MODEL": str(saved), "MODEL/x.npz": f"{saved}/x.npz"}
    assert cli.main([place.get(a, a) for a in arguments]) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("numlin: error: ") and complaint.count("\n") == 1
    assert message.replace("MODEL", str(saved)) in complaint


def test_a_wrong_option_is_argparse_exit_code_2(capsys):
    assert cli.main(["reproduce", "--data", "imagenet"]) == 2
    assert "imagenet" in capsys.readouterr().err


def test_a_model_of_other_images_is_refused(strokes_source, small_model, tmp_path, capsys):
    small_model.save(tmp_path / "small.npz")
    assert cli.main(["evaluate", str(tmp_path / "small.npz"), *TWO]) == 2
    assert "images: found 784 features, expected 12" in capsys.readouterr().err


def test_interrupting_reproduce_leaves_nothing(hard, tmp_path, monkeypatch, capsys):
    from numlin.commands import figures
    from numlin.studies import article

    monkeypatch.setattr(article, "run", lambda *arguments: hard)
    monkeypatch.setattr(figures, "save", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    assert cli.main(["reproduce", "--data", "synthetic", "--out", str(tmp_path / "out")]) == 130
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err == "numlin: interrupted\n"


def test_without_data_and_network_reproduce_says_loudly_that_it_is_synthetic(
    strokes_source, tmp_path, monkeypatch, capsys
):
    from numlin.data import mirrors
    from numlin.studies import article

    def unreachable(*args, **kwargs):
        raise mirrors.DownloadError("no mirror answered")

    class Stop(Exception):
        pass

    def stop(source, *args):
        raise Stop(source.name)

    monkeypatch.setattr(mirrors, "fetch", unreachable)
    monkeypatch.setattr(article, "run", stop)
    with pytest.raises(Stop, match="synthetic"):
        cli.main(["reproduce", "--out", str(tmp_path / "out")])
    assert "SYNTHETIC DIGITS, NOT MNIST" in capsys.readouterr().err
    assert cli.main(["reproduce", "--data", "mnist", "--out", str(tmp_path)]) == 2
    assert "no mirror answered" in capsys.readouterr().err


def test_data_lists_the_four_files(mnist, capsys):
    folder = mnist.paths["train-images"].parent
    assert cli.main(["data", "--data-dir", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert f"MNIST in {folder}" in printed and printed.count(" x 28 x 28") == 2
    assert cli.main(["data", "--data", "mnist", "--data-dir", str(folder)]) == 0
    assert capsys.readouterr().out == printed


def test_trained_on_that_names_no_digits_is_refused_with_the_file(
    strokes_source, saved, tmp_path, capsys
):
    model = LinearClassifier.load(saved)
    for digits in (5, [1], "01", [1, "x"], None):
        model.trained_on_ = {"digits": digits}
        model.save(saved)
        assert cli.main(["attack", str(saved), "--data", "synthetic"]) == 2
        complaint = capsys.readouterr().err
        assert complaint.startswith(f"numlin: error: {saved}: digits: found ")
    assert cli.main(["attack", str(saved), "--data", "synthetic", "--digits", "0", "1"]) == 0


NUMLIN = f"{sys.executable} -m numlin"
FEW = "--data synthetic --n-epochs 2 --engine numpy --out model.npz"


@pytest.mark.skipif(os.name != "posix", reason="these are POSIX's streams")
@pytest.mark.parametrize(
    "command, code, complaint",
    [
        (f"train {FEW} 2>&-", 0, ""),
        (f"train {FEW} <&- >&- 2>&-", 0, ""),
        ("evaluate nothing.npz --data synthetic 2>&-", 2, ""),
        ("evaluate nothing.npz --data synthetic 2>/dev/full", 2, ""),
        ("figures --list >/dev/full", 2, "numlin: error: standard output: No space left on device"),
        ("figures --list | true; exit ${PIPESTATUS[0]}", 0, ""),
        (f"train {FEW} | true; exit ${{PIPESTATUS[0]}}", 0, ""),
    ],
)
def test_streams_that_are_closed_or_full_break_nothing(
    strokes_source, tmp_path, command, code, complaint
):
    if "/dev/full" in command and not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    done = subprocess.run(
        ["bash", "-c", f"{NUMLIN} {command}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": ""},
    )
    assert (done.returncode, done.stderr.strip()) == (code, complaint)
    if command.startswith("train"):
        LinearClassifier.load(tmp_path / "model.npz")


def test_an_error_steers_no_terminal_and_fits_on_one_line(capsys):
    assert cli.main(["verify", "\x1b[2J\u202e\n.json", "--data", "synthetic"]) == 2
    complaint = capsys.readouterr().err
    assert complaint[:-1].isprintable() and complaint[-1] == "\n"


def test_a_path_given_to_verify_that_is_no_certificate_is_not_waited_for(
    strokes_source, tmp_path, capsys
):
    os.mkfifo(tmp_path / "pipe")
    with open(tmp_path / "long", "wb") as file:
        file.truncate(10**9)
    for path, found in (
        ("/dev/zero", "found a device, expected a regular file"),
        (tmp_path / "pipe", "found a pipe, expected a regular file"),
        (tmp_path / "long", "found 1,000,000,000 bytes, expected at most"),
    ):
        assert cli.main(["verify", str(path), "--data", "synthetic"]) == 2
        assert f"{path}: {found}" in capsys.readouterr().err


def test_a_model_is_evaluated_on_its_own_labels(strokes_source, tmp_path, capsys):
    model, synthetic = str(tmp_path / "m.npz"), ["--data", "synthetic"]
    few = ["--n-epochs", "2", "--eps", "0.2"]
    assert cli.main(["train", *synthetic, *few, "--digits", "3", "8", "--out", model]) == 0
    capsys.readouterr()
    assert cli.main(["evaluate", model, *synthetic]) == 0
    own, complaint = capsys.readouterr()
    assert "3 against 8" in own and complaint == ""
    assert cli.main(["evaluate", model, *synthetic, "--digits", "8", "3"]) == 0
    assert capsys.readouterr() == (own, "")
    assert cli.main(["evaluate", model, *synthetic, "--digits", "0", "1"]) == 0
    assert "3 against 8, used on SYNTHETIC" in capsys.readouterr().err


def test_a_model_that_knows_no_labels_needs_them(strokes_source, saved, capsys):
    assert cli.main(["evaluate", str(saved), "--data", "synthetic"]) == 2
    assert "does not name its two labels: --digits A B" in capsys.readouterr().err


def test_train_says_what_it_replaces_and_when_guessing_were_better(
    strokes_source, tmp_path, capsys
):
    out = tmp_path / "m.npz"
    arguments = ["train", "--data", "synthetic", "--engine", "numpy", "--out", str(out)]
    assert cli.main(arguments) == 0
    first = capsys.readouterr()
    assert "replaced" not in first.out and first.err == ""
    assert cli.main([*arguments, "--learning-rate", "1e-9", "--n-epochs", "1"]) == 0
    second = capsys.readouterr()
    assert "replaced" in second.out
    wrong, guess = re.findall(r"([\d.]+)%", second.err)
    assert float(wrong) >= float(guess) and "one answer for all" in second.err


def test_a_home_directory_is_expanded_and_an_empty_path_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cli.parse(["train", "--data-dir=~/x", "--out=~/y"]).data_dir == tmp_path / "x"
    assert datasets.data_folder("~/x") == tmp_path / "x"
    monkeypatch.setenv("NUMLIN_DATA", "~/z")
    assert datasets.data_folder() == tmp_path / "z"
    monkeypatch.delenv("NUMLIN_DATA")
    monkeypatch.chdir(tmp_path)  # where others, who expand nothing, put their caches
    monkeypatch.setenv("XDG_CACHE_HOME", "~/c")
    assert datasets.data_folder() == tmp_path / "c/numlin/mnist"
    for option in ("--data-dir", "--out"):
        assert cli.main(["reproduce", option, ""]) == 2
        assert "found an empty path" in capsys.readouterr().err
    assert cli.main(["train", "--out", "a/" * 1500]) == 2
    assert "found 1500 folders in one another" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["reproduce", "--out"],
        ["figures", "--out"],
        ["train", "--out"],
        ["attack", "MODEL", "--out"],
        ["optimum", "--certificate"],
        ["optimum", "--path", "0:0:1", "--out"],
    ],
)
def test_what_cannot_be_written_is_refused_before_the_work(arguments, saved, capsys, monkeypatch):
    monkeypatch.setattr(datasets, "load", None)
    arguments = [str(saved) if a == "MODEL" else a for a in arguments]
    assert cli.main([*arguments, str(saved / "x/y"), *TWO]) == 2
    assert capsys.readouterr().err == f"numlin: error: {saved}: not a folder\n"


def test_tables_turn_over_where_the_terminal_is_narrow(monkeypatch):
    header, rows = ["name", *"abcdefgh"], [["one", *"12345678"], ["two", *"abcdefgh"]]
    wide = text.table(header, rows)
    assert wide.splitlines()[2] == "one   1  2  3  4  5  6  7  8"
    monkeypatch.setattr(text, "room", lambda: 20)
    assert [line.split() for line in text.table(header, rows).splitlines()] == [
        ["name", "one", "two"],
        ["----", "---", "---"],
        *([name, first, second] for name, first, second in zip("abcdefgh", "12345678", "abcdefgh")),
    ]
    monkeypatch.setattr(text, "room", lambda: 12)
    first, second = text.table(header, rows).split("\n\n")
    assert first.splitlines()[0] == "name  one" and second.splitlines()[0] == "name  two"


def test_reproduce_fits_80_columns_of_a_terminal(strokes_source, tmp_path):
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    outer, inner = pty.openpty()
    command = "reproduce --data synthetic --no-figures --out".split()
    done = subprocess.Popen(
        [sys.executable, "-m", "numlin", *command, str(tmp_path / "o")],
        stdout=inner,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": "80"},
    )
    os.close(inner)
    printed = b""
    with contextlib.suppress(OSError):  # Linux: the end of a terminal is an error
        while chunk := os.read(outer, 4096):
            printed += chunk
    os.close(outer)
    assert done.wait() == 0
    lines = printed.decode().splitlines()
    table = lines[: next(k for k, line in enumerate(lines) if line.startswith("Written"))]
    assert max(map(len, table)) <= 80 and sum(line.startswith("box 0.3") for line in lines) == 2
    assert any(line.startswith("Open ") and "report.html" in line for line in lines)


def test_help_of_train_says_what_every_field_means():
    code, out, _ = run("train", "--help", COLUMNS="200")
    words = " ".join(out.split())
    for part in ('"hinge", "squared-hinge" or "logistic"', "Radius of the perturbation ball"):
        assert code == 0 and part in words


def test_an_eps_beyond_all_floats_fools_everything_without_a_warning(strokes_source, saved, capsys):
    balls = ["linf", "l2", "l1", "linf-box"]
    assert cli.main(["attack", str(saved), *TWO, "--eps", "1e308", "--ball", *balls]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[1:4] == ["100.00%"] * 3


@pytest.mark.parametrize(
    "content, what",
    [
        (np.random.default_rng(0).bytes(100_000), "not JSON"),
        (b'{"a": 1}', "JSON of another kind"),
        (b"[1, 2]", "JSON of another kind"),
        (b"3", "JSON of another kind"),
    ],
)
def test_what_is_no_certificate_is_called_that_in_a_line(
    strokes_source, tmp_path, capsys, content, what
):
    (tmp_path / "file").write_bytes(content)
    assert cli.main(["verify", str(tmp_path / "file"), "--data", "synthetic"]) == 2
    line = f"numlin: error: {tmp_path}/file: not a certificate, it is {what}\n"
    assert capsys.readouterr().err == line


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_and_a_full_disk_are_met_quietly(unbuffered):
    command = f"{sys.executable} -m numlin figures --list"
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    for end, code in (("| true", (0, 141)), ("> /dev/full", (2,))):
        if end != "| true" and not os.path.exists("/dev/full"):
            continue
        shell = ["bash", "-c", f"{command} {end}; exit ${{PIPESTATUS[0]}}"]
        done = subprocess.run(shell, capture_output=True, text=True, env=env)
        assert done.returncode in code and "Traceback" not in done.stderr
        assert done.stderr.count("\n") == (end != "| true")


def test_an_interrupt_while_modules_load_is_quiet():
    code = "import os, signal\nclass Finder:\n  def find_spec(self, name, *rest):\n"
    code += "    if name == 'numpy': os.kill(os.getpid(), signal.SIGINT)\n"
    code += "import sys; sys.meta_path.insert(0, Finder()); sys.argv = ['numlin', 'data']\n"
    code += "from numlin.__main__ import run; run()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGINT and done.stderr == ""
