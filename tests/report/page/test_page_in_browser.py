"""The page in a real browser: what only layout and scripts can show. Skipped where there is no Chromium."""

import base64
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rustk.planning.races.halving import Race as Halving
from rustk.report.evaluation.analysis import analyse
from rustk.report.page.comparison import write_comparison_page
from rustk.report.page.report import make_report
from rustk.report.page.run import write_page
from tests.report.final_models import pictured
from tests.report.planted import CLEAN, VIEW_ONLY, aggregated, plant
from tests.report.raced import raced

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on PATH (Debian: apt-get install chromium)")

QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
QUIET += ["--disable-component-update", "--disable-sync", "--hide-scrollbars", "--enable-logging=stderr"]
WIDTHS = (360, 768, 1280)

# What is tried on each page, in a frame of each width; the answers stand in the harness's title.
HARNESS = r"""<!doctype html><body><script>
const code = c => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0");
const answers = {}, widths = %s, pages = %s;
function measure(frame) {
  const page = frame.contentDocument, root = page.documentElement;
  const wide = [...page.querySelectorAll("body *")].filter(e => !e.closest(".scroll") && !e.closest("svg")
    && !e.closest(".skip") && e.getBoundingClientRect().right > root.clientWidth + 1);
  const table = page.querySelector("table.sortable"), head = table.tHead.rows[0].cells[%d];
  const column = () => [...table.tBodies[0].rows].map(row => row.cells[%d].textContent);
  const before = column(), last = page.querySelectorAll("table.sortable")[0].tBodies[1];
  const button = head.querySelector("button");
  button.focus();
  const focused = page.activeElement === button;
  button.click();
  const once = column(), sorted = head.getAttribute("aria-sort");
  button.click();
  const twice = column(), box = page.querySelector("[data-toggle]");
  box.click();
  const hidden = [...box.closest("[data-charts]").querySelectorAll("[data-fold]")]
    .filter(path => frame.contentWindow.getComputedStyle(path).display === "none").map(path => path.dataset.fold);
  const chart = page.querySelector("svg[data-series]"), place = chart.getBoundingClientRect();
  chart.dispatchEvent(new PointerEvent("pointermove",
    {bubbles: true, clientX: place.left + place.width - 20, clientY: place.top + 40}));
  const tip = page.querySelector(".tip");
  const pictures = [...page.querySelectorAll("figure.example img")].map(e => [e.naturalWidth, e.width]);
  const tallest = Math.max(...[...table.tBodies[0].rows].map(row => row.getBoundingClientRect().height));
  return {pictures, tallest, overflow: root.scrollWidth - root.clientWidth,
    wide: wide.map(e => e.outerHTML.slice(0, 90)),
    before, once, twice, sorted, focused, hidden, tip: tip.hidden ? "" : tip.textContent,
    last: last ? last.textContent : "", background: frame.contentWindow.getComputedStyle(page.body).backgroundColor};
}
const jobs = pages.flatMap(name => widths.map(width => new Promise(done => {
  const frame = document.createElement("iframe");
  frame.width = width; frame.height = 900;
  frame.onload = () => {
    try { answers[name + " " + width] = measure(frame); }
    catch (e) { answers[name + " " + width] = {failed: String(e)}; }
    done();
  };
  frame.src = name;
  document.body.append(frame);
})));
Promise.all(jobs).then(() => { document.title = "answers " + btoa(JSON.stringify(answers).replace(/[^ -~]/g, code)); });
</script></body>"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages of a run with a search and examples of its test, of a comparison, and of a race."""
    into = tmp_path_factory.mktemp("pages")
    first = make_report(analyse(aggregated(replace(CLEAN, weights="random"))))
    second = make_report(analyse(aggregated(replace(VIEW_ONLY, split_patients=True))))
    (into / "bare.html").write_bytes(write_page(first))
    (into / "run.html").write_bytes(write_page(replace(first, sealed=pictured(CLEAN.run))))
    left_out = analyse(raced(plant(CLEAN), CLEAN.run, Halving(keep=0.5, least=1)))
    (into / "raced.html").write_bytes(write_page(make_report(left_out)))
    (into / "comparison.html").write_bytes(write_comparison_page([first, second]))
    return into


@pytest.fixture
def served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """(address of the folder, paths asked for so far)."""
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            asked.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def browse(address: str, profile: Path, *flags: str) -> tuple[str, str]:
    """(what Chromium printed, what it logged)."""
    command = [CHROMIUM, *QUIET, f"--user-data-dir={profile}", *flags, address]
    done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    return done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def answers(served: str, folder: Path, profile: Path, *flags: str) -> dict[str, dict[str, Any]]:
    (folder / "harness.html").write_text(HARNESS % (list(WIDTHS), ["run.html", "comparison.html", "raced.html"], 2, 2))
    size = "--window-size=1400,1000"
    page, log = browse(f"{served}/harness.html", profile, size, "--virtual-time-budget=20000", "--dump-dom", *flags)
    found = re.search(r"<title>answers ([^<]+)</title>", page)
    assert found, log[-2000:]
    complaints = [line for line in log.splitlines() if "CONSOLE" in line]
    assert complaints == []
    read: dict[str, dict[str, Any]] = json.loads(base64.b64decode(found[1]))
    return read


def test_pages_fit_every_width_and_their_controls_work(
    served: tuple[str, list[str]], folder: Path, tmp_path: Path
) -> None:
    address, asked = served
    found = answers(address, folder, tmp_path)
    assert set(found) == {f"{page}.html {width}" for page in ("run", "comparison", "raced") for width in WIDTHS}
    for name, page in found.items():
        assert "failed" not in page, (name, page)
        assert page["wide"] == [], name
        assert page["overflow"] <= 0, name
        assert page["focused"], name
        assert page["sorted"] in ("ascending", "descending"), name
        assert page["twice"] == page["once"][::-1] != page["once"], name
        assert sorted(page["once"]) == sorted(page["before"]), name
        assert set(page["hidden"]) == {"0"}, name
        assert re.fullmatch(r"epoch 3\ntraining 0\.\d{4}\nvalidation 0\.\d{4}", page["tip"]), (name, page["tip"])
        assert page["background"] == "rgb(255, 255, 255)", name
        if not name.startswith("comparison"):
            assert page["tallest"] < 60, (name, "a note stands on two lines at most, not one word below the other")
    assert "View-only floor" in found["run.html 1280"]["last"]
    # Pictures of examples lie in the page, and shrink to its width.
    for width in WIDTHS:
        pictures = found[f"run.html {width}"]["pictures"]
        assert [natural for natural, _ in pictures] == [765] * 3
        assert all(200 < shown <= min(765, width) for _, shown in pictures)
    assert found["comparison.html 360"]["pictures"] == []
    assert set(asked) <= {"/harness.html", "/run.html", "/comparison.html", "/raced.html", "/favicon.ico"}


def test_dark_is_dark(served: tuple[str, list[str]], folder: Path, tmp_path: Path) -> None:
    found = answers(served[0], folder, tmp_path, "--blink-settings=preferredColorScheme=0")
    assert {page["background"] for page in found.values()} == {"rgb(20, 23, 27)"}


def test_prints_as_sheets(folder: Path, tmp_path: Path) -> None:
    """Two of the three examples fit on one."""

    def sheets(page: str) -> int:
        printed = tmp_path / f"{page}.pdf"
        flags = ("--no-pdf-header-footer", f"--print-to-pdf={printed}")
        browse((folder / page).as_uri(), tmp_path / "profile", *flags)
        data = printed.read_bytes()
        assert data.startswith(b"%PDF-")
        return len(re.findall(rb"/Type\s*/Page\b", data))

    without = sheets("bare.html")
    assert 3 <= without <= 12
    assert without + 1 <= sheets("run.html") <= without + 2


def test_heads_stand_on_every_sheet(folder: Path, tmp_path: Path) -> None:
    """Chromium paints a button on the first sheet only: what a repeated head says must not lie in one."""
    dom, _ = browse((folder / "run.html").as_uri(), tmp_path / "profile", "--dump-dom")
    heads = re.findall(r'<th scope="col"([^>]*)><button type="button">(.*?)</button>', dom)
    assert len(heads) > 20
    for attributes, text in heads:
        said = re.search(r'data-heading="([^"]*)"', attributes)
        assert said is not None, text
        assert said[1] == re.sub(r"<[^>]+>", "", text)
    assert "th[data-heading]::before { content: attr(data-heading); }" in dom


# The keys that a reader presses on drawings with a curve and on drawings of points; what the page then says.
KEYS = r"""<!doctype html><body><iframe width="1280" height="900" src="run.html"></iframe><script>
document.querySelector("iframe").onload = event => {
  const page = event.target.contentDocument, tip = page.querySelector(".tip");
  const press = key => { const sent = new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true});
    const untouched = page.activeElement.dispatchEvent(sent);
    const marked = page.querySelectorAll(".cursor.on, .hit.on").length;
    return {said: tip.hidden ? "" : tip.textContent, untouched, marked}; };
  const walk = (chart, keys) => { chart.focus();
    const found = {focused: page.activeElement === chart, pressed: keys.map(press)};
    page.activeElement.blur();
    return {...found, left: tip.hidden && !page.querySelector(".cursor.on, .hit.on")}; };
  const curve = page.querySelector("svg.chart[data-series]");
  const others = [...page.querySelectorAll("svg.chart[tabindex]:not([data-series])")];
  const points = others.find(chart => chart.querySelector(".hit"));
  const keys = ["ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft", "Tab", "ArrowRight", "Escape"];
  const answers = {curve: walk(curve, keys), last: walk(curve, ["ArrowLeft", "ArrowRight"]), points: walk(points, keys),
    tips: [...points.querySelectorAll(".hit")].map(hit => hit.getAttribute("data-tip"))};
  const code = c => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0");
  document.title = "answers " + btoa(JSON.stringify(answers).replace(/[^ -~]/g, code));
};
</script></body>"""


def test_drawings_are_read_with_the_arrow_keys(served: tuple[str, list[str]], folder: Path, tmp_path: Path) -> None:
    (folder / "keys.html").write_text(KEYS)
    page, log = browse(f"{served[0]}/keys.html", tmp_path, "--virtual-time-budget=20000", "--dump-dom")
    found = re.search(r"<title>answers ([^<]+)</title>", page)
    assert found, log[-2000:]
    read = json.loads(base64.b64decode(found[1]))

    curve = read["curve"]
    epochs = [pressed["said"].partition("\n")[0] for pressed in curve["pressed"]]
    # Right from the first epoch on, no further left than it; Tab is the browser's, Escape ends it.
    assert epochs == ["epoch 1", "epoch 2", "epoch 1", "epoch 1", "epoch 1", "epoch 2", ""]
    assert [pressed["untouched"] for pressed in curve["pressed"]] == [False] * 4 + [True, False, True]
    assert [pressed["marked"] for pressed in curve["pressed"]] == [1] * 6 + [0]
    # Left enters at the last epoch, and no key leads beyond it.
    assert [pressed["said"].partition("\n")[0] for pressed in read["last"]["pressed"]] == ["epoch 3", "epoch 3"]

    tips = read["tips"]
    assert len(tips) >= 2
    assert [pressed["said"] for pressed in read["points"]["pressed"]] == [
        *(tips[0], tips[1], tips[0], tips[0], tips[0], tips[1], "")
    ]
    assert [pressed["marked"] for pressed in read["points"]["pressed"]] == [1] * 6 + [0]
    assert all(walked["focused"] and walked["left"] for walked in (curve, read["last"], read["points"]))
