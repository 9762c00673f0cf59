import errno
import json
import tempfile
from pathlib import Path

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner, Result

from rustk.cli.commands.aggregate import aggregate as command
from rustk.report.charts.base.printer import Printer
from rustk.vocabulary.errors import BadData, BadStudy
from tests.report.runs import TINY_TRIALS, TINY_VAL_AUROC, history, write_golden, write_run, write_tiny

PROCESS = Printer.start_process


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # Charts are printed in this process, as where none can be had: each takes a second to import what it needs.
    monkeypatch.setattr(Printer, "start_process", lambda printer: None)
    monkeypatch.setenv("RUSTK_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "store"


def write_plain(store: Path, run: str, values: tuple[list[float], ...] = ([0.5, 0.75], [0.5, 0.7])) -> Path:
    """A run without a search, which has one figure to draw."""
    histories = {(0, fold): history(of_fold) for fold, of_fold in enumerate(values)}
    return write_run(store, run, pd.DataFrame({"trial": [0]}), histories, folds=2)


app = typer.Typer()
app.command()(command)


def aggregate(*arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_tables_and_figures_are_written_into_the_store(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Printer, "start_process", PROCESS)
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


def test_a_study_that_has_several_runs_is_refused(here: Path) -> None:
    """Fault 2: a guess takes the wrong run."""
    write_plain(here, "tiny-00000001")
    assert json.loads(aggregate("tiny", "--json").stdout)["runs"][0]["run"] == "tiny-00000001"
    write_plain(here, "by-another-name")
    with pytest.raises(BadStudy, match=r"the study tiny has 2 runs .*by-another-name.*tiny-00000001"):
        aggregate("tiny")
    with pytest.raises(BadStudy, match="no run 'tinny'"):
        aggregate("tinny")


@pytest.mark.parametrize("name", ["..", "x/", "/", "tiny-00000001/", "../x"])
def test_what_can_be_no_run_is_refused(here: Path, name: str) -> None:
    write_plain(here, "tiny-00000001")
    with pytest.raises(BadStudy, match="can't be a run"):
        aggregate(name)


def test_several_runs_are_compared(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Printer, "start_process", PROCESS)
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


@pytest.mark.parametrize("output", ["out", "out/below"])
def test_an_output_that_is_no_folder_is_refused_before_any_work(here: Path, tmp_path: Path, output: str) -> None:
    """Fault 17: all the work was done, then it failed, and a report was left in the store."""
    folder = write_plain(here, "tiny-00000001")
    (tmp_path / "out").write_text("a file")
    with pytest.raises(BadStudy, match=r"--output .*out is not a folder"):
        aggregate("tiny", "-o", str(tmp_path / output))
    assert not (folder / "report").exists()


def test_an_output_that_can_not_be_written_is_refused_before_any_work(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_plain(here, "tiny-00000001")

    def refuse(**_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(BadStudy, match=r"can't write into .*: Read-only file system"):
        aggregate("tiny", "-o", str(tmp_path / "out"))
    assert not (folder / "report").exists()
    assert not (tmp_path / "out").exists()


def test_a_table_fits_80_columns_with_its_heads_whole(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 21: heads were cut; piped output did not heed COLUMNS."""
    monkeypatch.setenv("COLUMNS", "80")
    for run in ("first", "second"):
        described = {"name": run, "title": run.capitalize()}
        histories = {(0, fold): history([0.5, 0.7 + fold / 10]) for fold in range(2)}
        write_run(here, run, pd.DataFrame({"trial": [0]}), histories, folds=2, study=described)
    lines = aggregate("first", "second").stdout.splitlines()
    table = [line for line in lines if not line.startswith("report ")]
    assert max(map(len, table)) <= 80
    assert not any("…" in line for line in table)
    assert any(line.startswith("Study") and "AUROC" in line for line in table)
    assert any(line.startswith("Not shown for want of room: ") for line in table)
    wide = aggregate("first").stdout
    monkeypatch.setenv("COLUMNS", "200")
    assert max(map(len, aggregate("first").stdout.splitlines())) > max(map(len, wide.splitlines()[:-1]))


def test_published_histories_give_the_published_table(here: Path, repository: Path) -> None:
    run = write_golden(here, repository)
    aggregate(run)
    first = (here / "runs" / run / "report/tables/best-trials.csv").read_text().splitlines()[1]
    assert first.startswith("1,22,0.001,1e-07,0.7969321310520172,")
