from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.instrument import Instrument, describe_scores, instrument_names, load_instrument
from rustk.vocabulary.schemas import index_schema, predictions_schema
from tests.instruments import MRUST, ODD, SINGLE

SHIPPED = ("brixia", "kellgren-lawrence", "mrust", "rush", "rust")


def images_of(instrument: Instrument) -> st.SearchStrategy[tuple[str, dict[str, int | None]]]:
    """Views with scores that the instrument allows, every site named."""

    def of_view(view: str) -> st.SearchStrategy[tuple[str, dict[str, int | None]]]:
        scores = {}
        for site in instrument.sites:
            values = st.sampled_from(site.scores) if instrument.shows(view, site.name) else st.none()
            scores[site.name] = st.none() | values if instrument.unscored else values
        return st.tuples(st.just(view), st.fixed_dictionaries(scores))

    return st.sampled_from(instrument.views).flatmap(of_view)


def test_the_encoding_of_mrust_is_the_thesis_s() -> None:
    """Written out here and nowhere else."""
    assert MRUST.labels == (
        "view_ap",
        "view_lateral",
        *("medial_1", "medial_2", "medial_3", "medial_4"),
        *("lateral_1", "lateral_2", "lateral_3", "lateral_4"),
        *("anterior_1", "anterior_2", "anterior_3", "anterior_4"),
        *("posterior_1", "posterior_2", "posterior_3", "posterior_4"),
    )
    scores = {"medial": 2, "lateral": None, "anterior": 4, "posterior": 1}
    assert MRUST.encode("lateral", scores) == (0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0)
    assert MRUST.score_columns == slice(2, 18)
    assert MRUST.site_columns == (slice(2, 6), slice(6, 10), slice(10, 14), slice(14, 18))
    assert MRUST.total_range == (4, 16)
    assert [(threshold.at, threshold.means) for threshold in MRUST.thresholds] == [(13, "union")]


def test_a_site_that_is_not_named_is_unscored() -> None:
    assert MRUST.encode("ap", {"medial": 2, "lateral": None}) == (1, 0, 0, 1, 0, 0, *[0] * 12)


def test_a_single_view_has_no_label() -> None:
    assert SINGLE.labels == ("grade_0", "grade_1", "grade_2", "grade_3", "grade_4")
    assert SINGLE.encode("frontal", {"grade": 0}) == (1, 0, 0, 0, 0)
    assert SINGLE.decode((0, 0, 0, 0, 1)) == ("frontal", {"grade": 4})
    assert SINGLE.score_columns == slice(0, 5)


def test_scales_of_different_lengths() -> None:
    assert ODD.labels == (
        *("view_a", "view_b", "view_c"),
        *("rim_0", "rim_1", "rim_2"),
        *("core_1", "core_2", "core_3", "core_5"),
        *("seam_0", "seam_1"),
    )
    assert ODD.site_columns == (slice(3, 6), slice(6, 10), slice(10, 12))
    assert ODD.encode("b", {"rim": 2, "core": 5}) == (0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0)
    assert ODD.total_range == (1, 8)
    assert not ODD.shows("a", "seam")
    assert ODD.shows("a", "core")


@pytest.mark.parametrize("instrument", [MRUST, SINGLE, ODD], ids=lambda instrument: instrument.name)
@given(data=st.data())
def test_decoding_undoes_encoding(instrument: Instrument, data: st.DataObject) -> None:
    view, scores = data.draw(images_of(instrument))
    values = instrument.encode(view, scores)
    assert len(values) == len(instrument.labels)
    assert set(values) <= {0, 1}
    assert sum(values) == bool(instrument.view_labels) + sum(score is not None for score in scores.values())
    assert instrument.decode(values) == (view, scores)


@pytest.mark.parametrize("instrument", [MRUST, SINGLE, ODD], ids=lambda instrument: instrument.name)
@given(data=st.data())
def test_any_values_decode_or_are_refused(instrument: Instrument, data: st.DataObject) -> None:
    values = tuple(data.draw(st.lists(st.integers(0, 1), min_size=0, max_size=len(instrument.labels) + 1)))
    try:
        view, scores = instrument.decode(values)
    except ValueError:
        return
    assert instrument.encode(view, scores) == values


@pytest.mark.parametrize(
    ("instrument", "view", "scores", "message"),
    [
        (MRUST, "oblique", {}, "view 'oblique': expected ap or lateral"),
        (MRUST, "ap", {"dorsal": 1}, "cortex 'dorsal': expected medial, lateral, anterior or posterior"),
        (MRUST, "ap", {"medial": 5}, "medial score 5: expected 1 to 4 or nothing"),
        (MRUST, "ap", {"medial": 0}, "medial score 0: expected 1 to 4"),
        (SINGLE, "frontal", {}, "grade has no score: expected 0 to 4"),
        (SINGLE, "frontal", {"grade": None}, "grade has no score"),
        (ODD, "b", {"core": 4}, "core score 4: expected 1, 2, 3 or 5 or nothing"),
        (ODD, "a", {"seam": 1}, "seam score 1: the view a does not show it: expected nothing"),
        (ODD, "a", {"grade": 1}, "place 'grade': expected rim, core or seam"),
    ],
)
def test_impossible_labels(instrument: Instrument, view: str, scores: dict[str, int | None], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        instrument.encode(view, scores)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0,) * 17, "17 values: expected 18"),
        ((0,) * 18, "0 views are set: expected one of view_ap, view_lateral"),
        ((1, 1) + (0,) * 16, "2 views are set"),
        ((1, 0, 1, 1) + (0,) * 14, r"cortex medial has 2 scores \(1 and 2\): expected at most one"),
    ],
)
def test_impossible_encodings(values: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MRUST.decode(values)


def test_the_columns_of_files_follow_the_instrument() -> None:
    assert [name for name in index_schema(ODD).names if name in ODD.site_names] == ["rim", "core", "seam"]
    assert predictions_schema(ODD).names == ["epoch", "sample_id", *ODD.labels]
    assert predictions_schema(MRUST).names[2:] == list(MRUST.labels)


def test_the_shipped_instruments() -> None:
    assert instrument_names() == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_instrument_is_whole(name: str) -> None:
    instrument = load_instrument(name)
    assert instrument.name == name
    assert instrument.source
    assert Instrument.model_validate_json(instrument.model_dump_json(), strict=True) == instrument


@pytest.mark.parametrize(
    ("name", "views", "sites", "labels", "total"),
    [
        ("brixia", 1, 6, 24, (0, 18)),
        ("kellgren-lawrence", 1, 1, 5, (0, 4)),
        ("mrust", 2, 4, 18, (4, 16)),
        ("rush", 2, 10, 32, (10, 30)),
        ("rust", 2, 4, 14, (4, 12)),
    ],
)
def test_what_the_literature_says(name: str, views: int, sites: int, labels: int, total: tuple[int, int]) -> None:
    instrument = load_instrument(name)
    assert (len(instrument.views), len(instrument.sites), len(instrument.labels)) == (views, sites, labels)
    assert instrument.total_range == total
    assert (instrument.total is None) == (name == "kellgren-lawrence")


def test_scores_in_words() -> None:
    assert describe_scores((1, 2, 3, 4)) == "1 to 4"
    assert describe_scores((0, 1)) == "0 to 1"
    assert describe_scores((1, 2, 3, 5)) == "1, 2, 3 or 5"


def test_titles_do_not_change_the_encoding() -> None:
    assert MRUST.model_copy(update={"title": "Other"}).encoding() == MRUST.encoding()
    assert MRUST.encoding() != load_instrument("rust").encoding()


WHOLE = "{name: mine, title: Mine, views: [front], sites: [{name: joint, scores: [0, 1, 2]}]"


def test_an_instrument_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(WHOLE + "}")
    instrument = load_instrument(str(path))
    assert instrument.labels == ("joint_0", "joint_1", "joint_2")
    assert instrument.words.sites == "sites"


def test_the_name_of_an_instrument_of_rustks_means_that_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(WHOLE.replace("mine", "mrust") + "}")
    with pytest.raises(BadStudy, match=r"mine\.yaml: name = 'mrust': rustk has another instrument of this name"):
        load_instrument(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "null: expected an object with the fields name, title"),
        ("[1]", r"\[1\]: expected an object with the fields name, title"),
        ("{name: mine", "line 1: not YAML"),
        ("{name: mine, title: Mine, views: [front]}", "sites: missing: expected a list"),
        ("{name: Mine, title: Mine, views: [front], sites: [{name: j, scores: [0, 1]}]}", "name = 'Mine': expected"),
        ("{name: m, title: M, views: [], sites: [{name: j, scores: [0, 1]}]}", r"views = \[\]: "),
        ("{name: m, title: M, views: [a, a], sites: [{name: j, scores: [0, 1]}]}", "views: a is given twice"),
        ("{name: m, title: M, views: [A b], sites: [{name: j, scores: [0, 1]}]}", "views: 'A b': expected lower-case"),
        ("{name: m, title: M, views: [a], sites: [{name: j, scores: [0]}]}", r"sites\.0\.scores"),
        ("{name: m, title: M, views: [a], sites: [{name: j, scores: [1, 0]}]}", r"sites\.0\.scores = \[1, 0\]: exp"),
        ("{name: m, title: M, views: [a], sites: [{name: j, scores: [1, 1]}]}", r"sites\.0\.scores .*each once"),
        ("{name: m, title: M, views: [a], sites: [{name: j, scores: [0, 999]}]}", r"sites\.0\.scores\.1 = 999: "),
        ("{name: m, title: M, views: [a], sites: [{name: j, scores: [0, true]}]}", r"sites\.0\.scores\.1 = true: "),
        *(
            (
                f"{{name: m, title: M, views: [a], sites: [{{name: j, scores: [0, 1], views: {views}}}]}}",
                r"sites\.0\.views = .*: expected a list of views such as \[ap\], or `from data`",
            )
            for views in ("5", "a", "null", "[1]", "true")
        ),
        (
            "{name: m, title: M, views: [a], sites: [{name: j, scores: [0, 1], views: [a, a]}]}",
            r"sites\.j\.views: a is given twice: expected it once",
        ),
        (
            "{name: m, title: M, views: [front], sites: [{name: j, scores: [0, 1], views: [frnt]}]}",
            r"sites\.j\.views: 'frnt': did you mean front\?",
        ),
        (
            "{name: m, title: M, views: [a], sites: [{name: trial, scores: [0, 1]}]}",
            "sites: trial is the name of",
        ),
        (
            "{name: m, title: M, views: [a], sites: [{name: a, scores: [0, 1]}, {name: a_0, scores: [0, 1]}]}",
            "sites: two columns would be called a_0",
        ),
        (WHOLE + ", thresholds: [{at: 1, means: x}]}", "thresholds: at 1: there is no total: name a site"),
        (WHOLE + ", total: {}, thresholds: [{at: 0, means: x}]}", "at 0: expected more than 0 and at most 2"),
        (WHOLE + ", thresholds: [{at: 3, means: x, site: joint}]}", "at 3: expected more than 0 and at most 2"),
        (
            WHOLE + ", total: {}, thresholds: [{at: 1, means: x}, {at: 1, means: y}]}",
            "thresholds: at 1 is given twice: expected it once",
        ),
        (WHOLE + ", thresholds: [{at: 1, means: x, site: joints}]}", "site 'joints': did you mean joint"),
        (WHOLE + ", veiws: 1}", "there is no field veiws; did you mean views?"),
        (WHOLE + ", total: {titel: x}}", r"there is no field total\.titel; did you mean title?"),
    ],
)
def test_an_instrument_that_contradicts_itself_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(BadStudy, match=message) as caught:
        load_instrument(str(path))
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mrsut", "there is no instrument 'mrsut': did you mean mrust? (or the path of a .yaml file)"),
        ("../mrust", "there is no instrument '../mrust'"),
        ("", "there is no instrument ''"),
        ("nowhere.yaml", "nowhere.yaml: no such file or directory: expected an instrument in YAML"),
        ("a\0b.yaml", "embedded null byte"),
        ("~nobody-of-this-name/x.yaml", "expected an instrument in YAML"),
    ],
)
def test_instruments_that_are_not_there(name: str, message: str) -> None:
    with pytest.raises(BadStudy) as caught:
        load_instrument(name)
    assert message in str(caught.value)
