"""What a person reads in tables and files, number by number, beside the definitions.

The data are a few noisy pictures of 4 x 4 pixels. Nothing here uses numlin's balls, objective,
attacks or studies to say what is expected: a score is w.x + b, an attack moves the pixels, a
sample is an error where its score has the wrong sign, and a minimum is a fraction that is proved.
"""

import hashlib
import json
import os
import platform
import re
import sys
from fractions import Fraction
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest

from numlin import cli, optimum
from numlin.data import datasets
from numlin.gradcheck import Verdict
from numlin.losses import LOGISTIC
from numlin.model import LinearClassifier
from numlin.optimum.proof import rational
from numlin.studies import article, clock, gradients, kolter_madry, pairs, price, transfer
from numlin.support.environment import environment


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """An .npz of three labels: 3 is bright above, 5 below, 8 between; a few labels are wrong."""
    rng = np.random.default_rng(5)
    arrays = {}
    for split, n in (("train", 120), ("test", 71)):
        labels = rng.choice([3, 5, 8], n, p=[0.4, 0.35, 0.25])
        contrast = np.select([labels == 3, labels == 5], [0.22, -0.25], 0.02)
        images = rng.normal(0.5, 0.32, (n, 4, 4))
        images[:, :2] += contrast[:, None, None]
        images[:, 2] -= contrast[:, None]
        labels[::16] = np.where(labels[::16] == 3, 5, 3)
        arrays[f"x_{split}"] = np.rint(255 * np.clip(images, 0, 1)).astype(np.uint8)
        arrays[f"y_{split}"] = labels.astype(np.uint8)
    path = tmp_path_factory.mktemp("own") / "few.npz"
    np.savez(path, **arrays)
    return path


def samples(own, split, digits=(3, 5)):
    """Raw pixels (n, 16) and signs (n,) of two labels, as they stand in the file."""
    with np.load(own) as file:
        X, labels = file[f"x_{split}"], file[f"y_{split}"].astype(int)
    chosen = np.isin(labels, digits)
    return X[chosen].reshape(-1, 16), np.where(labels[chosen] == digits[1], 1, -1)


def moved(w, X, y, eps, box=False):
    X_adv = X - y[:, None] * eps * np.sign(w)
    return np.clip(X_adv, 0, 1) if box else X_adv


def wrong(w, b, X, y):
    """The share of errors."""
    return sum(not s * (x @ w + b) > 0 for x, s in zip(X, y)) / len(y)


def margins(w, b, X, y):
    return np.array([s * (x @ w + b) for x, s in zip(X, y)])


def lines_after(text, start):
    return [line.split() for line in text.splitlines() if line.strip().startswith(start)]


def percent(share):
    return f"{share:.2%}"


@pytest.fixture
def model(own, tmp_path):
    X, y = samples(own, "train")
    about = {"digits": [3, 5], "name": datasets.find("auto", own).name}
    found = LinearClassifier(
        eps=0.03, learning_rate=0.1, n_epochs=60, batch_size=20, engine="numpy"
    ).fit(X, y, trained_on=about)
    found.save(tmp_path / "m.npz")
    return found, tmp_path / "m.npz"


def run(capsys, *arguments, code=0):
    assert cli.main([*map(str, arguments)]) == code
    return capsys.readouterr().out


def test_evaluate_shows_the_errors_of_both_splits_and_the_gap(own, model, capsys):
    (found, path), eps = model, (0.0, 0.1, 0.25)
    balls = ("linf-box", "linf", "l2", "l1")
    out = run(capsys, "evaluate", path, "--data-dir", own, "--eps", *eps, "--ball", *balls)
    shown = {}
    for split in ("train", "test"):
        X, y = samples(own, split)
        X, w, b = X / 255, found.w, found.b
        expected = [f"{len(y)}", percent(wrong(w, b, X, y))]
        shrink = {"l2": np.sqrt(w @ w), "l1": np.abs(w).max()}
        for ball in balls:
            for e in eps:
                if ball in shrink:
                    errors = np.mean(~(margins(w, b, X, y) - e * shrink[ball] > 0))
                else:
                    errors = wrong(w, b, moved(w, X, y, e, ball == "linf-box"), y)
                expected.append(percent(errors))
        (shown[split],) = lines_after(out, split + " ")
        assert shown[split] == [split, *expected]
    assert shown["train"][2] != shown["test"][2] and len({*shown["test"][3:]}) > 4
    for other in ((3, 5), (5, 3)):  # the model's own labels keep their order
        again = run(capsys, "evaluate", path, "--data-dir", own, "--digits", *other)
        assert [line[2] for line in (lines_after(again, s)[0] for s in ("train ", "test "))] == [
            line[2] for line in shown.values()
        ]
    (header,) = lines_after(out, "split")
    names = [f"{ball} {e:g}" for ball in balls for e in eps]
    assert " ".join(header) == " ".join(["split", "images", "error", *names])
    X, y = samples(own, "train")
    drop = 0.03 * np.abs(found.w).sum()
    reached = np.maximum(0, 1 - margins(found.w, found.b, X / 255, y) + drop).mean()
    least = float(rational.prove(X, y, optimum.minimise(X, y, 0.03)).value)
    assert f"training objective at eps 0.03: {reached:.9f} (hinge, linf)" in out
    bound, gap = re.search(r"is below ([\d.]+) \(certified\), gap (\S+)", out).groups()
    assert float(bound) == pytest.approx(least, abs=2e-9)
    assert float(gap) == pytest.approx(reached - least, rel=0.06) and reached > least + 1e-4


def test_attack_counts_and_keeps_the_images_it_moved(own, model, capsys, tmp_path):
    found, path = model
    X, y = samples(own, "test")
    X, eps, kept = X / 255, (0.05, 0.12), tmp_path / "moved.npz"
    out = run(capsys, "attack", path, "--data-dir", own, "--eps", *eps, "--out", kept)
    with np.load(kept) as stored:
        assert sorted(stored) == sorted(
            ["y", *(f"X_adv_{ball}_{e:g}" for ball in ("linf", "linf-box") for e in eps)]
        )
        assert stored["y"].tolist() == y.tolist()
        for e in eps:
            expected = [moved(found.w, X, y, e, box) for box in (False, True)]
            for ball, images in zip(("linf", "linf-box"), expected):
                np.testing.assert_allclose(stored[f"X_adv_{ball}_{e:g}"], images, atol=1e-15)
            errors = [percent(wrong(found.w, found.b, images, y)) for images in expected]
            assert lines_after(out, f"{e:g} ") == [[f"{e:g}", *errors]]


def solved(own, eps, digits=(3, 5), box=False):
    """The certified minimum: its classifier and its exact value."""
    X, y = samples(own, "train", digits)
    found = optimum.minimise(X, y, eps, ball="linf-box" if box else "linf")
    return found, float(rational.prove(X, y, found).value)


def three_errors(own, w, b, eps, digits=(3, 5)):
    """Clean, free and boxed test errors."""
    X, y = samples(own, "test", digits)
    images = [X / 255, moved(w, X / 255, y, eps), moved(w, X / 255, y, eps, True)]
    return [wrong(w, b, moved_images, y) for moved_images in images]


@pytest.mark.parametrize("box", [False, True])
def test_optimum_prints_the_exact_minimum_and_the_errors_of_its_classifier(own, capsys, box):
    eps, distinct = (0.02, 0.15, 0.17), 0
    command = ["optimum", "--data-dir", own, "--digits", 3, 5, "--eps", *eps, *["--box"] * box]
    out, records = run(capsys, *command), json.loads(run(capsys, *command, "--json"))["optima"]
    assert [record["eps"] for record in records] == list(eps)
    for e, record in zip(eps, records):
        found, least = solved(own, e, box=box)
        errors = three_errors(own, found.w, found.b, e)
        (row,) = lines_after(out, f"{e} ")
        assert float(row[1]) == pytest.approx(least, abs=1e-14) and float(row[2]) <= 1e-9
        assert row[3:] == [str(np.count_nonzero(found.w)), *map(percent, errors)]
        assert record["objective"] == pytest.approx(least, abs=1e-14)
        assert record["bound"] <= least and record["pixels"] == np.count_nonzero(found.w)
        names = ("test_error", "free_test_error", "box_test_error")
        assert [record[name] for name in names] == errors
        assert (record["loss"], record["ball"]) == ("hinge", "linf-box" if box else "linf")
        distinct = max(distinct, len({*errors}))
    assert distinct == 3


def test_a_step_from_to_ends_where_it_says(own, capsys, tmp_path):
    command = ["optimum", "--data-dir", own, "--digits", 3, 5, "--path", "0.05:0.2:0.05"]
    result = json.loads(run(capsys, *command, "--out", tmp_path / "p", "--json"))
    assert result["eps"] == [0.05, 0.1, 0.15, 0.2]
    X, y = samples(own, "train")
    between = [
        np.abs(a - b).max() for a in X[y < 0].astype(int) for b in X[y > 0].astype(int)
    ]  # fmt: skip
    assert result["touching"] == min(between) / 510
    for k, e in enumerate(result["eps"]):
        found, least = solved(own, e)
        errors = three_errors(own, found.w, found.b, e)
        assert result["minimum"][k] == pytest.approx(least, abs=1e-12)
        assert least - 1e-9 <= result["lower_bound"][k] <= least
        assert result["n_pixels"][k] == np.count_nonzero(found.w)
        assert [result["test_error"][k], result["robust_test_error"][k]] == errors[:2]
        (segment,) = [s for s in result["segments"] if s["eps"][0] <= e < s["eps"][1]] or [
            result["segments"][-1]
        ]
        assert segment["hinge"] / (1 - e * segment["l1"]) == pytest.approx(least, abs=1e-12)
    assert json.loads((tmp_path / "p" / "price.json").read_text())["eps"] == result["eps"]
    assert result["dataset"]["digits"] == [3, 5] and result["dataset"]["n_train"] == len(y)
    study = price.run(datasets.find("auto", own), (3, 5), 0.05, 0.2, [0.05, 0.2])
    for row, k in zip(study.table()[1], (0, 3)):
        shown = [f"{result['eps'][k]:g}", f"{result['minimum'][k]:.12f}"]
        assert row[:2] == shown and row[3] == str(result["n_pixels"][k])
        assert 0 <= float(row[2]) <= 1e-9
        assert row[4:] == [percent(result[f"{kind}test_error"][k]) for kind in ("", "robust_")]
    star = optimum.margin(X, y).lower
    assert study.eps_star == (star or None)
    assert ("is none" if star == 0 else f"eps*, is {star:.12f}") in study.caption
    n_segments = len(result["segments"])
    assert study.caption.startswith(f"{n_segments} classifiers are the global minimum")
    assert "for some eps from 0.05 to 0.2;" in study.caption


def trained(own, digits, **changes):
    X, y = samples(own, "train", digits)
    return LinearClassifier(**changes, engine="numpy").fit(X, y)


def test_transfer_is_what_each_surrogate_does_to_each_victim(own):
    digits = 3, 5
    study = transfer.run(datasets.find("auto", own), digits, seed=4, engine="numpy", eps=0.07)
    (X, y), (A, s) = samples(own, "train"), samples(own, "test")
    A = A / 255
    order = np.random.default_rng(4).permutation(len(y))
    cut = -(-len(y) // 2)
    models = [
        [
            LinearClassifier(**protocol, seed=seed, engine="numpy").fit(X[half], y[half])
            for protocol in article.PROTOCOL.values()
        ]
        for half, seed in ((order[:cut], 4), (order[cut:], 5))
    ]
    header, rows = study.table()
    assert header[1:] == list(article.PROTOCOL)
    for i, surrogate in enumerate(models[0]):
        expected = [wrong(v.w, v.b, moved(surrogate.w, A, s, 0.07), s) for v in models[1]]
        assert study.error[i].tolist() == expected
        assert rows[2 + i] == [f"attack on {header[1 + i]}", *map(percent, expected)]
    own_attack = [wrong(v.w, v.b, moved(v.w, A, s, 0.07), s) for v in models[1]]
    clean = [wrong(v.w, v.b, A, s) for v in models[1]]
    results = study.results()
    assert results["white_box_error"] == own_attack and results["clean_error"] == clean
    assert rows[0] == ["clean images", *map(percent, clean)]
    assert rows[1] == ["its own attack", *map(percent, own_attack)]
    assert results["error_by_surrogate_and_victim"] == study.error.tolist()
    assert not (study.error == study.error.T).all()
    assert (results["seed"], results["eps"]) == (4, 0.07) and "0.07" in study.caption
    assert transfer.EPS == 0.1 and transfer.run.__defaults__[-1] == 0.1


def test_the_tutorial_s_table_is_medians_of_what_each_seed_s_models_do(own):
    seeds, digits = (7, 8, 9), (5, 8)
    study = kolter_madry.run(datasets.find("auto", own), digits, 7, "numpy", 3)
    (X, y), (A, s) = samples(own, "train", digits), samples(own, "test", digits)
    A, measured, reached = A / 255, {name: [] for name in kolter_madry.PUBLISHED}, {}

    def cost(m):
        return float(np.log1p(np.exp(-m)).mean())

    plans = {"standard": (0.0, 1.0, 10), "robust": (0.2, 0.1, 20)}
    for name, (eps, rate, n_epochs) in plans.items():
        for seed in seeds:
            m = trained(own, digits, loss="logistic", start="fan-in", batch_size=100, eps=eps,
                        learning_rate=rate, n_epochs=n_epochs, seed=seed)  # fmt: skip
            row = f"{name}, training" + " (attacked)" * (eps > 0)
            measured[row].append((m.errors_[-1], m.losses_[-1]))
            for kind, images in {
                "clean test": A, "attacked": moved(m.w, A, s, 0.2),
                "attacked in the pixel box": moved(m.w, A, s, 0.2, True),
            }.items():  # fmt: skip
                value = margins(m.w, m.b, images, s)
                measured[f"{name}, {kind}"].append((np.mean(~(value > 0)), cost(value)))
            at_end = margins(m.w, m.b, X / 255, y) - eps * np.abs(m.w).sum()
            reached.setdefault(name, []).append(cost(at_end))
    results = json.loads(json.dumps(study.results()))
    assert results["seeds"] == list(seeds)
    for row, shown in zip(study.table()[1], kolter_madry.PUBLISHED, strict=True):
        values = np.array(measured[shown])
        np.testing.assert_allclose(study.measured[shown], values, rtol=1e-12)
        published = kolter_madry.PUBLISHED[shown]
        assert results["rows"][shown]["error"] == study.measured[shown][:, 0].tolist()
        assert results["rows"][shown]["loss"] == study.measured[shown][:, 1].tolist()
        assert row[0] == shown
        for column, v in ((2, values[:, 0]), (4, values[:, 1])):
            low, middle, high = sorted(v)
            assert row[column] == f"{middle:.4f} [{low:.4f}, {high:.4f}]"
            known = f"{published[column // 2 - 1]:.4f}" if published else "claimed the same"
            assert row[column - 1] == known
    for name, values in reached.items():
        np.testing.assert_allclose(results["objectives"][name]["objective"], values, rtol=1e-12)
        bound = results["objectives"][name]["lower_bound"]
        best = optimum.minimise(X, y, plans[name][0], loss=LOGISTIC)
        assert bound == pytest.approx(best.lower_bound, rel=1e-9)
        assert f"{name} {sorted(values)[1]:.6f}, no linear classifier is below {bound:.6f}" in (
            study.caption
        )
        gaps = np.array(values) - bound
        np.testing.assert_allclose(results["objectives"][name]["gap"], gaps, atol=1e-12)
    assert kolter_madry.PUBLISHED == {  # of the tutorial's own output
        "standard, training": (0.000790, 0.002529),
        "standard, clean test": (0.000946, 0.001997),
        "standard, attacked": (0.845863, 3.451744),
        "standard, attacked in the pixel box": None,
        "robust, training (attacked)": (0.034741, 0.136175),
        "robust, clean test": (0.003783, 0.008186),
        "robust, attacked": (0.025059, 0.106629),
        "robust, attacked in the pixel box": None,
    }


class Serial:
    """A pool of this process alone."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    map = staticmethod(map)


def test_all_pairs_have_their_own_margins_minima_and_errors(own, monkeypatch):
    monkeypatch.setattr(pairs, "ProcessPoolExecutor", Serial)
    study = pairs.run(datasets.find("auto", own))
    results = json.loads(json.dumps(study.results()))
    expected = list(combinations((3, 5, 8), 2))
    assert [tuple(pair) for pair in results["digits"]] == expected
    for k, (pair, row) in enumerate(zip(expected, study.table()[1], strict=True)):
        X, y = samples(own, "train", pair)
        star = optimum.margin(X, y)
        found, least = solved(own, 0.1, pair)
        clean, robust, _ = three_errors(own, found.w, found.b, 0.1, pair)
        assert results["lower"][k] == star.lower and results["upper"][k] == star.upper
        assert results["eps_star"][k] == (star.lower or None)
        if star.lower:
            value = rational.prove_margin(X, y, star).value
            assert Fraction(star.lower) <= value <= Fraction(star.upper)
        assert results["objective"][k] == pytest.approx(least, abs=1e-14)
        assert least - 1e-9 <= results["bound"][k] <= least
        assert results["n_pixels"][k] == np.count_nonzero(found.w)
        assert (results["clean_error"][k], results["robust_error"][k]) == (clean, robust)
        shown = f"{star.lower:.10f}" if star.lower else "inseparable"
        assert row == [
            f"{pair[0]} {pair[1]}", shown, f"{least:.10f}", str(np.count_nonzero(found.w)),
            percent(clean), percent(robust),
        ]  # fmt: skip
    inseparable = results["eps_star"].count(None)
    assert f"{inseparable} pairs cannot be separated" in study.caption
    assert results["eps"] == 0.1 and results["dataset"]["n_train"] == 120
    assert len({*results["clean_error"]}) == 3 and results["dataset"]["n_test"] == 71


def test_every_number_of_the_article_is_that_of_its_models(own):
    digits = (3, 5)
    found = article.run(datasets.find("auto", own), digits, seed=2, engine="numpy")
    results = json.loads(json.dumps(found.results()))
    (X, y), (A, s) = samples(own, "train"), samples(own, "test")
    raw, X, A, grid = X, X / 255, A / 255, np.arange(101) / 200
    about = results["dataset"]
    assert (about["n_train"], about["n_test"], about["digits"]) == (len(y), len(s), [3, 5])
    assert results["seed"] == 2 and results["attack"]["eps"] == grid.tolist()
    assert results["path"]["eps"] == list(article.PATH_EPS)

    def cost(w, b, images, signs, eps, box=False):
        worst = margins(w, b, moved(w, images, signs, eps, box), signs)
        return np.maximum(0, 1 - worst).mean()

    for k, eps in enumerate(article.PATH_EPS):
        best, least = solved(own, eps)
        assert results["path"]["minimum"][k] == pytest.approx(least, abs=1e-12)
        assert least - 1e-9 <= results["path"]["lower_bound"][k] <= least
    header, rows = found.table()
    ours, differ = {row[0]: dict(zip(header, row)) for row in rows}, 0
    for name, run in (found.runs | found.optima).items():
        w, b, eps = run.model.w, run.model.b, run.model.eps
        record = results["models" if name in found.runs else "optima"][name]
        assert f"{eps:g}" == {"regular": "0"}.get(name, name.partition("-")[2])
        box = name.startswith("boxed")
        loss = cost(w, b, X, y, eps, box)
        clean, mistakes = wrong(w, b, X, y), sum(~(margins(w, b, A, s) > 0))
        assert record["train_loss"] == pytest.approx(loss, rel=1e-12)
        assert record["train_error"] == clean and record["test_mistakes"] == mistakes
        assert record["test_error"] == mistakes / len(s)
        least = 0.0 if name == "regular" else solved(own, eps, box=box)[1]
        assert least - 1e-9 <= record["lower_bound"] <= least
        assert record["gap"] == pytest.approx(loss - record["lower_bound"], abs=1e-12)
        curves = []
        for kind, boxed in (("", False), ("_box", True)):
            curve = [1 - wrong(w, b, moved(w, A, s, e, boxed), s) for e in grid]
            curves.append(curve)
            np.testing.assert_allclose(
                results["attack"]["robust_accuracy" + kind][name], curve, atol=1e-12
            )
        differ += curves[0] != curves[1]
        expected = [percent(clean), percent(mistakes / len(s)), str(mistakes)]
        expected += [percent(1 - curve[k]) for curve in curves for k in (20, 40, 60)]
        cells = list(ours[name].values())
        assert cells[1:] == [*expected, f"{loss:.6f}", f"{record['lower_bound']:.6f}",
                             f"{record['gap']:.1e}"]  # fmt: skip
        path_loss = [cost(w, b, X, y, e) for e in article.PATH_EPS]
        np.testing.assert_allclose(run.path_loss, path_loss, rtol=1e-12)
        if name in found.optima:
            assert record["n_pixels"] == np.count_nonzero(w)
            continue
        for k, (w, b) in enumerate(zip(run.records.snapshots.w, run.records.snapshots.b)):
            for which, images, signs in (("train", X, y), ("test", A, s)):
                history = record["history"]
                assert history[f"{which}_error"][k] == pytest.approx(wrong(w, b, images, signs))
                assert history[f"{which}_loss"][k] == pytest.approx(
                    cost(w, b, images, signs, eps),
                    rel=1e-5,  # weights and pixels of float32
                )
        X32, plan = (raw / np.float32(255)).astype(np.float32), article.PROTOCOL[name]
        again = LinearClassifier(**plan, seed=2, engine="numpy").fit(X32, y)
        np.testing.assert_allclose(run.model.w, again.w, rtol=1e-6, atol=1e-9)
    assert differ > 3


# The command that checks gradients.


def test_check_uses_the_images_it_was_asked_for_and_counts_what_fails(own, monkeypatch, capsys):
    seen = []

    def check_all(X, y, seed):
        seen.append((X, y, seed))
        return rows[:]

    class Report:
        probes, verdict = (0, 1, 2), Verdict.PASS

        def __str__(self):
            return "THE REPORT"

    class Doubtful(Report):
        verdict = Verdict.INCONCLUSIVE

    rows = [gradients.Check("hinge", "l2", "numpy", 2e-8, 1e-7, Report())]
    monkeypatch.setattr(gradients, "check_all", check_all)
    command = ["check", "--data-dir", own, "--digits", 3, 5, "--samples", 7, "--seed", 6]
    out = run(capsys, *command)
    X, y = samples(own, "test")
    assert seen[0][2] == 6 and seen[0][1].tolist() == y[:7].tolist()
    np.testing.assert_allclose(seen[0][0], X[:7] / 255)
    assert "7 test images" in out and "1 of 1 pass" in out and "THE REPORT" not in out
    assert lines_after(out, "hinge") == [["hinge", "l2", "numpy", "2.0e-08", "1e-07", "3", "pass"]]
    rows.append(gradients.Check("logistic", "l1", "numba", 1.0, 1e-7, Doubtful()))
    out = run(capsys, *command, code=1)
    assert "1 of 2 pass" in out and "logistic, l1, numba: THE REPORT" in out


@pytest.mark.parametrize("spoil, n_wrong", [
    (lambda w, b: (w * (1 + 1e-6), b), 36), (lambda w, b: (w, b + 1e-5), 36),
], ids=["w by a millionth", "b"])  # fmt: skip
def test_the_check_notices_a_millionth_and_the_bias(own, monkeypatch, spoil, n_wrong):
    X, y = samples(own, "test")
    true = gradients._gradient
    monkeypatch.setattr(gradients, "_gradient", lambda *setting: spoil(*true(*setting)))
    rows = gradients.check_all(X[:20] / 255, y[:20], n_coordinates=4, n_directions=1)
    assert len(gradients.failed(rows)) == n_wrong
    for row in rows:  # 16 weights, and the bias as one past the last
        probed = [probe.name for probe in row.report.probes]
        assert len({*probed}) == 5 and "x[16]" in probed
    assert {(row.rtol, row.loss == "hinge" and "l2" not in row.ball) for row in rows} == {
        (1e-9, True), (1e-7, False)
    }  # fmt: skip


# Commands: what they are told to do, and what they leave.


def test_data_lists_shapes_hashes_and_labels(own, capsys, tmp_path):
    out = run(capsys, "data", "--data-dir", own)
    with np.load(own) as file:
        for n, split in ((120, "train"), (71, "test")):
            assert f"{n} x 4 x 4" in out and len(file[f"y_{split}"]) == n
    assert out.count(hashlib.sha256(own.read_bytes()).hexdigest()[:16]) == 4
    assert "labels: 3, 5, 8" in out


def test_train_saves_the_model_of_the_options_it_was_given(own, capsys, tmp_path):
    chosen = {
        "loss": "squared-hinge", "ball": "l2", "eps": 0.03, "learning_rate": 0.02,
        "schedule": "linear", "n_epochs": 3, "batch_size": 7, "seed": 5, "start": "fan-in",
        "reduction": "sum", "dtype": "float64", "engine": "numpy", "average": True,
    }  # fmt: skip
    options = []
    for name, value in chosen.items():
        options += [f"--{name.replace('_', '-')}", *([] if value is True else [value])]
    command = ["train", "--data-dir", own, "--digits", 5, 3, *options]
    out = run(capsys, *command, "--out", tmp_path / "m.npz")
    X, y = samples(own, "train", (5, 3))
    again = LinearClassifier(**chosen).fit(X, y)
    saved = LinearClassifier.load(tmp_path / "m.npz")
    assert saved.w.tolist() == again.w.tolist() and saved.b == again.b
    assert saved.trained_on_["digits"] == [5, 3] and saved.trained_on_["n_samples"] == len(y)
    for k in range(3):
        line = f"epoch {k + 1:3d}/3  loss {again.losses_[k]:.6f}  error {again.errors_[k]:.4%}"
        assert line in out


@pytest.mark.parametrize("study", ["article", "kolter-madry", "transfer", "pairs"])
def test_reproduce_and_figures_hand_their_options_on(own, study, capsys, monkeypatch, tmp_path):
    from importlib import import_module

    from numlin.commands import figures, reproduce

    module, seen = import_module(f"numlin.studies.{study.replace('-', '_')}"), []

    result = SimpleNamespace(
        dataset={"name": "mnist", "digits": [3, 5], "n_train": 1234, "n_test": 56},
        caption="what it shows",
        seconds={},
        table=lambda: (["a"], [["row"]]),
        save=lambda folder: (folder / "results.json").write_text("{}"),
    )

    def run_study(*arguments, **extra):
        seen.append((*arguments[1:], extra))
        return result

    def save(figure, path):
        path.parent.mkdir(exist_ok=True)
        path.write_text("")

    monkeypatch.setattr(module, "run", run_study)
    for place in (figures, reproduce):
        monkeypatch.setattr(place, "draw", lambda *a: None)
        monkeypatch.setattr(place, "save", save)
    monkeypatch.setattr(reproduce, "write_report", lambda result, path, shown: path.write_text(""))
    out, many = tmp_path / "out", {"n_seeds": 3} if study == "kolter-madry" else {}
    command = ["reproduce", "--study", study, "--data-dir", own, "--digits", 5, 3, "--seed", 11,
               "--engine", "numpy", "--out", out, "--format", "pdf"]  # fmt: skip
    printed = run(capsys, *command, *(["--seeds", 3] if many else []))
    assert seen == [((5, 3), 11, "numpy", many)]
    assert "1,234 training and 56 test images" in printed and "results.json" in printed
    drawn = [path for path in out.rglob("*") if path.suffix in (".pdf", ".svg", ".png")]
    assert {path.suffix for path in drawn} == ({".pdf"} if drawn else set())
    assert len(drawn) == {"article": len(figures.FIGURES), "pairs": 1}.get(study, 0)
    if study != "article":
        return
    run(capsys, *command, "--no-figures")
    assert not list(out.rglob("*.pdf"))
    names = ["weight-images", "mistakes"]
    command = ["figures", *names, "--data-dir", own, "--digits", 5, 3, "--seed", 11]
    run(capsys, *command, "--engine", "numpy", "--format", "svg", "--out", tmp_path / "f")
    assert seen[-1] == ((5, 3), 11, "numpy", {})
    number = list(figures.FIGURES).index
    drawn = sorted(path.name for path in (tmp_path / "f").glob("*.svg"))
    assert drawn == sorted(f"{number(name) + 1:02d}-{name}.svg" for name in names)


def test_results_say_where_they_were_computed():
    about = environment()
    assert about["python"] == ".".join(map(str, sys.version_info[:3]))
    assert about["cores"] == os.cpu_count() and about["packages"]["numpy"] == np.__version__
    assert list(about["packages"]) == ["numlin", "numpy", "numba", "llvmlite", "matplotlib"]
    assert about["platform"] == platform.platform() != about["python"]


def test_every_stage_has_its_own_seconds(monkeypatch):
    times = iter([10.0, 11.5, 14.0, 14.25])
    monkeypatch.setattr(clock, "perf_counter", lambda: next(times))
    watch = clock.Clock()
    for stage in ("data", "train", "attack"):
        watch.lap(stage)
    assert watch.seconds == {"data": 1.5, "train": 2.5, "attack": 0.25}
