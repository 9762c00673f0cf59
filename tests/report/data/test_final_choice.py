from pathlib import Path

import pytest

from rustk.report.data.final_choice import Chosen, choose
from rustk.store import open_store
from rustk.vocabulary.errors import BadData, BadStudy
from tests.report.runs import TINY_TRIALS, history, history_path, write_run, write_tiny

RUN = "tiny-00000001"


def test_the_greatest_mean_over_folds_is_chosen(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    store = open_store(str(tmp_path))
    # Trials 1 and 2 reach 0.75, of which the lower is first; its epochs 1 and 3 do, of which the earlier is first.
    by = "greatest mean val_auroc over the folds"
    assert choose(store, RUN) == Chosen(trial=1, epochs=1, by=by, val_auroc=0.75)
    assert choose(store, RUN, trial=0) == Chosen(trial=0, epochs=2, by="given trial, its best epoch", val_auroc=0.625)
    assert choose(store, RUN, epochs=7) == Chosen(trial=1, epochs=7, by=f"{by}; given epochs")
    assert choose(store, RUN, trial=2, epochs=1) == Chosen(trial=2, epochs=1, by="given")


def test_a_trial_that_was_not_planned_is_refused(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    for epochs in (None, 2):
        with pytest.raises(BadStudy, match=f"run {RUN} has no trial 3: it has 3, from 0"):
            choose(open_store(str(tmp_path)), RUN, trial=3, epochs=epochs)


def test_nothing_is_chosen_of_a_run_that_lacks_folds(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path)
    history_path(folder, 1, 1).unlink()
    store = open_store(str(tmp_path))
    with pytest.raises(BadData, match=r"lacks 1 of 6 folds \(.*\): submit it again to finish them$"):
        choose(store, RUN)
    # What is given in full needs no cross-validation.
    assert choose(store, RUN, trial=0, epochs=4).epochs == 4


def test_a_trial_without_any_value_has_no_best_epoch(tmp_path: Path) -> None:
    values = [float("nan")] * 3
    histories = {(t, f): history(values if t == 2 else [0.5, 0.6, 0.7]) for t in range(3) for f in range(2)}
    write_run(tmp_path, RUN, TINY_TRIALS, histories, folds=2)
    store = open_store(str(tmp_path))
    assert choose(store, RUN).trial == 0
    with pytest.raises(BadStudy, match=rf"trial 2 of run {RUN} has no best epoch: say how many epochs"):
        choose(store, RUN, trial=2)
