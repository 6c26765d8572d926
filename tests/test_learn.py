"""Exercises are judged: right solutions pass, wrong ones get the name of their mistake."""

import ast
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from numlin import cli, learn
from numlin.gradcheck import check_gradient
from numlin.kernels import plain
from numlin.learn import judge
from numlin.learn.grading import Solution, Wrong, diagnose
from numlin.optimum import lower_bound

from conftest import needs_jit  # isort: skip

PATIENCE = 3  # machines are busy while tests run

RIGHT = {
    "e01_hinge": """
def hinge(margin):
    return np.maximum(0, 1 - margin)

def hinge_derivative(margin):
    return np.where(margin < 1, -1.0, 0.0)
""",
    "e02_gradient": """
def gradient(w, b, X, y):
    c = -1.0 * (y * (X @ w + b) < 1) * y / len(y)
    return c @ X, c.sum()
""",
    "e03_dual_norm": """
def dual_norm(w, norm):
    size = np.abs(w)
    return {"linf": size.sum(), "l2": np.sqrt(w @ w), "l1": size.max()}[norm]

def dual_vector(w, norm):
    if norm == "linf":
        return np.sign(w)
    if norm == "l2":
        return w / (np.linalg.norm(w) or 1)
    v, j = 0 * w, np.argmax(np.abs(w))
    v[j] = np.sign(w[j])
    return v
""",
    "e04_robust_hinge": """
def robust_objective(w, b, X, y, eps):
    return np.maximum(0, 1 - y * (X @ w + b) + eps * np.abs(w).sum()).mean()

def robust_subgradient(w, b, X, y, eps):
    active = y * (X @ w + b) - eps * np.abs(w).sum() < 1
    c = -(active * y) / len(y)
    return c @ X + active.mean() * eps * np.sign(w), c.sum()
""",
    "e05_attack": """
def attack(w, X, y, eps):
    return X - eps * y[:, None] * np.sign(w)
""",
    "e06_pixel_box": """
def box_attack(w, X, y, eps):
    return np.clip(X - eps * y[:, None] * np.sign(w), 0, 1)
""",
    "e07_radius": """
def radii(w, b, X, y):
    margin, norm = np.maximum(0, y * (X @ w + b)), np.abs(w).sum()
    if norm == 0:
        return np.where(margin > 0, np.inf, 0)
    return margin / norm

def robust_accuracy(radius, eps):
    return 1 - np.searchsorted(np.sort(radius), eps, side="right") / len(radius)
""",
    "e08_central_difference": """
def central_difference(f, x, d, h):
    return (f(x + h * d) - f(x - h * d)) / (2 * h)

def error_order(steps, errors):
    u, v = np.log(steps), np.log(errors)
    return np.polyfit(u, v, 1)[0]
""",
    "e09_gradient_checker": """
def verdict(f, gradient, x, kinks):
    g, signs, words = gradient(x), np.sign(kinks(x)), []
    for j in range(len(x)):
        d, h, word = np.eye(len(x))[j], 1e-4, "inconclusive"
        while h > 1e-7 and word == "inconclusive":
            ends = [np.sign(kinks(x + s * h * d)) for s in (-1, 1)]
            if all((end == signs).all() for end in ends):
                D = (f(x + h * d) - f(x - h * d)) / (2 * h)
                word = "pass" if abs(D - g[j]) <= 1e-4 * max(abs(D), abs(g[j])) else "fail"
            h /= 2
        words.append(word)
    return next(word for word in ("fail", "inconclusive", "pass") if word in words)
""",
    "e10_epoch": """
def sgd_epoch(w, b, X, y, order, eps, learning_rate, batch_size):
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        x, k = X[rows], y[rows]
        active = k * (x @ w + b) - eps * np.abs(w).sum() < 1
        grad_w = (-(active * k) @ x + active.sum() * eps * np.sign(w)) / len(rows)
        grad_b = -(active * k).sum() / len(rows)
        w, b = w - learning_rate * grad_w, b - learning_rate * grad_b
    return w, b
""",
    "e11_compiled_epoch": """
import numba

@numba.njit(fastmath={"reassoc", "contract"})
def sgd_epoch(w, b, X, y, order, eps, learning_rate, batch_size):
    w, grad_w = w.copy(), np.zeros_like(w)
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        grad_w[:] = 0
        grad_b, active, drop = 0.0, 0, eps * np.abs(w).sum()
        for i in rows:
            score = 0.0
            for j in range(len(w)):
                score += w[j] * X[i, j]
            if y[i] * (score + b) - drop < 1:
                active += 1
                grad_b -= y[i]
                for j in range(len(w)):
                    grad_w[j] -= y[i] * X[i, j]
        rate = learning_rate / len(rows)
        for j in range(len(w)):
            w[j] -= rate * (grad_w[j] + active * eps * np.sign(w[j]))
        b -= rate * grad_b
    return w, b
""",
    "e12_proximal": """
def prox(v, t):
    return np.sign(v) * np.maximum(np.abs(v) - t, 0)

def proximal_step(w, grad, learning_rate, strength):
    return prox(w - learning_rate * grad, learning_rate * strength)
""",
    "e13_lower_bound": """
def make_feasible(a, inner, X, y, eps):
    a = np.clip(a, 0, 1 / len(y))
    up, down = a[y > 0].sum(), a[y < 0].sum()
    least = min(up, down)
    if least == 0:
        return 0 * a
    a = a * np.where(y > 0, least / up, least / down)
    def excess(a):
        return np.abs((a * y) @ X).max() - eps * a.sum()
    if excess(a) <= 0:
        return a
    t = excess(a) / (excess(a) - excess(inner))
    return (1 - t) * a + t * inner
""",
    "e14_certificate": """
def proves(w, b, a, value, X, y, eps):
    n, total, norm = len(y), sum(a), sum(abs(v) for v in w)
    margins = [k * (sum(p * q for p, q in zip(w, x)) + b) - eps * norm for x, k in zip(X, y)]
    moments = [sum(v * k * x[j] for v, k, x in zip(a, y, X)) for j in range(len(w))]
    return (
        sum(max(0, 1 - m) for m in margins) / n == value
        and total == value
        and all(0 <= v for v in a)
        and all(v * n <= 1 for v in a)
        and sum(v * k for v, k in zip(a, y)) == 0
        and all(abs(m) <= eps * total for m in moments)
    )
""",
    "e15_idx": """
def read_idx(data):
    types = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
    if len(data) < 4 or data[:2] != bytes(2) or data[2] not in types or len(data) < 4 + 4 * data[3]:
        raise ValueError("not an IDX header")
    item, n, count = np.dtype(types[data[2]]), data[3], 1
    shape = [int.from_bytes(data[4 + 4 * k : 8 + 4 * k], "big") for k in range(n)]
    for size in shape:
        count *= size
    if len(data) != 4 + 4 * n + count * item.itemsize:
        raise ValueError("the length is wrong")
    return np.frombuffer(data, item, count, 4 + 4 * n).reshape(shape).astype(item.newbyteorder("="))
""",
}

WRONG = """
e01_hinge | np.maximum(0, 1 - margin) | 1 - margin | the maximum with 0 is missing
e01_hinge | 1 - margin | -margin | the perceptron's loss
e01_hinge | margin < 1, -1.0 | margin <= 1, -0.5 - 0.5 * (margin < 1) | a subgradient at the kink
e01_hinge | margin < 1 | margin <= 1 | weak inequality for strict
e01_hinge | -1.0, 0.0 | 1.0, 0.0 | the sign: the loss falls
e01_hinge | margin < 1 | margin < 0 | active below 0 instead of below 1
e01_hinge | np.where(margin < 1, -1.0, 0.0) | -2 * hinge(margin) | the slope of the squared hinge
e02_gradient | * y / len(y) | / len(y) | the label y is missing
e02_gradient | / len(y) |  | 1/n is missing
e02_gradient | / len(y) | / len(y) ** 2 | 1/n stands twice
e02_gradient | c.sum() | 0.0 | the bias is forgotten: grad_b is 0
e02_gradient | X @ w + b | X @ w | the bias is forgotten in the margin
e02_gradient | -1.0 | 1.0 | the sign: this points downhill
e02_gradient | < 1 | <= 1 | weak inequality for strict
e03_dual_norm | "linf": size.sum(), | "linf": size.max(), | the norm itself
e03_dual_norm | np.sqrt(w @ w) | w @ w | the square root is missing
e03_dual_norm | return np.sign(w) | return np.where(w >= 0, 1.0, -1.0) | sign(0) is 1
e03_dual_norm | np.linalg.norm(w) or 1 | np.linalg.norm(w) | 0/0 at w = 0
e03_dual_norm | np.sign(w[j]) | 1 | the sign is lost in l1
e03_dual_norm | v[j] = np.sign(w[j]) | v = np.sign(w) | v is longer than 1 in l1
e04_robust_hinge | eps * np.abs(w).sum()).mean() | 0).mean() + eps * np.abs(w).sum() | eps ||w||_1
e04_robust_hinge | + eps * np.abs(w).sum()).mean() | - eps * np.abs(w).sum()).mean() | the eps term is added to the margin
e04_robust_hinge | + b) + eps * np.abs(w).sum() | + b - eps * np.abs(w).sum()) | y stands before the eps term
e04_robust_hinge | active.mean() | (active * y).mean() | y in the eps term
e04_robust_hinge | eps * np.sign(w) | eps * np.abs(w) | eps |w| for eps sign(w)
e04_robust_hinge | c @ X + active.mean() * eps * np.sign(w), c.sum() | len(y) * c @ X + active.sum() * eps * np.sign(w), len(y) * c.sum() | 1/n is missing: the sum
e04_robust_hinge | return c @ X + active.mean() * eps * np.sign(w), c.sum() | k = len(y) / max(1, active.sum()); return k * (c @ X + active.mean() * eps * np.sign(w)), k * c.sum() | the mean over
e04_robust_hinge | + active.mean() * eps | + eps | the eps term at inactive samples
e04_robust_hinge | + active.mean() * eps | - active.mean() * eps | the sign of the eps term
e04_robust_hinge | active.mean() | active.sum() | 1/n is missing in the eps term
e04_robust_hinge | - eps * np.abs(w).sum() < 1 | < 1 | active by the plain margin
e04_robust_hinge | np.sign(w) | np.where(w >= 0, 1, -1) | sign(0) is 1
e05_attack | * y[:, None] |  | the label y is missing
e05_attack | X - | X + | maximum for minimum
e05_attack | np.sign(w) | w | a step along the gradient w
e05_attack | np.sign(w) | w / np.linalg.norm(w) | the l2 attack
e05_attack | X - | 0 * X - | delta instead of X + delta
e06_pixel_box | np.clip(X - eps * y[:, None] * np.sign(w), 0, 1) | np.clip(X, 0, 1) - eps * y[:, None] * np.sign(w) | the clip comes before the step
e06_pixel_box | np.clip(X - | X + np.clip(- | delta is clipped to [0, 1]
e06_pixel_box | 0, 1) | 0, 1) - X | delta is returned, not X + delta
e06_pixel_box | y[:, None] * np.sign(w) | np.where(y[:, None] * w > 0, 1, -1) | a pixel of weight 0 moves
e06_pixel_box | np.sign(w) | np.where(w >= 0, 1, -1) | a pixel of weight 0 moves
e06_pixel_box | X - | X + | maximum for minimum
e06_pixel_box | * y[:, None] |  | the label y is missing
e06_pixel_box | 0, 1) | 0, None) | only one side of the box
e07_radius | np.abs(w).sum() | np.linalg.norm(w) | ||w||_2 for the dual norm
e07_radius | np.maximum(0, y * (X @ w + b)) | y * (X @ w + b) | a negative radius
e07_radius | np.maximum(0, y * (X @ w + b)) | np.abs(X @ w + b) | the distance of errors too
e07_radius | norm == 0 | False | w = 0 divides by 0
e07_radius | "right" | "left" | strict for weak inequality
e07_radius | np.sort(radius) | radius | radii are searched that are not sorted
e08_central_difference | - f(x - h * d)) / (2 * h) | - f(x)) / h | a one-sided difference
e08_central_difference | (2 * h) | h | divided by h instead of 2h
e08_central_difference | h * d | h | d is forgotten
e08_central_difference | np.log(steps) | steps | only one logarithm is taken
e08_central_difference | polyfit(u, v | polyfit(v, u | steps and errors are exchanged
e09_gradient_checker | if all((end == signs).all() for end in ends) | if True | kinks are not looked at
e09_gradient_checker | (end == signs).all() for end in ends | (end == ends[0]).all() for end in ends | kinks at x itself
e09_gradient_checker | for end in ends) | for end in ends[1:]) | kinks are looked at on one side
e09_gradient_checker | for end in ends) | for end in ends[:1]) | kinks are looked at on one side
e09_gradient_checker | all((end == signs).all() for end in ends) | (ends[0] * ends[1] > 0).all() | a kink entry that is 0 all along
e09_gradient_checker | f(x - h * d)) / (2 * h) | f(x)) / h | a one-sided difference
e09_gradient_checker | max(abs(D), abs(g[j])) | np.linalg.norm(g) | a tolerance relative to the whole
e09_gradient_checker | word in words | word in words[:1] | only the first coordinate
e09_gradient_checker | 1e-4 * max(abs(D), abs(g[j])) | 1e-6 | an absolute tolerance
e09_gradient_checker | abs(D - g[j]) | D - g[j] | the sign of the difference
e09_gradient_checker | h /= 2 | h = 0 | one step for all
e09_gradient_checker | "fail", "inconclusive", "pass" | "inconclusive", "fail", "pass" | inconclusive hides a fail
e10_epoch | / len(rows) | / batch_size | averaging over a short batch
e10_epoch | / len(rows) |  | sum for mean
e10_epoch | order[start : start + batch_size] | np.arange(len(order))[start : start + batch_size] | `order` is not used
e10_epoch | b - learning_rate * grad_b | b | the bias is forgotten
e10_epoch | active.sum() * eps | len(rows) * eps | the eps term at inactive samples
e10_epoch | range(0, len(order), batch_size) | range(0, len(order) - batch_size + 1, batch_size) | the last, short batch
e11_compiled_epoch | grad_w[:] = 0 | pass | the gradient of one batch
e11_compiled_epoch | / len(rows) | / batch_size | averaging over a short batch
e11_compiled_epoch | / len(rows) |  | sum for mean
e11_compiled_epoch | active * eps | len(rows) * eps | the eps term at inactive samples
e12_proximal | np.maximum(np.abs(v) - t, 0) | (np.abs(v) - t) | it shrinks past 0
e12_proximal | np.sign(v) * |  | the sign is lost: the result is
e12_proximal | np.sign(v) * np.maximum(np.abs(v) - t, 0) | np.where(np.abs(v) > t, v, 0) | a hard threshold
e12_proximal | , learning_rate * strength | , strength | the threshold is strength
e12_proximal | prox(w - learning_rate * grad, learning_rate * strength) | prox(w, learning_rate * strength) - learning_rate * grad | prox comes before
e13_lower_bound | np.clip(a, 0, 1 / len(y)) | np.clip(a, 0, None) | a_i above 1/n are kept
e13_lower_bound | np.clip(a, 0, | np.clip(a, None, | negative a_i are kept
e13_lower_bound | least / up, least / down | 1, 1 | the classes are not balanced
e13_lower_bound | least / up, least / down | down / up, 1 | one class is scaled whichever
e13_lower_bound | least / up, least / down | 1, up / down | one class is scaled whichever
e13_lower_bound | np.where(y > 0, least / up, least / down) | np.where(y * y.sum() > 0, least / max(up, down) if (up > down) == (y.sum() > 0) else max(up, down) / least, 1) | the heavier class is taken by the number
e13_lower_bound | (excess(a) - excess(inner)) | (excess(a) + excess(inner)) | t = e(a) / (e(a) + e(inner))
e13_lower_bound | np.abs((a * y) @ X).max() | np.linalg.norm((a * y) @ X) | the 2-norm of
e13_lower_bound | np.abs((a * y) @ X).max() | ((a * y) @ X).max() | the absolute value is missing
e13_lower_bound | if excess(a) <= 0 | if True | the condition on sum a_i y_i x_i
e13_lower_bound | (1 - t) * a + t * inner | t * a + (1 - t) * inner | the shares of the mixture
e14_certificate | and all(v * n <= 1 for v in a) |  | a_i <= 1/n is not checked
e14_certificate | and all(0 <= v for v in a) |  | a_i >= 0 is not checked
e14_certificate | and sum(v * k for v, k in zip(a, y)) == 0 |  | sum a_i y_i = 0 is not checked
e14_certificate | abs(m) | m | the absolute value is missing
e14_certificate | and all(abs(m) <= eps * total for m in moments) |  | |sum a_i y_i x_ij
e14_certificate | v * n <= 1 | v * n < 1 | strict for weak inequality
e14_certificate | and total == value |  | sum a_i is not compared
e15_idx | != 4 + 4 * n + | < 4 + 4 * n + | bytes after the last item
e15_idx | "big" | "little" | sizes are read as little-endian
e15_idx | .reshape(shape) | .reshape(shape, order="F") | the first index is taken
e15_idx | or data[:2] != bytes(2) |  | the first four bytes
"""  # noqa: E501
WRONG = [[part.strip() for part in line.split(" | ")] for line in WRONG.strip().splitlines()]


def written(folder, name, code):
    """The learner's file of an exercise with this code in it."""
    path = folder / f"{name}.py"
    path.write_text(f"import numpy as np\n{code}")
    return path


def judged(folder, name, code):
    return judge.judge(learn.exercise(name), written(folder, name, code))


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    """A folder in which every exercise is right."""
    folder = tmp_path_factory.mktemp("solved")
    for name, code in RIGHT.items():
        written(folder, name, code)
    return folder


def test_every_exercise_has_a_right_solution_and_four_wrong_ones_here():
    assert list(RIGHT) == learn.names() and len(RIGHT) >= 14
    assert [learn.number(name) for name in RIGHT] == list(range(1, len(RIGHT) + 1))
    for name in RIGHT:
        assert len({mistake for of, *_, mistake in WRONG if of == name}) >= 4


@needs_jit
def test_right_solutions_pass_each_in_a_process_of_its_own(solved, capsys):
    start = time.perf_counter()
    graded = learn.grade_all(solved, learn.names())
    assert {name: found["state"] for name, found in graded.items()} == dict.fromkeys(RIGHT, "right")
    assert time.perf_counter() - start < 20 * PATIENCE


@pytest.mark.parametrize("name, old, new, mistake", WRONG)
def test_a_wrong_solution_gets_the_name_of_its_mistake(name, old, new, mistake, tmp_path):
    code = "\n".join(line for line in RIGHT[name].splitlines() if not line.startswith("@"))
    assert old in code
    graded = judged(tmp_path, name, code.replace(old, new))
    assert graded["state"] in ("nearly", "wrong"), graded
    assert graded["message"].startswith(mistake), graded["message"]


@pytest.mark.parametrize("name", RIGHT)
def test_what_solutions_are_compared_with_is_right_itself(name):
    exercise = learn.exercise(name)
    if name != "e11_compiled_epoch":  # its OWN is not compiled
        exercise.prove(Solution(exercise.OWN, exercise))


def test_proximal_step_and_lower_bound_of_the_exercises_are_numlins():
    exercise = learn.exercise("e12_proximal")
    for name, args in exercise.cases():
        if name == "proximal_step":
            w, grad, rate, strength = args
            moved = w.copy()
            plain.proximal_step(moved, grad.copy(), rate, strength)
            assert moved == pytest.approx(exercise.OWN[name](*args), abs=1e-15)
    exercise = learn.exercise("e13_lower_bound")
    for name, args in exercise.cases():
        assert exercise.OWN[name](*args).sum() == pytest.approx(lower_bound(*args), rel=1e-12)


@pytest.mark.parametrize("name", RIGHT)
def test_the_wrong_twins_of_an_exercise_are_told_apart(name):
    exercise = learn.exercise(name)
    for mistake in exercise.MISTAKES:
        solution = Solution({**exercise.OWN, mistake.of: mistake.wrong}, exercise)
        with pytest.raises(Wrong) as complaint:
            exercise.prove(solution)
        said = diagnose(solution, complaint.value)
        assert mistake.name in said.splitlines()[0] and "By hand" in said
        assert "looks here" not in said, "it fits in all cases"


@pytest.mark.parametrize("name", RIGHT)
def test_a_written_file_has_text_and_signatures_and_no_answer(name, tmp_path):
    text = learn.text(name)
    body = ast.parse(text).body
    assert [node.name for node in body if isinstance(node, ast.FunctionDef)] == list(
        learn.exercise(name).OWN
    )
    assert text.count("raise NotImplementedError") == len(learn.exercise(name).OWN)
    answers = [line.strip() for line in RIGHT[name].splitlines() if line.startswith("    ")]
    assert not [line for line in answers if len(line) > 20 and line in text]
    assert judge.judge(learn.exercise(name), written(tmp_path, name, text))["state"] == "open"


BROKEN = {
    "": ("empty", "does not define attack(w, X, y, eps)"),
    "attack(": ("crashes", "SyntaxError: '(' was never closed, line 2: attack("),
    "import nothing": ("crashes", "No module named 'nothing', line 2: import nothing"),
    "def attack(w): return w": ("wrong", "attack(w): expected attack(w, X, y, eps)"),
    "def attack(w, X, y, eps): X - eps": ("wrong", "attack returns None: is its return missing?"),
    "def attack(w, X, y, eps): return w": ("wrong", "attack returns shape (3,), expected (7, 3)"),
    "def attack(w, X, y, eps): return 'X'": (
        "wrong",
        "attack returns str of <U1, expected numbers",
    ),
    "def attack(w, X, y, eps): return X, y": ("wrong", "returns tuple of object, expected numbers"),
    "def attack(w, X, y, eps): return X - 1j": ("wrong", "complex128, expected numbers"),
    "def attack(w, X, y, eps): return X / 0": ("wrong", "attack returns what is not finite"),
    "def attack(w, X, y, eps): return X @ X": ("crashes", "ValueError: matmul: Input operand 1"),
    "def attack(w, X, y, eps): return 1 / 0": ("crashes", "division by zero, line 2: def attack"),
    "def attack(w, X, y, eps): X -= 1; return X": (
        "wrong",
        "attack writes into the caller's X: change a copy",
    ),
    "def attack(w, X, y, eps): return X.astype('f4')": ("nearly", "attack returns float32"),
    "def attack(w, X, y, eps): raise SystemExit": ("exits", "graded, line 2: def attack"),
    "import sys\nsys.exit()": ("exits", "ends the process before it is graded, line 3: sys.exit()"),
}
DEADLY = {
    "print('hello')\ninput()": ("crashes", "EOFError: EOF when reading a line, line 3: input()"),
    "def attack(w, X, y, eps):\n  while True: X = -X": (
        "endless",
        "not done after 0.5 s, line 3: wh",
    ),
    "while True: pass": ("endless", "not done after 0.5 s, line 2: while True"),
    "import os\nos._exit(0)": ("exits", "ends the process before it is graded, with exit code 0"),
    "import os\nos.abort()": ("crashes", "the process died (-6), line 3: os.abort()"),
}


@pytest.mark.parametrize("code", BROKEN)
def test_broken_files_are_told_apart(code, tmp_path):
    state, message = BROKEN[code]
    graded = judged(tmp_path, "e05_attack", code)
    assert graded["state"] == state and message in graded["message"], graded


@pytest.mark.parametrize("code", DEADLY)
def test_files_that_do_not_come_back_harm_nobody_and_are_told_apart(code, tmp_path):
    state, message = DEADLY[code]
    path = written(tmp_path, "e05_attack", code)
    graded = learn.grade(path, limit=0.5)
    assert graded["state"] == state and message in graded["message"], graded
    assert ("It printed:\n  | hello" in learn.verdict(path, graded)) == ("hello" in code)


UNNAMED = {
    ("e01_hinge", "margin < 1, -1.0, 0.0", "margin < 1, -1, 0"): (
        "nearly",
        ("hinge_derivative returns int64, expected floating point",),
    ),
    ("e01_hinge", "np.maximum(0, 1 - margin)", "max(0, 1 - margin[0])"): (
        "nearly",
        ("hinge returns shape (), expected (1,): one number for all (max for np.maximum",),
    ),
    ("e09_gradient_checker", "<= 1e-4", "<= 2e-3"): (
        "nearly",
        ("verdict is not right yet\nBy hand: verdict of f", "= [1, -2, 0.5], kinks"),
    ),
    ("e12_proximal", "prox(w - learning_rate * grad, learning_rate * strength)", "w"): (
        "nearly",
        ("proximal_step is not right yet\nBy hand: proximal_step of w = [3], grad = [2]",),
    ),
    ("e01_hinge", "1 - margin", "3 - margin"): (
        "nearly",
        ("hinge is not right yet\nBy hand: hinge of margin = [0.5]\n  yours gives  [2.5]",),
    ),
    ("e04_robust_hinge", ", c.sum()", ", c.sum() * len(y)"): (
        "nearly",
        ("likely: in b, a factor of n, n = 7\nBy hand: robust_subgradient of", "X = [[1], [1]]"),
    ),
    ("e04_robust_hinge", ", c.sum()", ", c.sum() * 3"): (
        "nearly",
        ("likely: in b, a factor of 3\nBy hand: robust_subgradient of w = [1], b = 0, X = [[1]]",),
    ),
    ("e13_lower_bound", "(1 - t) * a + t * inner", "a + 1.01 * t * (inner - a)"): (
        "nearly",
        ("feasible here and a true bound, but not the best", "yours gives  [0.25, 0.12375"),
    ),
    ("e13_lower_bound", "1 / len(y))", "1 / len(y), out=a)"): (
        "nearly",
        ("make_feasible writes into the caller's a: change a copy",),
    ),
}


@pytest.mark.parametrize("name, old, new", UNNAMED)
def test_a_mistake_without_a_name_is_shown_by_hand(name, old, new, tmp_path):
    state, said = UNNAMED[name, old, new]
    assert old in RIGHT[name]
    graded = judged(tmp_path, name, RIGHT[name].replace(old, new))
    assert graded["state"] == state and all(part in graded["message"] for part in said), graded
    assert graded["message"].count("yours gives") <= 2 and "usual mistakes" not in graded["message"]


def test_a_call_is_shown_once_and_finite_results_are_preferred(tmp_path):
    code = RIGHT["e06_pixel_box"].replace("np.sign(w)", "w / np.abs(w)")
    said = judged(tmp_path, "e06_pixel_box", code)["message"]
    assert "By hand" in said and said.count("[[nan]]") == 1, said
    code = RIGHT["e09_gradient_checker"].replace('"fail" for', '"pass" for')
    early = code.replace('"fail", "inconclusive", "pass"', '"inconclusive", "fail", "pass"')
    said = judged(tmp_path, "e09_gradient_checker", early)["message"]
    assert said.count("verdict of f") == 1, said


def test_numlins_gradient_checker_says_what_the_plain_one_of_the_exercise_says():
    def numlins(f, gradient, x, kinks):
        if not np.isfinite(gradient(x)).all():
            return "fail"
        options = {"rtol": 1e-6, "directions": 0}
        return str(check_gradient(f, gradient, x, lambda u: {"kinks": kinks(u)}, **options).verdict)

    exercise = learn.exercise("e09_gradient_checker")
    for name, args in exercise.cases():
        assert numlins(*args) == exercise.OWN[name](*args)


def test_nothing_is_overwritten_and_what_is_missing_is_written(tmp_path, capsys):
    folder = tmp_path / "deep" / "exercises"
    assert cli.main(["learn", "--out", str(folder)]) == 0
    assert f"{len(RIGHT) + 1} files written" in capsys.readouterr().out
    mine = folder / "e01_hinge.py"
    mine.write_text("# mine\n")
    (folder / "e02_gradient.py").unlink()
    assert cli.main(["learn", "--out", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "1 files written" in out and "empty: does not define hinge(margin)" in out
    assert mine.read_text() == "# mine\n" and (folder / "e02_gradient.py").exists()


def test_the_command_lists_grades_hints_and_compares(solved, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["learn"]) == 0
    out = capsys.readouterr().out
    assert out.count("open: not begun") == len(RIGHT) and "--out numlin-exercises" in out
    assert cli.main(["learn", "check"]) == 2
    assert "numlin-exercises: no such folder; name yours with --out" in capsys.readouterr().err
    assert cli.main(["learn", "check", "--out", "nowhere"]) == 2 and not Path("nowhere").exists()
    assert cli.main(["learn", "check", "1", "3", "--out", str(solved)]) == 0
    out = capsys.readouterr().out
    assert "1 The hinge and its subgradient: right" in out and "2 of 2 right" in out
    assert (
        "yours\n  | def hinge(margin):" in out and "numlin's\n  | def hinge(margin: Array)" in out
    )
    assert "Results are identical" in out and "files written" not in out
    assert f"edit {solved}/e04_robust_hinge.py, then numlin learn check 4 --out {solved} (" in out
    hints = [learn.hints(name) for name in learn.names()]
    assert all(len(three) == 3 and "numlin/" in three[2] for three in hints)
    for step in (1, 2, 3):
        assert cli.main(["learn", "hint", "5", str(step)]) == 0
        assert " ".join(capsys.readouterr().out.split()).startswith(hints[4][step - 1])
    for wrong in (["check", "99"], ["hint"], ["hint", "1", "4"]):
        assert cli.main(["learn", *wrong, "--out", str(solved)]) == 2


def test_the_next_command_works_where_it_is_said(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "e05_attack", RIGHT["e05_attack"].replace("X -", "X +"))
    for folder, command in ((tmp_path, "learn check 5"), (tmp_path / "..", None)):
        monkeypatch.chdir(folder)
        command = command or f"learn check 5 --out {tmp_path.name}"
        assert cli.main(command.split()) == 1
        assert f"then numlin {command} (stuck: numlin learn hint 5)" in capsys.readouterr().out


def test_a_plain_version_is_shown_beside_a_right_one(tmp_path):
    for name in ("e06_pixel_box", "e09_gradient_checker", "e13_lower_bound"):
        path = written(tmp_path, name, RIGHT[name])
        shown = learn.comparison(path, {"gap": 0.0})
        assert len(shown.splitlines()) < 60 and "self" not in shown


def test_pytest_says_in_a_copied_folder_what_the_command_says(tmp_path):
    (tmp_path / "test_exercises.py").write_text(learn.TEST)
    written(tmp_path, "e01_hinge", RIGHT["e01_hinge"])
    path = written(tmp_path, "e05_attack", RIGHT["e05_attack"].replace("X -", "X +"))
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(run, capture_output=True, text=True)
    assert "1 failed, 1 passed" in done.stdout
    assert learn.verdict(path, learn.grade(path)) in done.stdout
