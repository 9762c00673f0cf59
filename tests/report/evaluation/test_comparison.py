"""Runs compared in pairs: over patients, over folds, and why not."""

from dataclasses import replace

import numpy as np
import pytest

from rustk.metrics.comparison import corrected_resampled_t_test
from rustk.report.evaluation.analysis import Analysis, analyse
from rustk.report.evaluation.comparison import Pair, compare
from tests.instruments import MRUST
from tests.report.planted import CLEAN, Shelf, aggregated

WEAK = replace(CLEAN, run="weak-00000001", study="weak", signal=0.5)


def pair(first: Analysis, second: Analysis) -> Pair:
    return compare([first, second])[0]


def test_better_model_is_better_over_patients_and_folds(clean: Analysis) -> None:
    weak = analyse(aggregated(WEAK))
    found = pair(clean, weak)
    assert found.reasons == ()
    assert found.differences["auroc_in_view"].low > 0
    assert found.test is not None
    assert found.test.difference > 0
    assert clean.best is not None
    assert weak.best is not None
    assert found.differences["auroc_200"].value == pytest.approx(
        clean.best["auroc_200"].value - weak.best["auroc_200"].value
    )
    for key in ("kappa_mean", "kappa_total"):
        assert found.differences[key].low > 0, key
    for key in ("mae_mean", "mae_total"):
        assert found.differences[key].high < 0, key
    kappas = [np.mean([a.best[f"kappa_{site}"].value for site in MRUST.site_names]) for a in (clean, weak) if a.best]
    assert found.differences["kappa_mean"].value == pytest.approx(kappas[0] - kappas[1])
    histories = [a.aggregate.results.histories.query("trial == 0 and epoch == 3")["val_auroc"] for a in (clean, weak)]
    assert (clean.trial, weak.trial, clean.epoch, weak.epoch) == (0, 0, 3, 3)
    assert found.test == corrected_resampled_t_test(*histories)
    assert found.adjusted_p == found.test.p


def test_run_against_itself_shows_no_difference(clean: Analysis) -> None:
    found = pair(clean, clean)
    assert found.differences["auroc_200"] == replace(found.differences["auroc_200"], value=0.0, low=0.0, high=0.0)
    assert found.adjusted_p == 1.0


def test_holm_runs_over_all_pairs(clean: Analysis) -> None:
    others = [analyse(aggregated(replace(WEAK, run=f"weak-{n}", signal=0.5 + n / 10))) for n in range(2)]
    found = compare([clean, *others])
    assert [(p.first, p.second) for p in found] == [
        (CLEAN.run, "weak-0"), (CLEAN.run, "weak-1"), ("weak-0", "weak-1")
    ]  # fmt: skip
    tested = sorted(p.test.p for p in found if p.test)
    assert sorted(p.adjusted_p for p in found)[0] == pytest.approx(3 * tested[0])


def test_other_folds_are_paired_over_patients_only(clean: Analysis) -> None:
    other = analyse(aggregated(replace(WEAK, folds=5)))
    found = pair(clean, other)
    assert found.test is None
    assert np.isnan(found.adjusted_p)
    assert found.reasons == ("no test over folds: 4 folds of one run, 5 of the other",)
    assert found.differences["auroc_200"].value > 0


def test_runs_on_other_images_or_without_predictions_are_not_paired(clean: Analysis) -> None:
    other = analyse(aggregated(replace(WEAK, seed=2, patients=150), Shelf()))
    found = pair(clean, other)
    assert found.differences == {}
    assert "different images" in found.reasons[0]
    assert "different folds" in found.reasons[1]
    bare = analyse(aggregated(replace(WEAK, without=("predictions", "folds", "index"))))
    reasons = pair(clean, bare).reasons
    assert "not both runs have predictions" in reasons[0]
    assert "folds.parquet" in reasons[1]
