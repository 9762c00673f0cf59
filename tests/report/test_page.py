"""The page as a file: well-formed, self-contained, accessible, honest about what it lacks."""

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

import rustk.report.page
from rustk.report.analysis import Analysis, analyse
from rustk.report.page import write_comparison_page, write_page
from rustk.report.report import make_report
from rustk.report.tables import comparison
from tests.report.planted import CLEAN, VIEW_ONLY, aggregated

GRID = tuple({"learning_rate": 10.0**-a, "epsilon": 10.0**-b} for a in range(1, 5) for b in range(1, 9))
WITHOUT_DATA = ("predictions", "folds", "index", "metadata")
VOID = {"meta", "input", "img", "br"}


class Page(HTMLParser):
    """What a page holds; fails on tags that don't match."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.feed(page.decode())
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"{tag}: an attribute stands there twice"
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open and "script" not in self.open:
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def clean() -> Analysis:
    return analyse(aggregated(CLEAN))


@pytest.fixture(scope="module")
def flawed() -> Analysis:
    plan = replace(VIEW_ONLY, split_patients=True, missing=((1, 2),), diverged=((1, 1, 3),), weights="random")
    return analyse(aggregated(replace(plan, trials=GRID[:3])))


@pytest.fixture(scope="module")
def bare() -> Analysis:
    return analyse(aggregated(replace(CLEAN, run="bare-1", trials=GRID, folds=6, without=WITHOUT_DATA)))


@pytest.fixture(scope="module", params=["clean", "flawed", "bare", "compared"])
def page(request: pytest.FixtureRequest, clean: Analysis, flawed: Analysis, bare: Analysis) -> bytes:
    if request.param == "compared":
        table = comparison([clean.aggregate, flawed.aggregate, bare.aggregate])
        return write_comparison_page([clean, flawed, bare], table)
    chosen: dict[str, Analysis] = {"clean": clean, "flawed": flawed, "bare": bare}
    return write_page(chosen[request.param])


def test_page_loads_nothing(page: bytes) -> None:
    found = Page(page)
    for tag, attributes in found.elements:
        for name in ("src", "href", "action", "xlink:href", "srcset"):
            target = attributes.get(name, "#")
            assert target.startswith(("#", "data:")), f"{tag} {name}={target[:60]}"
    source = page.decode()
    assert "url(" not in source
    assert "@import" not in source
    assert not re.search(r"fetch\(|XMLHttpRequest|WebSocket|sendBeacon", source)
    assert "default-src 'none'" in source


def test_page_is_accessible(page: bytes) -> None:
    found = Page(page)
    ids = Counter(attributes["id"] for _, attributes in found.elements if "id" in attributes)
    assert [name for name, count in ids.items() if count > 1] == []
    for _, attributes in found.elements:
        assert set(attributes.get("aria-labelledby", "").split()) <= set(ids)
    assert all(attributes["href"].removeprefix("#") in ids for attributes in found.all("a"))
    assert found.all("html")[0]["lang"] == "en"
    assert all(attributes.get("alt") for attributes in found.all("img"))
    assert all(a.get("aria-label") or a.get("aria-hidden") for a in found.all("svg"))
    assert len(found.all("caption")) == len(found.all("table"))
    assert all(attributes.get("scope") in ("col", "row") for attributes in found.all("th"))
    assert len(found.all("h1")) == len(found.all("main")) == 1
    levels = [int(tag[1]) for tag, _ in found.elements if re.fullmatch(r"h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_clean_run_leads_with_its_verdict(clean: Analysis) -> None:
    words = Page(write_page(clean)).words
    assert "Read this first" not in words
    assert "random" not in words.replace("random weights", "")
    assert clean.choice is not None
    assert clean.best is not None
    corrected = clean.choice.corrected.corrected
    assert f"it is {corrected.value:.3f} (95 % interval {corrected.low:.3f} to {corrected.high:.3f})" in words
    assert f"in-view AUROC {clean.best['auroc_in_view'].value:.3f}" in words
    assert "None of 138 patients stands on both sides of a split." in words
    assert "Above what the view alone tells" in words
    assert "Not for clinical use" in words


def test_flaws_come_before_the_verdict(flawed: Analysis) -> None:
    page = write_page(flawed)
    found, source = Page(page), page.decode()
    first = source.index("Read this first: the audit found 4 things")
    assert first < source.index('class="verdict')
    for finding in flawed.flagged:
        assert finding.severity in ("fault", "warning")
        assert first < source.index(finding.sentence[:40]) < source.index('class="verdict')
    assert {finding.key for finding in flawed.flagged} == {"patients", "view-shortcut", "missing", "diverged"}
    assert "fold 2: missing" in found.words
    assert "(diverged at epoch 3)" in found.words
    assert "3 of 4" in found.words


def test_random_weights_are_said_on_every_page_and_sheet(flawed: Analysis, clean: Analysis) -> None:
    source = write_page(flawed).decode()
    assert source.count("weights: random — not a scientific result") >= 3
    assert '@top-center { content: "weights: random — not a scientific result"' in source
    assert '<div class="banner" role="note">weights: random' in source
    assert 'class="banner"' not in write_page(clean).decode()


def test_run_without_data_says_what_it_lacks(bare: Analysis) -> None:
    words = Page(write_page(bare)).words
    assert "What could not be computed, and why" in words
    assert "this run lacks folds.parquet and the dataset's index.parquet" in words
    assert "Not measured against the view floor" in words
    assert "The histories don't record what was in effect for learning_rate and epsilon" in words
    assert "What the best trial's predictions are worth" not in words


def test_192_folds_stay_small_and_have_a_panel_each(bare: Analysis) -> None:
    page = write_page(bare)
    assert len(page) < 2_000_000
    found = Page(page)
    assert len(found.all("details")) == 32
    assert len([a for a in found.all("path") if a.get("data-fold")]) == 33 * 2 * 2 * 6  # with the best trial's own


def test_same_analysis_same_bytes(clean: Analysis) -> None:
    assert write_page(clean) == write_page(clean)
    assert b"Written 1 May" in write_page(clean, written="1 May")


def test_figures_for_print_are_embedded_with_their_words(clean: Analysis) -> None:
    report = make_report(clean.aggregate)
    files = report.files()
    images = Page(write_page(clean, report.figures, files)).all("img")
    assert len(images) == len(report.figures)
    assert all(image["src"].startswith("data:image/png;base64,iVBOR") for image in images)
    assert [image["alt"] for image in images] == [figure.alt for figure in report.figures]


def test_names_that_would_be_markup_are_text() -> None:
    plan = replace(CLEAN, title='<script>alert("x")</script> & "so"', run='"};<b>', without=WITHOUT_DATA)
    page = write_page(analyse(aggregated(plan)))
    assert len(Page(page).all("script")) == 1
    assert b"<b>" not in page
    assert '<script>alert("x")</script> & "so"' in Page(page).words


def test_comparison_has_every_pair_and_its_reasons(clean: Analysis, flawed: Analysis, bare: Analysis) -> None:
    table = comparison([clean.aggregate, flawed.aggregate, bare.aggregate])
    words = Page(write_comparison_page([clean, flawed, bare], table)).words
    for first, second in ((CLEAN.run, VIEW_ONLY.run), (CLEAN.run, "bare-1"), (VIEW_ONLY.run, "bare-1")):
        assert f"{first} minus {second}" in words
    assert "no test over folds: 4 folds of one run, 6 of the other" in words
    assert "Table 1.3." in words
    assert "Read this first: the audit flags 1 of 3 runs" in words


def test_colours_have_contrast() -> None:
    """WCAG 2.2 AA: 4.5 to 1 for text, in light, dark and print."""
    style = (Path(rustk.report.page.__file__).parent / "templates" / "style.css").read_text()
    schemes = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]+)", block)) for block in re.findall(r":root \{(.*?)\}", style, re.S)
    ]
    assert len(schemes) == 3
    for scheme in schemes:
        pairs = [(ink, "paper") for ink in ("ink", "muted", "link", "floor", "train", "val")]
        pairs += [(kind, f"{kind}-paper") for kind in ("fault", "warning", "note", "clean")]
        pairs += [("ink", f"{kind}-paper") for kind in ("fault", "warning", "note", "clean")] + [("ink", "panel")]
        for ink, paper in pairs:
            assert contrast(scheme[ink], scheme[paper]) >= 4.5, (ink, paper, scheme[ink], scheme[paper])


def contrast(first: str, second: str) -> float:
    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
        parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)
