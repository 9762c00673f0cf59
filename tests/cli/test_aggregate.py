import json
import os
import time
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from rustk.cli.app import app
from rustk.vocabulary.errors import BadData, BadStudy
from tests.report.runs import TINY_TRIALS, TINY_VAL_AUROC, history, write_golden, write_run, write_tiny


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUSTK_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "store"


def write_plain(store: Path, run: str, values: tuple[list[float], ...] = ([0.5, 0.75], [0.5, 0.7])) -> Path:
    """A run without a search, which has one figure to draw."""
    histories = {(0, fold): history(of_fold) for fold, of_fold in enumerate(values)}
    return write_run(store, run, pd.DataFrame({"trial": [0]}), histories, folds=2)


def aggregate(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["aggregate", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_tables_and_figures_are_written_into_the_store(here: Path) -> None:
    report = write_tiny(here) / "report"
    result = aggregate("tiny-00000001")
    written = {str(path.relative_to(report)) for path in report.rglob("*") if path.is_file()}
    assert {f"tables/best-trials.{kind}" for kind in ("csv", "md", "tex")} <= written
    assert {f"figures/search-scatter.{kind}" for kind in ("png", "svg", "pdf")} <= written
    assert {"tables/all-trials.csv", "tables/metrics.csv", "tables/folds.csv"} <= written
    assert {"figures/learning-curves.svg", "figures/example-trials.svg"} <= written
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Tiny & small_study: its 3 trials, best first.")
    assert any(line.split()[:3] == ["1", "1e-2", "1e-7"] for line in lines)
    assert lines[-1].startswith(f"report {report}")
    assert Path(lines[-1].removeprefix("report ")).exists()


def test_json_has_every_digit_and_null_for_what_is_absent(here: Path) -> None:
    histories = {task: history(values) for task, values in TINY_VAL_AUROC.items()}
    histories[2, 1] = history([float("nan")])
    write_run(here, "tiny", TINY_TRIALS, histories, folds=2)
    found = json.loads(aggregate("tiny", "--json").stdout)
    run = found["runs"][0]
    assert run["best"]["val_auroc"] == 0.75
    assert run["trials"][1]["val_auroc_sd"] == 0.1767766952966369
    lost = run["trials"][2]
    assert (lost["rank"], lost["val_auroc"], lost["diverged_epoch"]) == (None, None, 1)
    assert run["floor"] is None
    assert run["missing"] == []
    assert found["report"].startswith(str(here / "runs/tiny/report"))


def test_missing_folds_stop_it_unless_allowed(here: Path, tmp_path: Path) -> None:
    folder = write_plain(here, "tiny", ([0.5, 0.75],))
    with pytest.raises(BadData, match=r"lacks 1 of 2 folds \(trial 0: fold 1\)"):
        aggregate("tiny")
    assert not (folder / "report").exists()
    result = aggregate("tiny", "--allow-partial", "--output", str(tmp_path / "out"))
    assert "Partial: 1 of 2 folds (missing: trial 0: fold 1)" in " ".join(result.stdout.split())
    assert "1 of 2 folds" in (tmp_path / "out/tables/metrics.csv").read_text()
    assert result.stdout.splitlines()[-1].startswith(f"report {tmp_path / 'out'}")


def test_a_study_means_its_latest_run_and_which_one_is_said(here: Path) -> None:
    for age_seconds, run in ((50, "tiny-00000001"), (10, "by-another-name"), (30, "tiny-00000003")):
        described = write_plain(here, run) / "study.json"
        then = time.time() - age_seconds
        os.utime(described, (then, then))
    result = aggregate("tiny", "--json")
    assert json.loads(result.stdout)["runs"][0]["run"] == "by-another-name"
    assert "tiny: taking by-another-name, planned last (earlier: tiny-00000003, tiny-00000001)" in result.stderr
    with pytest.raises(BadStudy, match="no run 'tinny'"):
        aggregate("tinny")


def test_several_runs_are_compared(here: Path, tmp_path: Path) -> None:
    for run, level in (("lenet", 0.6), ("scratch", 0.7)):
        described = {"name": run, "title": run.capitalize()}
        histories = {(0, fold): history([0.5, level + fold / 10]) for fold in range(2)}
        write_run(here, run, pd.DataFrame({"trial": [0]}), histories, folds=2, study=described)
    result = aggregate("scratch", "lenet", "scratch", "-o", str(tmp_path / "out"))
    table = pd.read_csv(here / "comparisons/scratch+lenet/tables/comparison.csv")
    assert table["study"].tolist() == ["scratch", "lenet"]
    assert table["val_auroc"].tolist() == pytest.approx([0.75, 0.65], abs=1e-15)
    assert (tmp_path / "out/tables/comparison.tex").exists()
    assert (tmp_path / "out/lenet/figures/learning-curves.pdf").exists()
    assert (here / "runs/lenet/report/tables/metrics.md").exists()
    assert "Scratch" in result.stdout


def test_a_folder_that_can_not_be_written_is_said_in_a_line(here: Path, tmp_path: Path) -> None:
    write_plain(here, "tiny-00000001")
    (tmp_path / "out").write_text("a file")
    result = CliRunner().invoke(app, ["aggregate", "tiny", "-o", str(tmp_path / "out")])
    assert "could not write" in str(result.exception)


def test_published_histories_give_the_published_table(here: Path, repository: Path) -> None:
    run = write_golden(here, repository)
    aggregate(run)
    first = (here / "runs" / run / "report/tables/best-trials.csv").read_text().splitlines()[1]
    assert first.startswith("1,22,0.001,1e-07,0.7969321310520172,")
