"""The live page in a real browser: what changes while it is open, and who can use it. Skipped without Chromium."""

import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from rustk.store import Store
from rustk.ui.hub import Hub
from rustk.ui.server import make_app
from rustk.vocabulary import names
from tests.ui.conftest import eventually
from tests.ui.growing import RUN, Growing

CHROMIUM = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), "")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on PATH (Debian: apt-get install chromium)")

PAGE = f"/runs/{RUN}"
AXE = """axe.run(document, {resultTypes: ["violations"]}).then(found =>
  found.violations.map(v => [v.id, v.nodes.slice(0, 3).map(n => n.html.slice(0, 160))]))"""
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
FOCUSED = "document.activeElement.getAttribute('aria-label')"


class Served:
    """The application on a port of its own, until it is stopped."""

    def __init__(self, hub: Hub, port: int = 0) -> None:
        listening = socket.create_server(("127.0.0.1", port))
        self.port: int = listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(make_app(hub), log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listening]}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def served(hub: Hub) -> Iterator[Served]:
    opened = Served(hub)
    yield opened
    opened.stop()


@pytest.fixture
def look(browser: Browser, served: Served) -> Iterator[Callable[..., Page]]:
    """Open a page; whatever the browser complains of fails the test at its end."""
    complaints: list[str] = []
    contexts = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    def opened(path: str, **options: object) -> Page:
        context = browser.new_context(**options)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{served.url}{path}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def until(page: Page, expression: str) -> None:
    """Wait until this is true in the page, whose own policy forbids Playwright's way of waiting for it."""
    eventually(lambda: page.evaluate(expression))


def cell(trial: int, fold: int) -> str:
    return f"#trial-{trial} td a[href$='/fold/{fold}']"


def test_a_run_grows_while_the_page_is_open(look: Callable[..., Page], store: Store) -> None:
    grown = Growing(store, trials=60)
    grown.finish(0, 0)
    page = look(PAGE, viewport={"width": 1000, "height": 500})
    until(page, f"document.querySelector(\"{cell(0, 0)}\").textContent === '0.800'")
    page.evaluate("window.here = true")
    page.focus(cell(40, 1))
    page.evaluate("window.scrollBy(0, 120)")
    top = page.evaluate("document.activeElement.getBoundingClientRect().top")
    grown.finish(40, 1, level=0.9)
    grown.finish(1, 0, level=0.7)
    until(page, f"document.querySelector(\"{cell(40, 1)}\").textContent === '0.900'")
    until(page, "document.title.startsWith('2%') || document.title.startsWith('3%')")
    assert page.evaluate("window.here") is True  # no reload
    assert page.evaluate(FOCUSED) == "trial 40 fold 1: done 0.900"
    assert abs(page.evaluate("document.activeElement.getBoundingClientRect().top") - top) < 60
    until(page, "document.getElementById('said').textContent.includes('of 120 folds done')")
    assert "trial 40" in page.text_content("tbody tr#best-40") or page.is_visible("tr#best-40")
    label = page.get_attribute("svg.chart.wide", "aria-label") or ""
    assert "trial 40 reaches 0.9000 at epoch 4" in label


def test_a_fold_that_fails_is_announced(look: Callable[..., Page], grown: Growing) -> None:
    with grown.at_work() as runner:
        runner.tell("started", 0, 0)
        page = look(PAGE)
        page.wait_for_selector("td.state-running")
        grown.fail(0, 0, "the shard is torn")
        runner.tell("failed", 0, 0, exit_code=65, message="the shard is torn")
        page.wait_for_selector("td.state-failed")
        until(page, "document.getElementById('said').textContent.startsWith('1 fold failed')")
        assert "exit code 65: the shard is torn" in page.inner_text("#failed-0-0")
        page.click("#failed-0-0 a")
        page.wait_for_selector(".chip.state-failed")
        until(page, "document.querySelector('.log').textContent.includes('failed exit_code=65')")


def test_the_matrix_is_one_tab_stop_that_arrows_move_in(look: Callable[..., Page], grown: Growing) -> None:
    page = look(PAGE)
    page.wait_for_selector("table.matrix[role=grid]")
    assert page.evaluate("document.querySelectorAll(\"table.matrix a[tabindex='0']\").length") == 1
    page.focus("nav[aria-label='Which trials'] li:last-child a")
    moves = ["Tab", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowLeft", "PageUp", "End"]
    places = [
        "0 fold 0",
        "0 fold 1",
        "0 fold 1",
        "1 fold 1",
        "2 fold 1",
        "2 fold 1",
        "2 fold 0",
        "0 fold 0",
        "0 fold 1",
    ]
    moves += ["Home", "Control+End", "Control+Home", "PageDown"]
    places += ["0 fold 0", "2 fold 1", "0 fold 0", "2 fold 0"]
    for move, place in zip(moves, places, strict=True):
        page.keyboard.press(move)
        assert page.evaluate(FOCUSED) == f"trial {place}: missing", move
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED) == "trial 2 fold 0: missing"
    grown.finish(2, 0)
    until(page, "document.activeElement.textContent === '0.800'")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{PAGE}/trial/2/fold/0")
    page.wait_for_selector("svg.chart")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_rule_of_accessibility_is_violated(look: Callable[..., Page], grown: Growing, scheme: str) -> None:
    package = find_spec("axe_core_python")
    assert package is not None
    assert package.origin is not None
    axe = (Path(package.origin).parent / "axe.min.js").read_text()
    grown.finish(0, 0)
    grown.finish(1, 0)
    grown.fail(2, 0, "the shard is torn")
    grown.tasks.remove((2, 0))
    with grown.at_work() as runner:
        runner.tell("started", 0, 1)
        runner.say("a line")
        for path, there in (("/", "tr .num .below"), (PAGE, "svg.chart"), (f"{PAGE}/trial/0/fold/1", ".log")):
            page = look(path, color_scheme=scheme)
            page.wait_for_selector(there)
            page.evaluate(axe)
            assert page.evaluate(AXE) == [], path
            dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
            assert dark is (scheme == "dark")


def test_pages_fit_a_phone(look: Callable[..., Page], store: Store) -> None:
    grown = Growing(store, trials=3, folds=12)
    grown.finish(0, 0)
    grown.fail(1, 1, "a_word_that_is_longer_than_a_phone_is_wide" * 5)
    store.write("runs/damaged-run-of-a-long-name/study.json", b"{")
    for path, there in (
        ("/", "tr .num .below"),
        (PAGE, "svg.chart"),
        (f"{PAGE}/trial/0/fold/0", "svg.chart"),
        (f"{PAGE}/trial/1/fold/1", ".chip"),
    ):
        page = look(path, viewport={"width": 360, "height": 700})
        page.wait_for_selector(there, state="attached")
        assert page.evaluate(OVERFLOW) <= 0, path


def test_a_server_that_is_gone_is_told_and_forgotten_when_it_is_back(
    browser: Browser, hub: Hub, grown: Growing
) -> None:
    served = Served(hub)
    page = browser.new_page()
    page.goto(f"{served.url}{PAGE}")
    page.wait_for_selector("table.matrix")
    served.stop()
    until(page, "document.getElementById('gone').textContent.startsWith('The server does not answer')")
    assert page.is_visible("table.matrix")
    again = Served(hub, served.port)
    until(page, "document.getElementById('gone').textContent === ''")
    page.close()
    again.stop()


def test_a_run_that_is_deleted_while_its_page_is_open(browser: Browser, served: Served, store: Store) -> None:
    Growing(store)
    page = browser.new_page()  # a 404 stands in its console
    page.goto(f"{served.url}{PAGE}")
    page.wait_for_selector("table.matrix")
    for entry in store.list(names.run_prefix(RUN)):
        store.delete(entry.key)
    until(page, "document.querySelector('h1').textContent === 'No such run'")
    assert "it may have been deleted" in page.inner_text("main")
    page.close()
