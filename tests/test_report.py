"""The page says what the article found, needs nothing but itself, and computes as Python does."""

import base64
import dataclasses
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from urllib.parse import urlencode

import numpy as np
import pytest

from numlin.attacks import attack, radii
from numlin.balls import LINF, LINF_BOX
from numlin.data import strokes
from numlin.figures import FIGURES
from numlin.model import LinearClassifier
from numlin.objective import score
from numlin.report import PER_DIGIT, selection, write_report
from numlin.studies.article import Article, ModelRun

VOID = {"meta", "input", "img"}
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
        self.elements.append({"tag": tag, "text": "", **dict(attrs)})
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
        assert element.get("href", "#").startswith("#")
    assert not re.search(r"https?:|url\(|@import|\bimport\b|fetch\(|XMLHttp", text)
    assert "default-src 'none'" in text


def test_every_id_is_unique_and_every_one_the_script_asks_for_exists(page):
    ids = [each["id"] for each in page.elements if "id" in each]
    assert len(ids) == len(set(ids))
    wanted = set(re.findall(r'find\("([\w-]+)"\)|put\("([\w-]+)"', page.all("script")[1]["text"]))
    assert {one or other for one, other in wanted} <= set(ids)


def test_every_control_has_a_label(page):
    named = {each["for"] for each in page.all("label") if "for" in each}
    text = " ".join(each["text"] for each in page.all("label"))
    inside = {"model", "free", "boxed", "draw", "label"}
    for control in page.all("input") + page.all("select"):
        assert control["id"] in named | inside
    for words in ("Model", "of any value", "between 0 and 1", "Draw on x", "It is meant as"):
        assert words in text
    assert all(button["text"] for button in page.all("button"))
    assert page.by_id["verdict"]["aria-live"] == "polite"


def test_the_table_is_that_of_the_article_turned_over(page, drawn_article):
    header, rows = drawn_article.table()
    numbers = len(rows) + len(header), len(rows) * (len(header) - 1)
    heads, values = page.all("th")[: numbers[0]], page.all("td")[: numbers[1]]
    assert [each["text"] for each in heads] == [header[0], *(row[0] for row in rows), *header[1:]]
    turned = [row[k] for k in range(1, len(header)) for row in rows]
    assert [each["text"] for each in values] == turned


def test_weights_and_pixels_on_the_page_are_the_article_s(page, drawn_article):
    data = json.loads(page.by_id["data"]["text"])
    assert data["digits"] == [3, 8]
    assert [model["name"] for model in data["models"]] == list(drawn_article.runs)
    for model, run in zip(data["models"], drawn_article.runs.values(), strict=True):
        assert model["w"] == run.model.w.tolist() and model["b"] == run.model.b
    for image in data["images"]:
        pixels = np.frombuffer(base64.b64decode(image["pixels"]), np.uint8)
        assert np.array_equal(np.float32(pixels / 255), drawn_article.X_test[image["index"]])
        assert image["y"] == drawn_article.y_test[image["index"]]


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
    called = "MNIST" if name == "mnist" else f"{name.upper()} DIGITS"
    assert page.all("h1")[0]["text"] == f"{called} 3 against 8"
    assert page.all("title")[0]["text"] == f"numlin: {called} 3 against 8, seed 7"
    warning = next(each for each in page.all("p") if each.get("class") == "warning")
    assert ("not MNIST" in warning["text"]) == (name != "mnist")
    assert "1,234 images" in page.all("p")[2]["text"]


def test_names_from_outside_are_text_not_markup(page, page_file):
    assert [each["text"] for each in page.all("th")][2] == HOSTILE
    assert len(page.all("script")) == 2 and '<b>"one"' not in page_file.read_text("utf-8")
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


def test_a_run_without_figures_says_so(page):
    assert "No figures were drawn" in page.by_id["figures"]["text"]


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
    """Opens an address in a headless browser and returns the resulting `Page`."""
    named = os.environ.get("CHROME")
    found = [path for path in map(shutil.which, [named] if named else BROWSERS) if path]
    if not found:
        sought = named or ", ".join(BROWSERS)
        pytest.skip(f"no browser to open the page in: looked for {sought}; $CHROME names another")
    quiet = ["background-networking", "component-update", "sync", "gpu", "quic"]
    flags = ["--headless", "--no-sandbox", "--no-first-run", "--allow-file-access-from-files"]
    flags += [f"--disable-{name}" for name in quiet]

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
        return Page(done.stdout)

    return dump


def expected(run, x, y, eps, box):
    """What Python says about one image x (784,) under attack."""
    w, b, x, y = run.model.w, run.model.b, x[None], np.array([y])
    ball = LINF_BOX if box else LINF
    before, after = (score(w, b, z)[0] for z in (x, attack(w, b, x, y, eps, ball).X_adv))
    return {
        "clean-score": before,
        "clean-margin": y[0] * before,
        "score": after,
        "margin": y[0] * after,
        "radius": radii(w, b, x, y, ball, "numpy")[0],
    }


def found(page):
    names = ("clean-score", "clean-margin", "score", "margin", "radius")
    return {name: float(page.by_id[name]["data-value"]) for name in names}


@pytest.mark.parametrize(
    "start, name, place, eps, box, verdict, words",
    [
        ("?", "every pixel", 15, 0.02, False, "right", "this 3 reads as 3. It takes eps = "),
        ("#", "every pixel", 35, 0.3456789, True, "fooled", "this 8 reads as 3"),
        ("?", "every pixel", 35, 0.5, False, "fooled", "this 8 reads as 3"),
        ("#", HOSTILE, 30, 0.4, True, "right", "Nothing in the pixel box makes it read as 3."),
        ("?", HOSTILE, 4, 0.15, True, "wrong", "Wrong without any attack: this 3 reads as 8."),
    ],
    ids=["right", "fooled in the box", "fooled", "out of reach", "wrong"],
)
def test_a_browser_computes_what_python_computes(
    start, name, place, eps, box, verdict, words, drawn_article, page_file, browse
):
    i = selection(drawn_article)[place]
    asked = urlencode({"digit": i, "model": name, "eps": eps, "box": int(box)})
    page = browse(f"{page_file.as_uri()}{start}{asked}")
    x, y = drawn_article.X_test[i], drawn_article.y_test[i]
    wanted = expected(drawn_article.runs[name], x, y, eps, box)
    assert found(page) == pytest.approx(wanted, abs=CLOSE, rel=0)
    shown = page.by_id["score"]["text"].replace("\N{MINUS SIGN}", "-")
    assert float(shown) == pytest.approx(wanted["score"], abs=CLOSE + 0.5e-4)
    assert page.by_id["verdict"]["data-value"] == verdict and words in page.by_id["verdict"]["text"]
    assert float(page.by_id["eps-value"]["data-value"]) == eps
    assert len(page.by_id["thumbs"]["text"]) == 2 * PER_DIGIT


USER = """<!DOCTYPE html>
<iframe id="frame" style="width: 320px" src="report.html?eps=0.01"></iframe>
<script>
const frame = document.getElementById("frame");
const shown = ["clean-score", "clean-margin", "score", "margin", "radius", "eps-value", "verdict"];
frame.onload = () => {
  const page = frame.contentDocument;
  const { Event, KeyboardEvent, PointerEvent, innerWidth } = frame.contentWindow;
  const find = (id) => page.getElementById(id);
  const report = (id, value) => {
    const line = document.createElement("p");
    Object.assign(line, { id, textContent: JSON.stringify(value) });
    document.body.append(line);
  };
  const numbers = () => shown.map((id) => find(id).dataset.value);
  const inked = () => {
    const { data } = find("original").getContext("2d").getImageData(0, 0, 28, 28);
    return Array.from(data).filter((_, k) => k % 4 == 0).map((grey) => 255 - grey);
  };
  report("widths", [page.documentElement.scrollWidth, innerWidth]);
  report("start", numbers());
  find("eps").value = 0.3;
  find("eps").dispatchEvent(new Event("input"));
  report("slid", numbers());
  find("to-radius").click();
  report("boundary", numbers());
  find("boxed").click();
  find("clear").click();
  find("label").value = "1";
  find("label").dispatchEvent(new Event("change"));
  const pen = (type, x, y) => {
    const paper = find("original").getBoundingClientRect();
    const at = { clientX: paper.left + x * paper.width, clientY: paper.top + y * paper.height };
    find("original").dispatchEvent(new PointerEvent(type, { buttons: 1, ...at }));
  };
  pen("pointerdown", 0.5, 0.3);
  pen("pointermove", 0.5, 0.7);
  report("stroke", inked());
  for (const key of ["ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight", " "])
    find("original").dispatchEvent(new KeyboardEvent("keydown", { key }));
  report("drawing", inked());
  report("drawn", numbers());
  find("draw").click();
  report("back", numbers());
  report("drawing is over", find("label").disabled);
};
</script>"""


def test_a_reader_slides_draws_and_never_scrolls_sideways(drawn_article, page_file, browse):
    wrapper = page_file.with_name("reader.html")
    wrapper.write_text(USER, "utf-8")
    page = browse(wrapper.as_uri())
    seen = {each["id"]: json.loads(each["text"]) for each in page.all("p")}
    width, window = seen["widths"]
    assert width <= window == 320

    run, article = drawn_article.runs["every pixel"], drawn_article
    i = selection(article)[PER_DIGIT - 1]
    at = {"start": 0.01, "slid": 0.3, "boundary": run.radius[i], "back": run.radius[i]}
    for name, eps in at.items():
        wanted = expected(run, article.X_test[i], -1, eps, name == "back")
        assert [float(each) for each in seen[name][:6]] == pytest.approx(
            [*wanted.values(), eps], abs=CLOSE, rel=0
        )
    assert [seen[name][6] for name in at] == ["right", "fooled", "boundary", "right"]

    stroke, drawing = (np.array(seen[name]).reshape(28, 28) for name in ("stroke", "drawing"))
    # The pen goes from row 7.9 to 19.1 in column 13.5, black to 1 pixel away, without ink at 2.
    assert (stroke[8:20, 13:15] == 255).all()
    assert stroke[:6].max() == stroke[:, :12].max() == stroke[:, 16:].max() == 0
    assert drawing[19, 18] == 255
    eps = float(seen["drawn"][5])
    wanted = expected(run, drawing.reshape(784) / 255, 1, eps, True)
    assert seen["drawing is over"]
    numbers = [float(each) for each in seen["drawn"][:5]]
    assert numbers == pytest.approx([*wanted.values()], abs=CLOSE, rel=0)
