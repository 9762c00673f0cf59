from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustk.planning.progress import STATES, LiveFold, RunProgress, make_progress

NOW = datetime(2025, 1, 1, 12, tzinfo=UTC)
TASKS = [(trial, fold) for trial in range(2) for fold in range(3)]


def progress(
    done: dict[tuple[int, int], datetime] | None = None,
    failures: dict[tuple[int, int], str] | None = None,
    live: list[LiveFold] | None = None,
    submitted: datetime | None = None,
    ended: datetime | None = None,
) -> RunProgress:
    return make_progress(
        "run",
        TASKS,
        done=done or {},
        failures=failures or {},
        live=live or [],
        submitted=submitted,
        ended=ended,
        now=NOW,
    )


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def test_every_fold_is_in_one_state() -> None:
    seen = progress(
        done={(0, 0): NOW},
        failures={(0, 1): "exit code 65: bad"},
        live=[
            LiveFold(0, 2, "running"),
            LiveFold(1, 0, "pending", "no room"),
            LiveFold(1, 1, "succeeded"),
        ],
    )
    assert [fold.state for fold in seen.folds] == ["done", "failed", "running", "pending", "no history", "missing"]
    assert seen.counts == {**dict.fromkeys(STATES, 1), "dropped": 0}
    assert not seen.complete
    assert seen.moving


def test_the_store_is_the_truth() -> None:
    for state in ("running", "pending", "failed", "succeeded"):
        seen = progress(done={(0, 0): NOW}, live=[LiveFold(0, 0, state)], failures={(0, 0): "old"})  # type: ignore[arg-type]
        assert seen.folds[0].state == "done"


def test_a_fold_that_is_tried_again_is_not_failed() -> None:
    assert progress(failures={(0, 0): "old"}, live=[LiveFold(0, 0, "running")]).folds[0].state == "running"


def test_the_workers_own_words_come_before_the_containers() -> None:
    seen = progress(failures={(0, 0): "all of it"}, live=[LiveFold(0, 0, "failed", "...of it")])
    assert seen.folds[0].reason == "all of it"
    assert progress(live=[LiveFold(0, 0, "failed", "out of memory")]).folds[0].reason == "out of memory"


def test_a_job_that_succeeded_without_a_history_says_so() -> None:
    (first, *_) = progress(live=[LiveFold(0, 0, "succeeded")]).folds
    assert first.state == "no history"
    assert "no history in the store" in first.reason


def test_time_runs_until_the_last_fold_ended_by_its_own_words() -> None:
    """Not by the times of the files: those of a copied store are of the copy."""
    done = dict.fromkeys(TASKS, NOW)
    assert progress(done=done, submitted=ago(600), ended=ago(60)).elapsed_seconds == 540
    assert progress(done=done, submitted=ago(600)).elapsed_seconds is None
    assert progress(done=done, submitted=ago(600)).eta_seconds == 0
    assert progress(submitted=ago(600)).elapsed_seconds == 600
    assert progress().elapsed_seconds is None


def test_the_rest_takes_as_long_as_the_last_folds_did() -> None:
    done = {(0, 0): ago(30), (0, 1): ago(20), (0, 2): ago(10)}
    seen = progress(done=done, live=[LiveFold(1, 0, "running"), LiveFold(1, 1, "pending")])
    assert seen.eta_seconds == pytest.approx(45)  # 3 folds are left, at 2 in 30 s


def test_no_estimate_while_nothing_runs() -> None:
    done = {(0, 0): ago(30), (0, 1): ago(20)}
    assert progress(done=done, live=[LiveFold(1, 0, "pending")]).eta_seconds is None


def test_gpu_hours_say_of_how_many_folds() -> None:
    seen = progress(live=[LiveFold(0, 0, "succeeded", "", 1800.0), LiveFold(0, 1, "running", "", 1800.0)])
    assert seen.gpu_hours == 1.0
    assert seen.gpu_hours_folds == 2
    assert progress().gpu_hours is None


def test_trials_are_counted() -> None:
    seen = progress(done={(0, 0): NOW, (0, 1): NOW, (1, 2): NOW})
    assert {trial: counts["done"] for trial, counts in seen.trials().items()} == {0: 2, 1: 1}


def test_json_names_what_is_not_done() -> None:
    fields = progress(done=dict.fromkeys(TASKS[1:], NOW), failures={(0, 0): "why"}).as_dict()
    assert fields["unfinished"] == [{"trial": 0, "fold": 0, "state": "failed", "reason": "why"}]
    assert fields["counts"]["done"] == 5
    assert fields["complete"] is False


@given(
    done=st.sets(st.sampled_from(TASKS)),
    live=st.dictionaries(st.sampled_from(TASKS), st.sampled_from(["running", "pending", "failed", "succeeded"])),
    failures=st.sets(st.sampled_from(TASKS)),
)
def test_counts_add_up(done: set, live: dict, failures: set) -> None:
    seen = progress(
        done=dict.fromkeys(done, NOW),
        failures=dict.fromkeys(failures, "why"),
        live=[LiveFold(*task, state) for task, state in live.items()],
    )
    assert sum(seen.counts.values()) == len(TASKS)
    assert seen.counts["done"] == len(done)
    assert seen.complete == (len(done) == len(TASKS))


def raced(*, done: int, dropped: dict[tuple[int, int], str], races: bool = True, to_come: int = 0) -> RunProgress:
    """Folds done a minute apart, the last one just now; the next of them is running."""
    return make_progress(
        "run",
        TASKS,
        done={task: ago(60.0 * (done - 1 - number)) for number, task in enumerate(TASKS[:done])},
        failures={},
        live=[LiveFold(*TASKS[done], "running")],
        submitted=ago(600),
        ended=None,
        now=NOW,
        dropped=dropped,
        searches=True,
        trials_to_come=to_come,
        races=races,
    )


def test_what_a_race_dropped_is_not_waited_for() -> None:
    seen = raced(done=2, dropped={})
    assert (seen.counts["missing"], seen.eta_seconds, seen.time_left) == (3, 240.0, "at most about 4m 00s left")
    seen = raced(done=2, dropped={(1, 1): "dropped", (1, 2): "dropped"})
    assert (seen.counts["missing"], seen.counts["dropped"], seen.finished) == (1, 2, 4)
    assert (seen.eta_seconds, seen.as_dict()["eta_is_most"]) == (120.0, True)


def test_trials_to_come_are_waited_for() -> None:
    seen = raced(done=2, dropped={}, races=False, to_come=2)
    assert seen.eta_seconds == 60.0 * (4 + 2 * 3)
    assert seen.time_left == "about 10m 00s left"
