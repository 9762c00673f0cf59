"""The page as a file: well-formed, self-contained, accessible, honest about what it lacks."""

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

import rustk.report.page
from rustk.report.evaluation.analysis import analyse
from rustk.report.page.comparison import write_comparison_page
from rustk.report.page.report import Report, make_report
from rustk.report.page.run import write_page
from tests.report.final_models import pictured
from tests.report.planted import CLEAN, ODD_RUN, SINGLE_RUN, VIEW_ONLY, Plan, aggregated

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
        assert len({name for name, _ in attrs}) == len(attrs), f"{tag}: an attribute appears twice"
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


def report_of(plan: Plan) -> Report:
    return make_report(analyse(aggregated(plan)))


@pytest.fixture(scope="module")
def clean() -> Report:
    return report_of(CLEAN)


@pytest.fixture(scope="module")
def flawed() -> Report:
    plan = replace(VIEW_ONLY, split_patients=True, missing=((1, 2),), diverged=((1, 1, 3),), weights="random")
    return report_of(replace(plan, trials=GRID[:3]))


@pytest.fixture(scope="module")
def bare() -> Report:
    return report_of(replace(CLEAN, run="bare-1", trials=GRID, folds=6, without=WITHOUT_DATA))


@pytest.fixture(scope="module", params=["clean", "flawed", "bare", "odd", "single", "compared"])
def page(request: pytest.FixtureRequest, clean: Report, flawed: Report, bare: Report) -> bytes:
    if request.param == "compared":
        return write_comparison_page([clean, flawed, bare])
    drawn = {"odd": replace(ODD_RUN, epochs=2), "single": replace(SINGLE_RUN, epochs=2)}
    if request.param in drawn:
        return write_page(report_of(drawn[request.param]))
    return write_page({"clean": clean, "flawed": flawed, "bare": bare}[request.param])


def test_page_loads_nothing(page: bytes) -> None:
    found = Page(page)
    for tag, attributes in found.elements:
        for name in ("src", "href", "action", "xlink:href", "srcset"):
            target = attributes.get(name, "#")
            if tag == "a" and name == "href":  # a link is followed by a reader only: to its own files beside the page
                files = r"#[\w-]+|(tables|figures|methods)/[\w-]+\.(csv|md|tex|png|svg|pdf|bib)"
                assert re.fullmatch(files, target), target
                continue
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
    inside = [attributes["href"][1:] for attributes in found.all("a") if attributes["href"].startswith("#")]
    assert set(inside) <= set(ids)
    assert "" not in re.findall(r"<th[^>]*>(.*?)</th>", page.decode(), re.S)
    assert found.all("html")[0]["lang"] == "en"
    assert all(attributes.get("alt") for attributes in found.all("img"))
    assert all(a.get("aria-label") or a.get("aria-hidden") for a in found.all("svg"))
    assert len(found.all("caption")) == len(found.all("table"))
    assert all(attributes.get("scope") in ("col", "row") for attributes in found.all("th"))
    assert len(found.all("h1")) == len(found.all("main")) == 1
    levels = [int(tag[1]) for tag, _ in found.elements if re.fullmatch(r"h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_clean_run_leads_with_its_verdict(clean: Report) -> None:
    words = Page(write_page(clean)).words
    analysis = clean.analysis
    assert "Read this first" not in words
    assert "random" not in words.replace("random weights", "")
    assert analysis.choice is not None
    corrected = analysis.choice.corrected.corrected
    assert f"it is {corrected.value:.3f} (95 % interval {corrected.low:.3f} to {corrected.high:.3f})" in words
    assert "None of 138 patients stands on both sides of a split." in words
    assert "AUROC: better than knowing the view Within a view: " in words
    assert "Not for clinical use" in words


def test_flaws_come_before_the_verdict(flawed: Report) -> None:
    page = write_page(flawed)
    found, source = Page(page), page.decode()
    first = source.index("Read this first: the audit found 4 things")
    assert first < source.index('class="verdict')
    for finding in flawed.analysis.flagged:
        assert finding.severity in ("fault", "warning")
        assert first < source.index(finding.sentence[:40]) < source.index('class="verdict')
    assert {finding.key for finding in flawed.analysis.flagged} == {"patients", "view-shortcut", "missing", "diverged"}
    assert "fold 2: missing" in found.words
    assert "(diverged at epoch 3)" in found.words
    assert "3 of 4" in found.words


def test_random_weights_are_said_on_every_page_and_sheet(flawed: Report, clean: Report) -> None:
    source = write_page(flawed).decode()
    assert source.count("weights: random — not a scientific result") >= 3
    assert '@top-center { content: "weights: random — not a scientific result"' in source
    assert '<div class="banner" role="region" aria-label="Warning">weights: random' in source
    assert 'class="banner"' not in write_page(clean).decode()


def test_run_without_data_says_what_it_lacks(bare: Report) -> None:
    words = Page(write_page(bare)).words
    assert "What could not be computed, and why" in words
    assert "this run lacks folds.parquet and the dataset's index.parquet" in words
    assert "AUROC: not compared with the floor" in words
    assert "The histories don't record what was in effect for learning_rate and epsilon" in words
    assert "What the best trial's predictions are worth" not in words


def test_192_folds_stay_small_and_have_a_panel_each(bare: Report) -> None:
    page = write_page(bare)
    assert len(page) < 2_000_000
    found = Page(page)
    assert len(found.all("details")) == 32
    # Two metrics of two splits in 6 folds for each trial and the best; the AUROC for each of nine examples.
    assert len([a for a in found.all("path") if a.get("data-fold")]) == 33 * 2 * 2 * 6 + 9 * 2 * 6


def test_same_analysis_same_bytes(clean: Report) -> None:
    assert write_page(clean) == write_page(clean)
    assert b"Written 1 May" in write_page(clean, written="1 May")


def test_every_table_and_chart_links_to_its_files(clean: Report) -> None:
    """Fault 20: nothing led from the page to the CSV, TeX, PDF and SVG beside it."""
    found = Page(write_page(clean))
    targets = {attributes["href"] for attributes in found.all("a")}
    for name in clean.tables:
        assert {f"tables/{name}.{kind}" for kind in ("csv", "md", "tex")} <= targets, name
    for name in clean.charts:
        assert {f"figures/{name}.{kind}" for kind in ("png", "svg", "pdf")} <= targets, name


def test_each_row_of_a_trial_leads_to_its_panel(clean: Report) -> None:
    found = Page(write_page(clean))
    panels = {attributes["id"] for attributes in found.all("details")}
    assert {f"trial-{trial}" for trial in (0, 1)} == panels
    assert {f"#{panel}" for panel in panels} <= {attributes["href"] for attributes in found.all("a")}


def test_the_guidelines_give_the_chosen_trials_hyperparameters(clean: Report) -> None:
    """Fault 4: row 12c gave the study's defaults, and is the row that authors paste."""
    row = next(row.record for row in clean.tables["guidelines"].rows if row.record["item"].startswith("Model, initial"))
    best = clean.analysis.aggregate.best
    assert row["tripod"] == "12c"
    assert f"Chosen trial {best['trial']}: batch size {best['batch_size']}" in row["filled"]
    assert f"learning rate 1e-{3 if best['trial'] == 0 else 2}" in row["filled"]


@pytest.mark.parametrize(
    ("asked", "missing", "imbalance"),
    [
        ({"objective": "onehot"}, "are trained on as absent labels and left out of kappa", "no weights."),
        (
            {"objective": "masked", "class_weights": "balanced"},
            "are left out of the loss, and left out of kappa",
            "no resampling, balanced class weights.",
        ),
        ({"objective": "own"}, "Unscored cortices are left out of kappa", "no weights."),
    ],
)
def test_the_guidelines_tell_the_objective_s_training(asked: dict[str, str], missing: str, imbalance: str) -> None:
    report = make_report(analyse(aggregated(replace(CLEAN, trials=(asked,)))))
    filled = {row.record["item"]: row.record["filled"] for row in report.tables["guidelines"].rows}
    assert missing in filled["Missing values"]
    assert filled["Class imbalance"].endswith(imbalance)


def test_dates_of_the_run_stand_in_its_head_and_provenance(clean: Report) -> None:
    words = Page(write_page(clean)).words
    assert "planned 2024-05-01 00:00" in words
    assert "2024-05-01 00:00 UTC" in words


def test_an_instrument_is_told_in_its_own_words() -> None:
    words = Page(write_page(report_of(replace(ODD_RUN, epochs=2)))).words
    assert "Places: calibration and confusion" in words
    assert "odd total" in words
    for foreign in ("cortex", "cortices", "RUST", "18 labels", "lateral"):
        assert foreign not in words, foreign
    single = Page(write_page(report_of(replace(SINGLE_RUN, epochs=2)))).words
    assert "Class-frequency floor" in single
    assert "View-only" not in single
    assert "cort" not in single


def test_a_site_has_as_many_scores_as_its_own(clean: Report) -> None:
    page = write_page(report_of(replace(ODD_RUN, epochs=2))).decode()
    matrices = re.findall(r'<table class="confusion">.*?</table>', page, re.S)
    assert [re.findall(r'<th scope="row">(\d+)</th>', matrix) for matrix in matrices] == [
        ["0", "1", "2"],
        ["1", "2", "3", "5"],
        ["0", "1"],
    ]
    assert [matrix.count("<td") for matrix in matrices] == [9, 16, 4]


def test_calibrated_random_weights_are_random(clean: Report) -> None:
    source = write_page(report_of(replace(CLEAN, weights="calibrated-random", without=WITHOUT_DATA))).decode()
    assert "weights: calibrated random — not a scientific result" in source


def test_no_page_speaks_of_resampled_patients_where_none_is_known() -> None:
    report = report_of(replace(CLEAN, patients=40, folds=2, known_patients=False))
    words = Page(write_page(report)).words
    best = report.analysis.best
    assert best is not None
    assert f"at epoch {report.analysis.epoch}: {best.images} images, each predicted by the fold" in words
    assert "95 % percentiles of 1,000 resamples of images" in words
    assert "percentile intervals by bootstrap over images" in words
    assert "on the same resamples of the images the difference is" in words
    assert "Over 500 resamples of the images, the choice fell on" in words
    assert not re.search(r"(resamples|bootstrap) (of|over) (the )?patients", words)
    other = report_of(replace(CLEAN, run="other-1", patients=40, folds=2, known_patients=False, signal=0.5))
    compared = Page(write_comparison_page([report, other])).words
    assert "by paired bootstrap over images" in compared
    assert "AUROC, over images" in compared
    assert "over patients" not in compared


def test_blocks_that_stayed_random_are_said_on_every_page() -> None:
    report = report_of(replace(CLEAN, weights="random", model=(("trainable", 2),), without=WITHOUT_DATA))
    assert "weights: random — not a scientific result" in write_page(report).decode()
    assert "backbone with random weights, frozen but for its last 2 blocks" in report.tables["metrics"].notes
    model = next(row.record for row in report.tables["guidelines"].rows if row.record["item"].startswith("Model, init"))
    assert "random weights (not a scientific result), backbone last 2 blocks trained" in model["filled"]


def test_names_that_would_be_markup_are_text() -> None:
    plan = replace(CLEAN, title='<script>alert("x")</script> & "so"', study='"};<b>', without=WITHOUT_DATA)
    page = write_page(report_of(plan))
    assert len(Page(page).all("script")) == 1
    assert b"<b>" not in page
    assert '<script>alert("x")</script> & "so"' in Page(page).words


def test_comparison_has_every_pair_and_its_reasons(clean: Report, flawed: Report, bare: Report) -> None:
    words = Page(write_comparison_page([clean, flawed, bare])).words
    for first, second in ((CLEAN.run, VIEW_ONLY.run), (CLEAN.run, "bare-1"), (VIEW_ONLY.run, "bare-1")):
        assert f"{first} minus {second}" in words
    assert "no test over folds: 4 folds of one run, 6 of the other" in words
    assert "Read this first: the audit flags 1 of 3 runs" in words


def test_colours_have_contrast() -> None:
    """WCAG 2.2 AA: 4.5 to 1 for text, in light, dark and print."""
    style = (Path(str(rustk.report.page.__file__)).parent / "templates" / "style.css").read_text()
    schemes = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]+)", block)) for block in re.findall(r":root \{(.*?)\}", style, re.S)
    ]
    assert len(schemes) == 3
    for scheme in schemes:
        pairs = [(ink, "paper") for ink in ("ink", "muted", "link", "floor", "train", "val")]
        pairs += [(kind, f"{kind}-paper") for kind in ("fault", "warning", "note", "clean")]
        pairs += [("ink", f"{kind}-paper") for kind in ("fault", "warning", "note", "clean")] + [
            ("ink", "panel"),
            ("ink", "shade"),
        ]
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


def test_phantom_data_are_said_on_every_page_and_sheet(clean: Report) -> None:
    aggregate = clean.analysis.aggregate
    dataset = aggregate.results.dataset
    assert dataset is not None
    drawn = replace(aggregate.results, dataset=dataset.model_copy(update={"source": {"kind": "phantom"}}))
    analysis = replace(clean.analysis, aggregate=replace(aggregate, results=drawn))
    source = write_page(replace(clean, analysis=analysis)).decode()
    assert '<div class="banner" role="region" aria-label="Warning">phantom data' in source
    assert '@top-center { content: "phantom data' in source


def test_examples_speak_of_shuffled_scores_only_where_there_are_maps_of_them(clean: Report) -> None:
    for controlled in (True, False):
        page = write_page(replace(clean, sealed=pictured(CLEAN.run, controlled=controlled))).decode()
        assert page.count('<img src="data:image/png;base64,') == 3
        assert ("Below each stands the map of a head that was trained on shuffled scores" in page) == controlled
        assert ("Correlation with shuffled" in page) == controlled
        assert ("has no map of shuffled scores" in page) == (not controlled)
