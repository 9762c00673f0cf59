"""What probabilities say of an image, of a visit's images together, and of their total."""

import numpy as np
import pytest

from rustk.training.scores import ImageScores, combine, meanings, read_scores
from rustk.vocabulary.instrument import Instrument
from tests.instruments import MRUST, ODD, SINGLE

BY_VIEW = {"ap": ["medial", "lateral"], "lateral": ["anterior", "posterior"]}
ODD_VIEWS = {"a": ["rim"], "b": ["rim", "core"], "c": ["core", "seam"]}


def scores_of(instrument: Instrument, by_view: dict[str, list[str]], **values: float) -> ImageScores:
    probabilities = np.array([values.get(label, 0.0) for label in instrument.labels], np.float32)
    return read_scores(instrument, probabilities, by_view)


def test_scores_are_read_within_the_view_and_added_up_for_a_visit() -> None:
    ap = scores_of(
        MRUST, BY_VIEW, view_ap=0.9, view_lateral=0.2, medial_3=0.6, medial_4=0.2, lateral_4=0.1, anterior_4=0.99
    )
    assert (ap.view, ap.view_probability) == ("ap", pytest.approx(0.9))
    assert {site: score.score for site, score in ap.sites.items()} == {"medial": 3, "lateral": 4}
    assert ap.sites["medial"].probabilities == pytest.approx({1: 0, 2: 0, 3: 0.75, 4: 0.25})
    side = scores_of(MRUST, BY_VIEW, view_lateral=0.8, anterior_4=0.5, posterior_2=0.3)
    visit = combine(MRUST, [ap, side])
    assert visit.total is not None
    assert visit.total.score == 3 + 4 + 4 + 2
    assert visit.total.probabilities[13] == pytest.approx(0.75)
    assert visit.total.expected == pytest.approx(13.25)
    assert (visit.total.low, visit.total.high) == (13, 14)
    assert meanings(visit) == ["union (mRUST total at least 13)"]
    assert visit.thresholds[0].probability == pytest.approx(1)
    alone = combine(MRUST, [ap])
    assert alone.total is None
    assert alone.thresholds == ()
    assert meanings(alone) == []


def test_images_that_show_one_site_weigh_the_same() -> None:
    first = scores_of(MRUST, BY_VIEW, view_ap=0.9, medial_1=0.9, medial_2=0.1, lateral_1=1)
    second = scores_of(MRUST, BY_VIEW, view_ap=0.6, medial_2=0.2, medial_3=0.1, lateral_1=1)
    side = scores_of(MRUST, BY_VIEW, view_lateral=1, anterior_1=1, posterior_1=1)
    visit = combine(MRUST, [first, side, second])
    assert visit.shown == {"medial": (0, 2), "lateral": (0, 2), "anterior": (1,), "posterior": (1,)}
    assert visit.sites["medial"].probabilities == pytest.approx({1: 0.45, 2: (0.1 + 2 / 3) / 2, 3: 1 / 6, 4: 0})
    assert visit.sites["medial"].score == 1
    assert visit.total is not None
    # The mean of what each image alone would give, as the report's totals are.
    alone = [combine(MRUST, [one, side]).total for one in (first, second)]
    assert visit.total.expected == pytest.approx(np.mean([total.expected for total in alone if total]))


def test_an_instrument_of_one_view_has_no_view_to_guess_and_no_total() -> None:
    site = SINGLE.site_names[0]
    scores = scores_of(SINGLE, {SINGLE.views[0]: [site]}, **{f"{site}_3": 0.9, f"{site}_0": 0.1})
    assert (scores.view, scores.view_probability, scores.sites[site].score) == (SINGLE.views[0], 1.0, 3)
    visit = combine(SINGLE, [scores])
    assert visit.total is None
    assert meanings(visit) == [f"osteoarthritis ({site} at least 2)"]
    assert visit.thresholds[0].probability == pytest.approx(0.9)


def test_unequal_scales_are_read_by_their_own_scores() -> None:
    rim = scores_of(ODD, ODD_VIEWS, view_a=0.9, rim_0=0.4, rim_2=0.3, core_5=0.9)
    rest = scores_of(ODD, ODD_VIEWS, view_c=0.9, core_5=0.2, core_3=0.1, seam_1=0.7)
    visit = combine(ODD, [rim, rest])
    assert visit.total is not None
    assert visit.total.score == 0 + 5 + 1
    assert (min(visit.total.probabilities), max(visit.total.probabilities)) == ODD.total_range
    assert meanings(visit) == ["sound (odd total at least 4)", "sealed (seam at least 1)"]


def test_probabilities_of_nothing_are_even() -> None:
    scores = scores_of(MRUST, BY_VIEW, view_ap=1)
    assert scores.sites["medial"].probabilities == {1: 0.25, 2: 0.25, 3: 0.25, 4: 0.25}
