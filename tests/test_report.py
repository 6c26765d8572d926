"""The page says what the article found, needs nothing but itself, and computes as Python does."""

import ast
import base64
import dataclasses
import hashlib
import json
import math
import os
import re
import shutil
import subprocess
import textwrap
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import numpy as np
import pytest

import numlin.objective
from numlin import kernels, optimum
from numlin.attacks import attack, radii, robust_accuracy
from numlin.balls import BALLS, LINF, LINF_BOX
from numlin.data import strokes
from numlin.figures import FIGURES
from numlin.figures.story import place, story
from numlin.figures.theory import LABELS, PLANE_B, PLANE_EPS, PLANE_W, POINTS
from numlin.kernels import reference
from numlin.losses import hinge
from numlin.model import LinearClassifier
from numlin.objective import error_rate, objective, score, subgradient
from numlin.report import PER_DIGIT, packed, selection, write_report
from numlin.report.mathml import mathml
from numlin.studies.article import Article, ModelRun

ROOT = Path(__file__).parent.parent
TUTORIAL = "https://adversarial-ml-tutorial.org/linear_models/"
VOID = {"meta", "input", "img", "br"}
HOSTILE = '</script><b>"one" & two\''
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5Erk"
    "Jggg=="
)
# Page and Python read the pixel k / 255 in float64 and in float32, 2**-25 apart at most; times
# ||w||_1, below 60 here, that is 2e-6.
CLOSE = 1e-5
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class Page(HTMLParser):
    """The elements of a page: tag, attributes and text, in order; unclosed tags are an error."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)
        self.close()
        assert self.open == []
        self.by_id = {each["id"]: each for each in self.elements if "id" in each}

    def handle_starttag(self, tag, attrs):
        inside = [each.get("class") or "" for each in self.open]
        self.elements.append({"tag": tag, "text": "", "inside": inside, **dict(attrs)})
        if tag not in VOID:
            self.open.append(self.elements[-1])

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag):
        return [each for each in self.elements if each["tag"] == tag]


def model_run(w, b, X, y):
    """A ModelRun with the given weights."""
    model = LinearClassifier(engine="numpy")
    model.coef_, model.intercept_ = np.float32(w)[None], np.float32([b])
    w, b = model.w, model.b
    radius, radius_box = (radii(w, b, X, y, ball, "numpy") for ball in (LINF, LINF_BOX))
    return ModelRun(model, 0.1, 0.02, int(np.sum(y * score(w, b, X) <= 0)), radius, radius_box)


@pytest.fixture(scope="module")
def drawn_article():
    """Threes and eights; a model of all pixels, and one that calls everything an eight."""
    rng = np.random.default_rng(5)
    y = np.where(np.arange(60) % 2, 1, -1)
    X = strokes.draw(np.where(y > 0, 8, 3), rng).reshape(60, 784)
    X = np.divide(X, 255, dtype=np.float32).astype(np.float64)
    w = X[y > 0].mean(axis=0) - X[y < 0].mean(axis=0) + rng.normal(0, 0.02, 784)
    w *= 3 / np.abs(X @ w - np.median(X @ w)).mean()
    assert np.abs(w).sum() < 60
    runs = {
        "every pixel": model_run(w, -np.median(X @ w), X, y),
        HOSTILE: model_run(np.where(w > 0.1, w, 0), 0.5, X, y),
    }
    files = {"images<1>.gz": "ab" * 32}
    about = {"name": "synthetic", "digits": [3, 8], "n_train": 1234, "n_test": 60, "sha256": files}
    return Article(about, 7, X, y, runs)


@pytest.fixture(scope="module")
def page_file(drawn_article, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(drawn_article, path)
    return path


@pytest.fixture(scope="module")
def page(page_file):
    return Page(page_file.read_text("utf-8"))


@pytest.fixture(scope="module")
def hard_file(hard, tmp_path_factory):
    path = tmp_path_factory.mktemp("hard") / "report.html"
    write_report(hard, path)
    return path


@pytest.fixture(scope="module")
def hard_page(hard_file):
    return Page(hard_file.read_text("utf-8"))


@pytest.fixture
def pictures(tmp_path):
    """A figure in each format."""
    paths = dict(zip(FIGURES, [tmp_path / f"drawn.{kind}" for kind in ("png", "svg", "pdf")]))
    for path, raw in zip(paths.values(), (PNG, b"<svg/>", b"%PDF")):
        path.write_bytes(raw)
    return paths


def test_the_page_loads_nothing_from_elsewhere(drawn_article, pictures, tmp_path):
    write_report(drawn_article, tmp_path / "report.html", pictures)
    text = (tmp_path / "report.html").read_text("utf-8")
    for element in Page(text).elements:
        assert element["tag"] not in ("link", "iframe", "object", "base")
        assert element.get("src", "data:").startswith("data:")
        assert element.get("href", "#").startswith("#") or element["href"] == TUTORIAL
    loads = r"https?:|url\((?!#)|@import|\bimport\b|fetch\(|XMLHttp"
    assert not re.search(loads, text.replace(TUTORIAL, "#"))  # which only a reader follows
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; img-src data:")
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in scripts]
    assert policy.endswith(f"script-src 'sha256-{hashes[0]}' 'sha256-{hashes[1]}'")


def test_every_id_is_unique_and_everything_asked_for_by_id_exists(hard_page, page):
    for each in (hard_page, page):
        ids = [element["id"] for element in each.elements if "id" in element]
        assert len(ids) == len(set(ids))
        script = each.all("script")[-1]["text"]
        wanted = set(re.findall(r'\b(?:find|put)\("([\w-]+)"', script))
        assert len(wanted) > 30 and wanted <= set(ids)
        links = {element["href"] for element in each.all("a")}
        assert len(links) > 25 and links <= {TUTORIAL, *(f"#{id}" for id in ids)}


def test_every_control_has_a_label_and_needs_the_script_that_shows_it(hard_page):
    named = {each["for"] for each in hard_page.all("label") if "for" in each}
    for control in hard_page.all("input") + hard_page.all("select") + hard_page.all("button"):
        assert any("js-only" in each for each in control["inside"])
    assert not named and all(label["text"].strip() for label in hard_page.all("label"))
    script = hard_page.all("script")[-1]["text"]
    assert hard_page.by_id["verdict"]["aria-live"] == "polite"
    for button in hard_page.all("button"):
        assert button["text"] or button["data-does"] in script


def test_the_table_is_that_of_the_article_turned_over(page_file, drawn_article):
    table = page_file.read_text("utf-8").split('<table class="results">')[1].split("</table>")[0]
    cells = Page(table)
    header, rows = drawn_article.table()
    assert [each["text"] for each in cells.all("th")] == [
        header[0], *(row[0] for row in rows), *header[1:]
    ]  # fmt: skip
    turned = [row[k] for k in range(1, len(header)) for row in rows]
    assert [each["text"] for each in cells.all("td")] == turned
    assert cells.all("th")[2]["text"] == HOSTILE


def test_weights_and_pixels_on_the_page_are_the_article_s(page, drawn_article):
    data = json.loads(page.by_id["data"]["text"])
    assert data["digits"] == [3, 8] and data["y"] == drawn_article.y_test.tolist()
    assert [model["name"] for model in data["models"]] == list(drawn_article.runs)
    for model, run in zip(data["models"], drawn_article.runs.values(), strict=True):
        w = np.frombuffer(base64.b64decode(model["w"]), "<f8")
        assert np.array_equal(w, run.model.w) and model["b"] == run.model.b
    raw, pixels = iter(base64.b64decode(data["pixels"])), []
    for byte in raw:
        pixels += [byte] if byte else [0] * next(raw)
    X = np.float32(np.array(pixels).reshape(60, 784) / 255)
    assert np.array_equal(X, drawn_article.X_test)


def test_packing_keeps_every_run_of_zeros():
    assert packed(b"\1\0\0\7\0") == b"\1\0\2\7\0\1"
    assert packed(bytes(600)) == b"\0\377\0\377\0\132" and packed(b"\377\1") == b"\377\1"


def test_every_formula_unfolds_the_lines_that_compute_it(page):
    formulas = [content for part in story() for kind, content in part.blocks if kind == "formula"]
    shown = [each["text"] for each in page.all("pre")]
    marked = [each["text"] for each in page.all("mark")]
    assert len(formulas) == len(shown) == len(marked) > 15
    for (_, at), code, mark in zip(formulas, shown, marked, strict=True):
        source = (ROOT / at.file).read_text("utf-8").splitlines()
        number, text = re.match(r"(\d+) (.*)", mark).groups()
        assert int(number) == at.line and source[at.line - 1] == text
        lines = [re.match(r"(\d+) ?(.*)", line).groups() for line in code.splitlines()]
        assert all(source[int(number) - 1] == text for number, text in lines)
        own = at.name.split(".")[-1]
        assert lines[0][1].strip().startswith(f"def {own}(") and '"""' not in code
        ast.parse(textwrap.dedent("\n".join(text for _, text in lines)))


def test_formulas_say_what_the_functions_they_name_return(rng):
    w, b, eps, n = rng.normal(size=5), 0.3, 0.2, 4
    X, y = rng.uniform(0, 1, (n, 5)), np.array([1, -1, 1, -1])
    pixels, images = range(5), range(n)
    m = [y[i] * (sum(w[j] * X[i, j] for j in pixels) + b) for i in images]
    norm1, norm2 = sum(abs(v) for v in w), math.sqrt(sum(v * v for v in w))
    sign = [math.copysign(1, v) for v in w]
    robust = [m[i] - eps * norm1 for i in images]
    active = [i for i in images if robust[i] < 1]
    room = [[X[i, j] if y[i] * w[j] > 0 else 1 - X[i, j] for j in pixels] for i in images]
    t = [[min(room[i][j], eps) for j in pixels] for i in images]
    free, box = BALLS["linf"], BALLS["linf-box"]
    a = np.array([0.1, 0.25, 0.2, 0.1])
    level = reference.water_level(np.array(room), np.abs(w), np.array([0.3] * n))
    stepped, order = w.copy(), np.arange(n)
    reference.sgd_epoch(
        *kernels.arguments(X, y.astype(np.int8), stepped, b, order, np.array([0.1]), n, eps=eps)
    )
    slope = [-sum(y[i] * X[i, j] - eps * sign[j] for i in active) / n for j in pixels]
    own, along = optimum.minimise(X, y, eps), optimum.whole_path(X, y, eps / 2)
    apart = np.array([[0.1, 0.2], [0.2, 0.1], [0.9, 0.7], [0.8, 0.9]]), np.array([-1, -1, 1, 1])
    widest = max(
        min(z * (x @ v + c) for x, z in zip(*apart)) / np.abs(v).sum()
        for angle in np.linspace(0, 2 * math.pi, 721)
        for v in [np.array([math.cos(angle), math.sin(angle)])]
        for c in np.linspace(-2, 2, 401)
    )
    checks = {
        "objective.score": (score(w, b, X), [y[i] * m[i] for i in images]),
        "objective.robust_margin": (numlin.objective.robust_margin(w, b, X, y), m),
        "losses.hinge": (hinge(np.array(m)), [max(0, 1 - each) for each in m]),
        "balls.Ball.delta": (free.delta(w, X, y, eps), np.outer(y, [-eps * v for v in sign])),
        "balls.Ball.drop": (free.drop(w, X, y, eps), eps * norm1),
        "objective.objective": (objective(w, b, X, y, eps), sum(max(0, 1 - r) for r in robust) / n),
        "objective.subgradient": (subgradient(w, b, X, y, eps)[0], slope),
        "kernels.reference.sgd_epoch": (stepped, w - 0.1 * np.array(slope)),
        "attacks.robust_accuracy": (robust_accuracy([0.1, 0.3, 0.2, 0.5], 0.2), 2 / 4),
        "balls.Ball._moves": (box._moves(w, np.array(room), eps), t),
        "balls.water_level": (np.minimum(room, level[:, None]) @ np.abs(w), [0.3] * n),
        "optimum.lower_bound": (optimum.lower_bound(a, a, X, y, 9), 2 * min(0.35, 0.3)),
        "optimum.walk.Segment.value": (along.at(eps).value(eps), own.objective),
        "optimum._margin": (optimum.margin(*apart).lower, widest),
    }  # fmt: skip
    for found, expected in checks.values():
        # The margin is sought on a grid of half degrees and hundredths.
        assert np.allclose(
            found, expected, atol=0.01 if found is checks["optimum._margin"][0] else 1e-12
        )
    for ball, norm in (("linf", norm1), ("l2", norm2), ("l1", max(abs(w)))):
        assert BALLS[ball].dual_norm(w) == pytest.approx(norm)
        assert BALLS[ball].radius(w, X, y, np.array(m)) == pytest.approx(np.maximum(m, 0) / norm)
    named = {
        at.name
        for part in story()
        for kind, (_, at) in [block for block in part.blocks if block[0] == "formula"]
    }
    assert named == {*checks, "balls.Ball.radius", "balls.Ball.dual_norm"}


def test_a_formula_without_its_line_is_an_error():
    with pytest.raises(ValueError, match="no 'm - 1' in losses.hinge of numlin/losses.py"):
        place("losses.hinge", "m - 1")
    with pytest.raises(ValueError, match="no hing of losses.hing in numlin/losses.py"):
        place("losses.hing", "m")


def test_mathml_nests_scripts_fractions_and_signs():
    assert mathml(r"x_{ij}^2") == (
        "<math><mrow><msubsup><mi>x</mi><mrow><mi>i</mi><mi>j</mi></mrow><mn>2</mn></msubsup>"
        "</mrow></math>"
    )
    assert "<munder><mo>min</mo><mi>b</mi></munder>" in mathml(r"\min_b", display=True)
    half = "<mfrac><mrow><mi>m</mi></mrow><mrow><mn>2</mn></mrow></mfrac>"
    assert half in mathml(r"\frac{m}{2}")
    assert '<mo>=</mo><mo form="prefix">\u2212</mo><mi>y</mi>' in mathml("=-y")
    assert "<mtext>a &lt; b</mtext>" in mathml(r"\text{a < b}")
    with pytest.raises(KeyError):
        mathml(r"\unknown")


def test_the_selection_has_mistakes_first_and_the_nearest_right_answers(drawn_article):
    article = drawn_article
    chosen = selection(article)
    assert len(chosen) == len(set(chosen)) == 2 * PER_DIGIT
    assert article.y_test[chosen].tolist() == [-1] * PER_DIGIT + [1] * PER_DIGIT
    for run in article.runs.values():
        margin = article.y_test * score(run.model.w, run.model.b, article.X_test)
        for y in (-1, 1):
            own = np.flatnonzero(article.y_test == y)
            rising = sorted(own, key=lambda i: margin[i])
            assert {i for i in rising[:3] if margin[i] <= 0} <= set(chosen)
            assert next((i for i in rising if margin[i] > 0), chosen[0]) in chosen
    least = np.min([run.radius[chosen] for run in article.runs.values()], axis=0)
    assert (np.diff(least.reshape(2, -1)) >= 0).all()


def test_few_images_are_all_shown(drawn_article):
    X, y = drawn_article.X_test[:9], drawn_article.y_test[:9]
    runs = {"one": model_run(X[1] - X[0], 0, X, y)}
    few = dataclasses.replace(drawn_article, X_test=X, y_test=y, runs=runs)
    assert sorted(selection(few)) == list(range(9))


@pytest.mark.parametrize("name", ["mnist", "synthetic", "<i>own</i>"])
def test_what_is_not_mnist_is_loudly_called_so(name, drawn_article, tmp_path):
    article = dataclasses.replace(drawn_article, dataset=drawn_article.dataset | {"name": name})
    write_report(article, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text("utf-8"))
    called = {"mnist": "MNIST", "synthetic": "SYNTHETIC DIGITS (not MNIST)"}.get(name, name)
    assert page.all("h1")[0]["text"] == f"{called} 3 against 8"
    assert page.all("title")[0]["text"] == f"numlin: {called} 3 against 8, seed 7"
    warning = next(each for each in page.all("p") if each.get("class") == "warning")
    assert ("not MNIST" in warning["text"]) == (name != "mnist")
    assert "1,234 images" in page.all("p")[2]["text"]


def test_names_from_outside_are_text_not_markup(page, page_file):
    assert len(page.all("script")) == 3 and '<b>"one"' not in page_file.read_text("utf-8")
    assert page.all("dt")[0]["text"] == "images<1>.gz"


def test_figures_are_inlined_byte_for_byte_with_their_captions(drawn_article, pictures, tmp_path):
    write_report(drawn_article, tmp_path / "report.html", pictures)
    page = Page((tmp_path / "report.html").read_text("utf-8"))
    kinds = [("image/png", PNG), ("image/svg+xml", b"<svg/>")]
    assert [each["src"] for each in page.all("img")] == [
        f"data:{kind};base64,{base64.b64encode(raw).decode()}" for kind, raw in kinds
    ]
    for name in pictures:
        assert FIGURES[name].caption in page.by_id[name]["text"]
    titles = [name.replace("-", " ") for name in pictures]
    assert [each["alt"] for each in page.all("img")] == titles[:2]
    assert "drawn.pdf" in page.by_id[[*pictures][2]]["text"]


def test_a_run_without_figures_shows_none_and_without_records_no_training(page):
    assert not page.all("img") and "training" not in page.by_id and "optimum" not in page.by_id


def test_weights_that_are_not_numbers_leave_the_old_page(drawn_article, page_file, tmp_path):
    path = tmp_path / "report.html"
    shutil.copy(page_file, path)
    X, y = drawn_article.X_test, drawn_article.y_test
    broken = model_run(np.zeros(784), -1, X, y)
    broken.model.coef_[0, 3] = np.nan
    with pytest.raises(ValueError):
        write_report(dataclasses.replace(drawn_article, runs={"broken": broken}), path)
    assert path.read_bytes() == page_file.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture(scope="module")
def browse(tmp_path_factory):
    """Opens an address in a headless browser without a network; returns the resulting `Page`."""
    named = os.environ.get("CHROME")
    found = [path for path in map(shutil.which, [named] if named else BROWSERS) if path]
    if not found:
        sought = named or ", ".join(BROWSERS)
        pytest.skip(f"no browser to open the page in: looked for {sought}; $CHROME names another")
    quiet = ["background-networking", "component-update", "sync", "gpu", "quic"]
    flags = ["--headless", "--no-sandbox", "--no-first-run", "--allow-file-access-from-files"]
    flags += [f"--disable-{name}" for name in quiet]
    # The clock runs ahead to what a timer waits for, and no name has an address.
    flags += ["--virtual-time-budget=2000", "--host-resolver-rules=MAP * ~NOTFOUND"]
    flags += ["--enable-logging=stderr"]

    def dump(address):
        profile = f"--user-data-dir={tmp_path_factory.mktemp('profile')}"
        done = subprocess.run(
            [found[0], *flags, profile, "--dump-dom", address],
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
            check=True,
        )
        assert "CONSOLE" not in done.stderr, done.stderr
        return Page(done.stdout)

    return dump


READER = """<!DOCTYPE html>
<iframe id="frame" style="width: %dpx; height: 800px" src="report.html%s"></iframe>
<script>
const frame = document.getElementById("frame");
frame.onload = () => {
  const page = frame.contentDocument;
  const { Event, KeyboardEvent, PointerEvent } = frame.contentWindow;
  const find = (id) => page.getElementById(id);
  const report = (id, value) => {
    const line = document.createElement("p");
    Object.assign(line, { id, textContent: JSON.stringify(value) });
    document.body.append(line);
  };
  const value = (id) => Number(find(id).dataset.value);
  const values = (...ids) => ids.map(value);
  const click = (id) => find(id).click();
  const control = (name) => page.querySelector(`[data-sets="${name}"]`);
  const set = (node, chosen, event = "input") => {
    node.value = chosen;
    node.dispatchEvent(new Event(event));
  };
  const key = (node, name) =>
    node.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
  // A pointer at x, y, shares of the width and height of `panel`.
  const point = (node, type, x, y, panel = node, buttons = 1) => {
    const box = panel.getBoundingClientRect();
    const at = { clientX: box.left + x * box.width, clientY: box.top + y * box.height };
    const pointer = { pointerId: 1, buttons, button: 0, bubbles: true };
    node.dispatchEvent(new PointerEvent(type, { ...pointer, ...at }));
  };
  const inked = () => {
    const copy = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    copy.drawImage(find("original"), 0, 0);
    const { data } = copy.getImageData(0, 0, 28, 28);
    return Array.from(data).filter((_, k) => k %% 4 == 0).map((grey) => 255 - grey);
  };
%s
};
</script>"""


@pytest.fixture(scope="module")
def drive(browse):
    """Opens a page in a frame, does what the script says, and returns what it reports."""

    def run(file, script, address="", width=800):
        wrapper = file.with_name("reader.html")
        wrapper.write_text(READER % (width, address, script), "utf-8")
        return {each["id"]: json.loads(each["text"]) for each in browse(wrapper.as_uri()).all("p")}

    return run


NUMBERS = ("clean-score", "clean-margin", "score", "margin", "radius")


def expected(run, x, y, eps, name):
    """What Python says about one image x (784,) under attack by the ball of that name."""
    w, b, x, y = run.model.w, run.model.b, x[None], np.array([y])
    ball = BALLS[name]
    before, after = (score(w, b, z)[0] for z in (x, attack(w, b, x, y, eps, ball).X_adv))
    radius = radii(w, b, x, y, ball, "numpy")[0]
    return dict(zip(NUMBERS, (before, y[0] * before, after, y[0] * after, radius), strict=True))


def found(page):
    return {name: float(page.by_id[name]["data-value"]) for name in NUMBERS}


@pytest.mark.parametrize(
    "start, name, place, eps, ball, verdict, words",
    [
        ("?", "every pixel", 15, 0.02, "linf", "right", "this 3 reads as 3. It takes eps = "),
        ("#", "every pixel", 35, 0.3456789, "linf-box", "fooled", "this 8 reads as 3"),
        ("?", "every pixel", 35, 0.5, "linf", "fooled", "this 8 reads as 3"),
        ("?", "every pixel", 12, 1.3, "l2", "right", "this 3 reads as 3"),
        ("?", "every pixel", 30, 4.9, "l2-box", "fooled", "this 8 reads as 3"),
        ("#", "every pixel", 30, 48.5, "l1", "fooled", "this 8 reads as 3"),
        ("?", "every pixel", 30, 49.9, "l1-box", "fooled", "this 8 reads as 3"),
        (
            "#",
            HOSTILE,
            30,
            0.4,
            "linf-box",
            "right",
            "Nothing in the pixel box makes it read as 3.",
        ),
        (
            "?",
            HOSTILE,
            4,
            0.15,
            "linf-box",
            "wrong",
            "Wrong without any attack: this 3 reads as 8.",
        ),
    ],
)
def test_a_browser_computes_what_python_computes(
    start, name, place, eps, ball, verdict, words, drawn_article, page_file, browse
):
    i = selection(drawn_article)[place]
    asked = urlencode({"digit": i, "model": name, "eps": eps, "ball": ball})
    page = browse(f"{page_file.as_uri()}{start}{asked}")
    x, y = drawn_article.X_test[i], drawn_article.y_test[i]
    wanted = expected(drawn_article.runs[name], x, y, eps, ball)
    assert found(page) == pytest.approx(wanted, abs=CLOSE, rel=0)
    shown = page.by_id["score"]["text"].replace("\N{MINUS SIGN}", "-")
    assert float(shown) == pytest.approx(wanted["score"], abs=CLOSE + 0.5e-4)
    assert page.by_id["verdict"]["data-value"] == verdict and words in page.by_id["verdict"]["text"]
    assert len(page.by_id["thumbs"]["text"]) == 2 * PER_DIGIT


def sgd(batches, rate, eps, w=PLANE_W, b=PLANE_B):
    """w and b (2 and 1 numbers) after so many steps of the NumPy twin on the toy points."""
    order, w = np.array([k // 2 + k % 2 * 7 for k in range(14)]), np.array(w)
    rows = np.concatenate([order] * (batches // 4 + 1))
    for start in range(0, batches, 4):
        n = min(4, batches - start)
        rates, visited = np.full(n, rate), rows[: min(4 * n, 14)]
        b, *_ = reference.sgd_epoch(
            *kernels.arguments(POINTS, LABELS.astype(np.int8), w, b, visited, rates, 4, eps=eps)
        )
    return [*w, b]


def test_the_plane_trains_as_the_numpy_twin_does(page_file, drive):
    seen = drive(
        page_file,
        """
  const plane = () => values("plane-w1", "plane-w2", "plane-b");
  report("slopes", [...values("plane-grad1", "plane-grad2", "plane-gradb", "plane-verdict"),
    ...values("plane-hinge1", "plane-hinge2", "plane-hingeb")]);
  set(find("plane-eps"), 0.2);
  click("plane-batch");
  report("batch", plane());
  click("plane-epoch");
  report("epoch", plane());
  click("plane-epochs");
  report("epochs", plane());
  click("plane-zero");
  set(find("plane-eps"), 0);
  find("plane-rate").value = "0.1";
  click("plane-epoch");
  click("plane-epoch");
  report("from zero", plane());
  click("plane-reset");
  report("again", plane());
""",
    )
    robust, plain = (subgradient(PLANE_W, PLANE_B, POINTS, LABELS, eps) for eps in (PLANE_EPS, 0))
    loss = objective(PLANE_W, PLANE_B, POINTS, LABELS, PLANE_EPS)
    exact = {
        "slopes": [*robust[0], robust[1], loss, *plain[0], plain[1]],
        "batch": sgd(1, 0.5, 0.2),
        "epoch": sgd(4, 0.5, 0.2),
        "epochs": sgd(4 + 200, 0.5, 0.2),
        "from zero": sgd(8, 0.1, 0.0, (0.0, 0.0), 0.0),
        "again": [*PLANE_W, PLANE_B],
    }
    for name, numbers in exact.items():
        # Two orders of the same sums, for 204 steps.
        assert seen[name] == pytest.approx(numbers, abs=1e-12, rel=0), name
    # As the story says: at 0.2 one weight has died by then and the other has not.
    assert abs(exact["epochs"][1]) < 0.3 and exact["epochs"][0] > 3


def test_points_and_weights_of_the_plane_are_dragged_and_moved_with_keys(page_file, drive):
    seen = drive(
        page_file,
        """
  const panel = find("plane-points");
  const numbers = () => values("plane-w1", "plane-w2", "plane-b", "plane-verdict");
  const drag = (node, x, y, within = panel) => {
    point(node, "pointerdown", 0.5, 0.5, node);
    point(node, "pointermove", x, y, within);
    point(node, "pointerup", x, y, within);
    point(node, "pointermove", 0.9, 0.9, within);
  };
  const at = (value) => (value + 0.04) / 1.08;
  const digit = panel.querySelectorAll(".point")[2];
  drag(digit, at(0.5), 1 - at(0.4));
  report("point", numbers());
  key(digit, "ArrowLeft");
  key(digit, "ArrowUp");
  report("moved", [...numbers(), digit.getAttribute("aria-valuetext")]);
  drag(panel.querySelector(".grip"), at(0.3), 1 - at(0.6));
  report("boundary", numbers());
  drag(find("plane-weights").querySelector(".tip"), 0.75, 0.125, find("plane-weights"));
  report("weights", numbers());
  const grip = panel.querySelector(".grip").getAttribute("transform");
  const root = grip.match(/[\\d.]+/g).map((each) => each / 300);
  drag(panel.querySelector(".tip"), root[0] + 0.05 * 2 / 1.08, root[1] - 0.05 * 5 / 1.08);
  report("tip", numbers());
  key(panel.querySelector(".tip"), "ArrowRight");
  report("key", numbers());
""",
    )
    points, (w, b) = POINTS.copy(), (PLANE_W, PLANE_B)

    def loss(w, b):
        return [*w, b, objective(np.array(w), b, points, LABELS, PLANE_EPS)]

    points[2] = 0.5, 0.4
    assert seen["point"] == pytest.approx(loss(w, b), abs=1e-9)
    points[2] = 0.48, 0.42
    assert seen["moved"][:4] == pytest.approx(loss(w, b), abs=1e-9)
    assert seen["moved"][4] == "0.48, 0.42"
    b = -(4 * 0.3 + 3 * 0.6)
    assert seen["boundary"] == pytest.approx(loss(w, b), abs=1e-9)
    assert seen["weights"] == pytest.approx(loss([4, 6], b), abs=1e-9)
    # The root of w is read off the page, which rounds it to hundredths of 300.
    assert seen["tip"][:2] == pytest.approx([2, 5], abs=1e-2)
    assert seen["tip"] == pytest.approx(loss(seen["tip"][:2], seen["tip"][2]), abs=1e-9)
    assert seen["key"][:2] == pytest.approx([seen["tip"][0] + 0.25, seen["tip"][1]])


def test_a_pixel_shows_its_weight_and_shares(drawn_article, page_file, drive):
    i = selection(drawn_article)[30]
    seen = drive(
        page_file,
        """
  const own = ["pixel", "pixel-x", "pixel-share", "pixel-delta", "pixel-push"];
  const shown = () => values(...own, "first-x", "first-share", "second-x", "second-share");
  point(find("delta"), "pointermove", 12.5 / 28, 10.5 / 28);
  report("hover", shown());
  for (const name of ["ArrowDown", "ArrowDown", "ArrowRight"]) key(find("panes"), name);
  report("keys", shown());
""",
        "?" + urlencode({"digit": i, "model": "every pixel", "eps": 0.3, "ball": "linf-box"}),
    )
    X, y, run = drawn_article.X_test, drawn_article.y_test, drawn_article.runs["every pixel"]
    delta = np.clip(X[i] - y[i] * 0.3 * np.sign(run.model.w), 0, 1) - X[i]
    for name, j in (("hover", 10 * 28 + 12), ("keys", 12 * 28 + 13)):
        w = run.model.w[j]
        means = [X[y == sign, j].mean() for sign in (-1, 1)]
        wanted = [w, X[i, j], w * X[i, j], delta[j], w * delta[j]]
        wanted += [number for mean in means for number in (mean, w * mean)]
        assert seen[name] == pytest.approx(wanted, abs=CLOSE)


def test_all_images_at_once_are_counted_as_python_counts_them(hard, hard_file, drive):
    seen = drive(
        hard_file,
        """
  for (const model of ["regular", "robust-0.2", "optimum-0.1"]) {
    set(control("model"), model, "change");
    for (const ball of ["linf", "linf-box", "l2", "l2-box", "l1", "l1-box"]) {
      set(control("ball"), ball, "change");
      for (const share of [0, 0.1, 0.3, 1]) {
        const slider = control("eps");
        set(slider, share * slider.max);
        report(`${model} ${ball} ${share}`, [Number(slider.value), ...values("fooled", "falls")]);
      }
    }
  }
""",
    )
    assert len(seen) == 3 * 6 * 4
    for case, (eps, count, following) in seen.items():
        name, ball, _ = case.split()
        model = (hard.runs | hard.optima)[name].model
        radius = radii(model.w, model.b, hard.X_test, hard.y_test, BALLS[ball], "numpy")
        # An image that close to the boundary may fall on either side of it.
        assert np.sum(radius <= eps - CLOSE) <= count <= np.sum(radius <= eps + CLOSE), case
        left = radius[radius > eps + CLOSE]
        if following < 0:
            assert not np.isfinite(left).any()
        else:
            assert eps - CLOSE < radius[following] <= left.min(initial=np.inf) + CLOSE, case


def test_training_is_scrubbed_through_the_recorded_weights(hard, hard_file, drive):
    seen = drive(
        hard_file,
        """
  for (let k = 0; k <= find("step").max; k++) {
    set(find("step"), k);
    report(k, [0, 1, 2, 3].map((run) => values("step-value", `accuracy-${run}`, `loss-${run}`)));
  }
""",
    )
    X, y, checked = hard.X_test, hard.y_test, 0
    for shown in seen.values():
        for (step, accuracy, loss), run in zip(shown, hard.runs.values(), strict=True):
            if step % 3 == 0 and step:  # the end of an epoch of three batches
                snapshots = run.records.snapshots
                w, b = snapshots.w[step // 3 - 1].astype(float), snapshots.b[step // 3 - 1]
                margin = y * (X @ w + b)
                # Thirty float32 steps back from the end, in each of 784 weights.
                robust = hinge(margin - run.model.eps * np.abs(w).sum())
                assert loss == pytest.approx(robust.mean(), abs=1e-4)
                assert accuracy == pytest.approx(np.mean(margin > 0), abs=1.01 / 60)
                checked += 1
    assert checked >= 4 * 6


def test_the_optimum_along_eps_stands_beside_the_article_s_model(hard, hard_file, drive):
    seen = drive(
        hard_file,
        """
  for (let k = 0; k <= find("path-eps").max; k++) {
    set(find("path-eps"), k);
    const whats = ["objective", "pixels", "clean", "attacked"];
    const of = (name) => values(...whats.map((what) => `${name}-${what}`));
    const name = find("article-name").textContent;
    report(k, [value("path-value"), of("optimum"), of("article"), name]);
  }
""",
    )
    X, y = hard.X_test, hard.y_test
    for found, (eps, best, other, name) in zip(hard.path, seen.values(), strict=True):
        run = hard.runs[name]
        k = hard.path.index(found)
        assert eps == found.eps and name == min(
            hard.runs, key=lambda each: abs(hard.runs[each].model.eps - eps)
        )
        for (loss, n_pixels, clean, attacked), w, b, least in (
            (best, found.w, found.b, found.objective),
            (other, run.model.w, run.model.b, run.path_loss[k]),
        ):
            assert loss == least
            assert n_pixels == np.sum(np.abs(w) > np.abs(w).max() / 100)
            # An optimum has images on its boundary but for rounding.
            assert clean == pytest.approx(error_rate(w, b, X, y), abs=1.01 / 60)
            assert attacked == pytest.approx(error_rate(w, b, X, y, eps), abs=2.01 / 60)
        assert other[0] >= best[0]


def test_a_reader_slides_and_never_scrolls_sideways(drawn_article, page_file, drive):
    seen = drive(
        page_file,
        """
  const numbers = ["clean-score", "clean-margin", "score", "margin", "radius"];
  const shown = () => [...values(...numbers), find("verdict").dataset.value];
  report("widths", [page.documentElement.scrollWidth, frame.contentWindow.innerWidth]);
  report("start", shown());
  set(control("eps"), 0.3);
  report("slid", shown());
  page.querySelector('[data-does="to-radius"]').click();
  report("boundary", shown());
  setTimeout(() => report("address", frame.contentWindow.location.hash), 600);
""",
        "?eps=0.01",
        width=320,
    )
    width, window = seen["widths"]
    assert width <= window == 320
    run, i = drawn_article.runs["every pixel"], selection(drawn_article)[PER_DIGIT - 1]
    at = {
        "start": (0.01, "right"),
        "slid": (0.3, "fooled"),
        "boundary": (run.radius[i], "boundary"),
    }
    for name, (eps, verdict) in at.items():
        wanted = [*expected(run, drawn_article.X_test[i], -1, eps, "linf").values()]
        assert seen[name][:5] == pytest.approx(wanted, abs=CLOSE, rel=0)
        assert seen[name][5] == verdict
    kept = dict(parse_qsl(seen["address"][1:]))
    assert float(kept["eps"]) == pytest.approx(run.radius[i], abs=CLOSE)
    assert kept["digit"] == str(i) and kept["model"] == "every pixel" and kept["ball"] == "linf"


def test_the_pen_draws_only_strokes_that_begin_on_the_paper(drawn_article, page_file, drive):
    seen = drive(
        page_file,
        """
  const paper = find("original");
  click("draw");
  point(page.body, "pointerdown", 0.5, 0.5);
  point(paper, "pointermove", 0.3, 0.5);
  point(paper, "pointermove", 0.7, 0.5);
  report("dragged in", Math.max(...inked()));
  click("clear");
  point(paper, "pointermove", 0.5, 0.5);
  report("after clear", Math.max(...inked()));
  point(paper, "pointerdown", 0.5, 0.3);
  point(paper, "pointermove", 0.5, 0.7);
  point(paper, "pointerup", 0.5, 0.7, paper, 0);
  report("stroke", inked());
  point(paper, "pointermove", 0.1, 0.7);
  report("lifted", inked());
  const verdict = find("verdict");
  report("unlabelled", [verdict.dataset.value, find("label").value, verdict.textContent]);
  set(find("label"), "1", "change");
  report("labelled", [...values("clean-score", "clean-margin"), find("verdict").textContent]);
  click("draw");
  page.querySelector("#thumbs input").click();
  report("image", inked());
  click("draw");
  report("kept", [inked(), find("label").value]);
  point(paper, "pointerdown", 0.2, 0.2);
  point(paper, "pointerup", 0.2, 0.2, paper, 0);
  report("dot", inked());
  click("undo");
  report("undone", inked());
  click("eraser");
  point(paper, "pointerdown", 0.5, 0.5);
  point(paper, "pointerup", 0.5, 0.5, paper, 0);
  report("erased", inked());
  click("eraser");
  for (let k = 0; k < 5; k++) key(find("panes"), "ArrowRight");
  key(find("panes"), " ");
  report("keys", inked());
  point(paper, "pointerdown", 0.9, 0.1);
  point(paper, "pointermove", 1.5, 0.1);
  point(paper, "pointermove", 1.5, 0.9);
  point(paper, "pointermove", 0.9, 0.9);
  point(paper, "pointerup", 0.9, 0.9, paper, 0);
  report("around", inked());
""",
    )
    page = {
        name: np.array(ink).reshape(28, 28)
        for name, ink in (seen | {"kept": seen["kept"][0]}).items()
        if isinstance(ink, list) and len(ink) == 784
    }
    stroke = page["stroke"]
    assert seen["dragged in"] == seen["after clear"] == 0
    # The pen goes from row 7.9 to 19.1 in column 13.5, black to 1 pixel away, without ink at 2.
    assert (stroke[8:20, 13:15] == 255).all()
    assert stroke[:6].max() == stroke[:, :12].max() == stroke[:, 16:].max() == 0
    for name in ("lifted", "kept", "undone"):
        assert np.array_equal(np.reshape(page.get(name, seen["kept"][0]), (28, 28)), stroke), name
    kind, label, words = seen["unlabelled"]
    assert kind == "unlabelled" and label == "0" and "What is it meant as?" in words
    assert "wrong" not in words.lower()
    run = drawn_article.runs["every pixel"]
    reads = score(run.model.w, run.model.b, stroke.reshape(1, 784) / 255)[0]
    assert seen["labelled"][:2] == pytest.approx([reads, reads], abs=CLOSE)
    assert "this 8 reads as" in seen["labelled"][2] and seen["kept"][1] == "1"
    first = drawn_article.X_test[selection(drawn_article)[0]]
    assert np.array_equal(np.float32(page["image"].ravel() / 255), first)
    assert page["dot"][5, 5] == 255 and page["dot"][8:].sum() == stroke[8:].sum()
    assert page["erased"][13:15, 13:15].max() == 0 and page["erased"][18, 13] == 255
    row, column = np.argwhere((page["keys"] == 255) & (page["erased"] < 255)).mean(axis=0)
    # The pixel followed the pointer to the last stroke, 14 and 14; from there five to the right.
    assert (row, column) == (14, 19)
    edge = page["around"][:, 24:]
    assert edge[2, 1] > 0 and edge[25, 1] > 0 and edge[8:20].max() == 0
