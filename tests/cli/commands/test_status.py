import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from rustk.cli.commands.status import shown
from rustk.planning.batches import FoldTask
from rustk.planning.progress import LiveFold, RunProgress, make_progress
from rustk.store import Store
from rustk.store.documents import RunDocument
from rustk.store.runs import read_run
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, BadStudy
from rustk.vocabulary.wording import duration
from tests.report.runs import TINY_TRIALS, TINY_VAL_AUROC, history, write_run

from .conftest import Rustk
from .planned import plan

NOW = datetime(2025, 1, 1, 12, tzinfo=UTC)


def test_status_counts(store: Store, rustk: Rustk) -> None:
    plan(store, "study-00000001", done=4, failed="shard develop-0 is corrupt")
    output = rustk("status", "study").output
    assert "study-00000001  4 done, 1 failed, 1 missing" in output
    assert "trial 1 fold 2 failed: exit code 65: shard develop-0 is corrupt" in output
    fields = json.loads(rustk("status", "--json").output)
    assert fields["counts"]["done"] == 4
    assert [fold["state"] for fold in fields["unfinished"]] == ["missing", "failed"]
    assert fields["trials"][0]["done"] == 3
    assert (fields["study"], fields["dataset"]) == ("study", "phantom")


def test_what_is_finished_is_one_line_and_nobody_at_work_is_said(store: Store, rustk: Rustk) -> None:
    plan(store, "study-00000001", trials=40, done=28 * 3 + 1, planned_at="2025-01-02T10:00:00Z")
    lines = rustk("status", "study").output.splitlines()
    assert lines[2].startswith("study study, dataset phantom, planned 2025-01-02 ")
    assert "28 trials are finished" in lines
    assert "11 trials have not begun" in lines
    assert [line.split() for line in lines if line.startswith("0")] == [["0028", "1", "·", "·", "·", "·", "2"]]
    assert " ".join(lines[-2:]).startswith("nothing is at work on the 35 missing folds: `rustk submit study`, with")
    assert len(lines) < 15


def test_the_best_figure_so_far_is_there(store: Store, rustk: Rustk, tmp_path: Path) -> None:
    part = {task: history(values) for task, values in TINY_VAL_AUROC.items() if task != (2, 1)}
    write_run(tmp_path / "store", "tiny-1", TINY_TRIALS, part, folds=2)
    output = " ".join(rustk("status").output.split())
    assert (
        "best so far: val AUROC 0.7500 of trial 1 (learning_rate 0.01, epsilon 1e-7) at epoch 1, the mean over 2 of 2 "
        "folds" in output
    )
    best = json.loads(rustk("status", "--json").output)["best"]
    assert (best["trial"], best["val_auroc"], best["folds"]) == (1, 0.75, 2)
    # A trial that is better over the folds that it has is the best so far, and says over how many.
    (tmp_path / "store" / names.history_key("tiny-1", 1, 0)).unlink()
    (tmp_path / "store" / names.history_key("tiny-1", 0, 1)).unlink()
    assert "the mean over 1 of 2 folds" in " ".join(rustk("status").output.split())


def test_damaged_histories_leave_the_rest_of_status(store: Store, rustk: Rustk) -> None:
    plan(store, "study-00000001", done=4)
    result = rustk("status")
    assert result.exit_code == 0
    assert "best so far: not known: " in result.output
    assert json.loads(rustk("status", "--json").output)["best"] is None


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_lines_fit_the_columns(store: Store, rustk: Rustk, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    plan(store, "study-00000001", trials=7, done=4, failed="the reason " * 20)
    for command in ("status", "runs"):
        lines = rustk(command).output.splitlines()
        assert max(len(line) for line in lines) <= int(columns)
    assert "no history" in rustk("status").output
    assert (max(len(line) for line in rustk("status").output.splitlines()) > 80) == (columns == "200")


def test_status_of_a_run_that_can_not_be_read(store: Store, rustk: Rustk) -> None:
    store.write(names.run_study_key("odd"), b'{"planned": {"trials": "two"}}')
    assert isinstance(rustk("status", "odd").exception, BadData)
    assert isinstance(rustk("status", "other").exception, BadStudy)


@pytest.mark.parametrize("command", ["status", "wait", "logs", "cancel"])
@pytest.mark.parametrize("run", ["..", "../x", "/", "x/", "", ".", "a\nb"])
def test_what_can_be_no_run_is_refused(store: Store, rustk: Rustk, command: str, run: str) -> None:
    plan(store, "x")
    refused = rustk(command, run).exception
    assert isinstance(refused, BadStudy)
    assert "expected the name of a run or study" in str(refused)


def test_status_without_runs(rustk: Rustk) -> None:
    result = rustk("status")
    assert isinstance(result.exception, BadStudy)
    assert "has no runs yet" in str(result.exception)


def test_watch_ends_with_the_run(store: Store, rustk: Rustk) -> None:
    plan(store, "done-00000001", done=6)
    assert rustk("status", "--watch").exit_code == 0
    assert isinstance(rustk("status", "--watch", "--json").exception, BadStudy)


def progress_of(live: list[LiveFold], trials: int = 4, done: int = 0) -> RunProgress:
    tasks: list[FoldTask] = [(trial, fold) for trial in range(trials) for fold in range(3)]
    return make_progress(
        "r",
        tasks,
        done=dict.fromkeys(tasks[:done], NOW),
        failures={},
        live=live,
        submitted=NOW,
        ended=None,
        now=NOW,
    )


def printed(progress: RunProgress, document: RunDocument, height: int | None = None) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=200).print(shown(progress, document, "", height))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_the_spellings_of_one_reason_are_one_reason(store: Store) -> None:
    plan(store, "r")
    reasons = [
        "0/50 nodes are available: 12 Insufficient memory, 38 Insufficient nvidia.com/gpu.",
        "0/50 nodes are available: 40 Insufficient nvidia.com/gpu, 10 Insufficient memory.",
        "0/50 nodes are available: 40 Insufficient nvidia.com/gpu, 10 Insufficient memory.",
        'pods "r-t0001-f00-x7abc" is forbidden: exceeded quota: few, used: pods=4, limited: pods=4',
        'pods "r-t0001-f01-b2zzz" is forbidden: exceeded quota: few, used: pods=3, limited: pods=4',
        "suspended",
    ]
    live = [LiveFold(number // 3, number % 3, "pending", reason) for number, reason in enumerate(reasons)]
    told = [line for line in printed(progress_of(live), read_run(store, "r")) if " pending: " in line]
    assert told == [
        f"3 pending: {reasons[1]}",
        f"2 pending: {reasons[3]}",
        "1 pending: suspended",
    ]


def test_what_moves_comes_first_and_a_view_fits_its_window(store: Store) -> None:
    plan(store, "r")
    live = [LiveFold(trial, 0, "running") for trial in range(5, 30)]
    lines = printed(progress_of(live, trials=40, done=7), read_run(store, "r"), height=20)
    assert len(lines) <= 20
    (first, *_) = [line for line in lines if line.startswith("0")]
    assert first.startswith("0005")
    assert "2 trials are finished" in lines
    assert any("more: rustk status r" in line for line in lines)
    assert not any("nothing is at work" in line for line in lines)


def test_hundreds_of_trials_that_have_begun_are_not_all_listed(store: Store) -> None:
    plan(store, "r")
    live = [LiveFold(trial, 0, "running") for trial in range(500)]
    lines = printed(progress_of(live, trials=500, done=0), read_run(store, "r"))
    assert sum(line.startswith("0") for line in lines) == 30
    assert "(470 trials more: rustk status r --json)" in lines


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59.6, "1m 00s"), (725, "12m 05s"), (12000, "3h 20m"), (187200, "2d 04h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
