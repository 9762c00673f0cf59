"""Pictures of other instruments than mRUST: knees by their grade, and marks for whatever else there is."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from rustk.datasets.phantom import knee, marks, tibia
from rustk.datasets.phantom.cohort import plan_cohort
from rustk.datasets.phantom.drawing import draw, generate, picture_of
from rustk.datasets.phantom.source import describe_source
from rustk.vocabulary.instrument import Instrument, load_instrument
from tests.instruments import MRUST, ODD, SINGLE

RUSH = load_instrument("rush")


def test_an_instrument_is_drawn_by_what_it_scores_whatever_its_name() -> None:
    assert picture_of(MRUST) is tibia
    assert picture_of(SINGLE.model_copy(update={"name": "kl", "title": "KL"})) is knee
    assert picture_of(ODD.model_copy(update={"name": "mrust"})) is marks
    arguments = {"images": 24, "size": 64, "seed": 0, "signal": 1.0, "faults": []}
    assert "note" not in describe_source(SINGLE, **arguments)
    assert "machinery only" in describe_source(ODD, **arguments)["note"]


@pytest.mark.parametrize("instrument", [ODD, SINGLE, RUSH], ids=lambda one: one.name)
def test_pictures_are_pure_functions_and_unlike_each_other(instrument: Instrument) -> None:
    plans = plan_cohort(instrument, 24, seed=1)
    alone = list(generate(plans, instrument, size=48, seed=1))
    if instrument is ODD:
        assert alone == list(generate(plans, instrument, size=48, seed=1, processes=2))
    assert len({image.png for image in alone}) == 24
    for plan in plans[:4]:
        pixels = draw(plan, instrument, size=48, seed=1)
        assert (pixels.shape, pixels.dtype) == ((48, 48), np.uint8)
        assert pixels.std() > 20
        unlabelled = replace(plan, scores=dict.fromkeys(plan.scores))
        assert np.array_equal(pixels, draw(unlabelled, instrument, size=48, seed=1))


def mean_picture(instrument: Instrument, site: str, score: int, signal: float = 1.0) -> np.ndarray:
    """Of six pictures that differ in this score only; [64, 64]."""
    plans = [plan for plan in plan_cohort(instrument, 60, seed=0) if site in plan.drawn][:6]
    drawn = [replace(plan, drawn=plan.drawn | {site: score}) for plan in plans]
    return np.mean([draw(plan, instrument, size=64, seed=0, signal=signal).astype(float) for plan in drawn], axis=0)


@pytest.mark.parametrize("instrument", [ODD, SINGLE], ids=lambda one: one.name)
def test_every_score_of_every_site_shows_and_without_signal_none_does(instrument: Instrument) -> None:
    for site in instrument.sites[:2]:
        pictures = [mean_picture(instrument, site.name, score) for score in site.scores]
        steps = [np.abs(a - b).max() for a, b in pairwise(pictures)]
        assert min(steps) > 3
        # Further apart on the scale is further apart in the picture.
        assert np.abs(pictures[0] - pictures[-1]).sum() > np.abs(pictures[0] - pictures[1]).sum() - 1e-9
        flat = [mean_picture(instrument, site.name, score, signal=0.0) for score in site.scores]
        assert max(np.abs(flat[0] - one).max() for one in flat) == pytest.approx(0, abs=1e-9)


def test_a_knee_loses_its_joint_space_as_the_grade_rises() -> None:
    def darkest_row(grade: int) -> float:
        plans = plan_cohort(SINGLE, 60, seed=0)[:10]
        found = []
        for plan in plans:
            pixels = draw(replace(plan, drawn={"grade": grade}), SINGLE, size=96, seed=0).astype(float)
            found.append(pixels[30:66, 36:60].mean(axis=1).min())
        return float(np.mean(found))

    spaces = [darkest_row(grade) for grade in SINGLE.sites[0].scores]
    assert spaces[0] < spaces[2] < spaces[3] < spaces[4]
