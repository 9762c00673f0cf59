import io
import re
from pathlib import Path

import pandas as pd
import pytest

from rustk.planning.study import NUMBERED_TABLES
from rustk.report.data.aggregate import Aggregate, aggregate
from rustk.report.data.results import load_run
from rustk.report.data.words import title_of
from rustk.report.tables.comparison import comparison
from rustk.report.tables.run import Context, all_trials, best_trials, final_hyperparameters, folds, metrics, run_tables
from rustk.report.tables.table import Column, Row, Table
from rustk.store import open_store
from tests.report.data.test_aggregate import PUBLISHED
from tests.report.runs import (
    TINY_TRIALS,
    TINY_VAL_AUROC,
    history,
    write_golden,
    write_run,
    write_shaped,
    write_tiny,
)


def read(store: Path, run: str = "tiny-00000001") -> Aggregate:
    return aggregate(load_run(open_store(str(store)), run), allow_partial=True)


def frame_of(table: Table) -> pd.DataFrame:
    """The CSV, read back."""
    frame = pd.read_csv(io.StringIO(table.csv()), dtype={"note": str})
    return frame.fillna({"note": ""}) if "note" in frame else frame


@pytest.fixture
def tiny(tmp_path: Path) -> Aggregate:
    write_tiny(tmp_path)
    return read(tmp_path)


@pytest.fixture
def partial(tmp_path: Path) -> Aggregate:
    write_tiny(tmp_path, "partial", without=((0, 1), (2, 0), (2, 1)))
    return read(tmp_path, "partial")


def test_the_csv_holds_every_digit_and_nothing_for_what_is_absent(tiny: Aggregate) -> None:
    assert best_trials(tiny).csv() == (
        "rank,trial,learning_rate,epsilon,val_auroc,val_auroc_sd,epoch,folds_used,folds_planned,diverged_epoch,note\n"
        "1,1,0.01,1e-07,0.75,0.0,1,2,2,,\n"
        "2,2,0.001,1e-08,0.75,0.0,2,2,2,,\n"
        "3,0,0.1,1e-07,0.625,0.1767766952966369,2,2,2,,\n"
    )


def test_every_csv_reads_back_as_the_same_numbers(tiny: Aggregate) -> None:
    for table in run_tables(tiny, Context(floor=0.7)):
        again = frame_of(table)
        for row, record in zip([row for row in table.rows if row.in_csv], again.to_dict(orient="records"), strict=True):
            for name, value in row.record.items():
                if name in again and isinstance(value, float) and value == value:
                    assert float(record[name]) == value, name


def test_the_markdown_table_is_aligned_and_captioned(tiny: Aggregate) -> None:
    assert best_trials(tiny).markdown() == (
        "**Tiny & small_study: its 3 trials, best first. Maximum over epochs of the mean validation AUROC "
        "over 2 folds. ± is the standard deviation over folds (ddof = 1).**\n"
        "\n"
        "| Rank | Learning rate | Epsilon | Max. mean validation AUROC | Epoch |\n"
        "| ---: | ------------: | ------: | -------------------------: | ----: |\n"
        "|    1 |          1e-2 |    1e-7 |            0.7500 ± 0.0000 |     1 |\n"
        "|    2 |          1e-3 |    1e-8 |            0.7500 ± 0.0000 |     2 |\n"
        "|    3 |          1e-1 |    1e-7 |            0.6250 ± 0.1768 |     2 |\n"
    )


def test_the_latex_table_is_a_booktabs_table(tiny: Aggregate) -> None:
    latex = best_trials(tiny, Context(floor=0.7)).latex()
    assert r"\caption{Tiny \& small\_study: its 3 trials" in latex
    assert r"\begin{tabular}{rrrrr}" in latex
    assert r"1 & $10^{-2}$ & $10^{-7}$ & 0.7500 $\pm$ 0.0000 & 1 \\" in latex
    assert r"View-only floor &  &  & 0.7000 &  \\" in latex
    assert [latex.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]
    _check_latex(latex)


def _check_latex(latex: str) -> None:
    """What makes LaTeX stop: unescaped specials, unbalanced braces or maths, rows of different length."""
    assert latex.isascii()
    unescaped = re.sub(r"\\[%&_#${}]", "", latex.removeprefix(latex.splitlines()[0]))
    assert unescaped.count("{") == unescaped.count("}")
    assert unescaped.count("$") % 2 == 0
    outside_maths = re.sub(r"\$[^$]*\$", "", unescaped)
    assert not re.search(r"[%#^_~<>|]", outside_maths)
    rows = [line for line in unescaped.splitlines() if line.endswith(r"\\") and not line.startswith(r"\caption")]
    assert len({line.count("&") for line in rows}) == 1
    assert re.findall(r"\\begin{(\w+)}", latex) == re.findall(r"\\end{(\w+)}", latex)[::-1]


def test_every_table_is_sound_in_every_form(tiny: Aggregate, partial: Aggregate) -> None:
    for averaged in (tiny, partial):
        for table in [*run_tables(averaged, Context(floor=0.7)), comparison([averaged, averaged])]:
            _check_latex(table.latex())
            lines = table.markdown().splitlines()
            assert len({line.replace("\\|", "").count("|") for line in lines[2:]}) == 1
            assert len({len(line) for line in lines[2:]}) == 1
            assert set(table.files()) == {f"{table.name}.{kind}" for kind in ("csv", "md", "tex")}


def test_the_floor_is_a_row_of_every_table(tiny: Aggregate) -> None:
    for table in run_tables(tiny, Context(floor=0.7123456789)):
        if table.name == "final-hyperparameters":
            continue
        assert table.cells()[-1][0] == "View-only floor"
        assert "0.7123" in table.cells()[-1]
        frame = pd.read_csv(io.StringIO(table.csv()))
        last = frame.iloc[-1]
        assert last["note"] == "view-only floor"
        assert last["validation" if table.name == "metrics" else "val_auroc"] == 0.7123456789
        assert f"{len(frame)}.0" not in table.csv()  # a rank or fold stays a whole number
    compared = comparison([tiny], floors={"tiny-00000001": 0.7})
    assert compared.headings()[-1] == "View-only floor"
    assert frame_of(compared)["floor"].tolist() == [0.7]
    assert frame_of(comparison([tiny]))["floor"].isna().all()


def test_partial_averages_are_marked_in_every_table(partial: Aggregate) -> None:
    said = "Partial: 3 of 6 folds (missing: trial 0: fold 1; trial 2: folds 0, 1)."
    for table in run_tables(partial):
        if table.name == "final-hyperparameters":
            continue
        assert said in table.markdown()
        assert said in table.latex()
        if table.name not in ("folds", "final-hyperparameters"):
            assert frame_of(table)["note"].iloc[0] == "1 of 2 folds"
    table = best_trials(partial)
    assert table.headings()[-1] == "Note"
    assert [row[-1] for row in table.cells()] == ["1 of 2 folds", "", "no folds"]
    assert table.cells()[2] == ("–", "1e-3", "1e-8", "–", "–", "no folds")
    assert frame_of(comparison([partial]))["note"].tolist() == ["partial: 3 of 6 folds; 1 of 2 folds"]


def test_metrics_of_the_best_trial_stand_side_by_side(tiny: Aggregate) -> None:
    table = metrics(tiny)
    assert table.headings() == ("Metric", "Training", "Validation", "Least", "Greatest")
    assert [row[0] for row in table.cells()] == ["AUROC", "Loss", "Precision", "Recall", "F1"]
    assert table.cells()[0] == ("AUROC", "0.3750 ± 0.0000", "0.7500 ± 0.0000", "0.7500", "0.7500")
    assert table.number is None
    assert "trial 1 (learning rate 1e-2, epsilon 1e-7), the best of 3, at epoch 1" in table.caption


def test_folds_of_the_best_trial_end_with_their_mean(tmp_path: Path) -> None:
    histories = {(0, 0): history([0.5, 0.75]), (0, 1): history([0.5, 0.7])}
    described = {"name": "final", "title": "Final", "training": {"batch_size": 1600, "learning_rate": 1e-3}}
    trials = pd.DataFrame({"trial": [0], "learning_rate": [1e-3], "width": [512]})  # of one trial nothing was searched
    write_run(tmp_path, "final", trials, histories, folds=2, study=described)
    averaged = read(tmp_path, "final")
    table = folds(averaged)
    assert [row[:3] for row in table.cells()] == [
        ("0", "0.7500", "1.2500"),
        ("1", "0.7000", "1.3000"),
        ("Mean ± SD", "0.7250 ± 0.0354", "1.2750 ± 0.0354"),
    ]
    assert frame_of(table)["fold"].tolist() == [0, 1]
    assert table.notes == ("batch size 1600, learning rate 1e-3, width 512",)
    assert [made.name for made in run_tables(averaged)] == ["metrics", "folds"]


def test_a_long_table_breaks_over_pages(tmp_path: Path) -> None:
    trials = pd.DataFrame({"trial": range(50), "batch_size": range(16, 66), "dropout": [n / 100 for n in range(50)]})
    write_shaped(
        tmp_path,
        "regime1",
        trials,
        folds=2,
        epochs=1,
        study={"name": "regime1", "title": "Regime I", "numbers": {"best-trials": "1.4"}},
    )
    averaged = read(tmp_path, "regime1")
    latex = all_trials(averaged).latex()
    assert latex.count(r"\begin{longtable}") == 1
    assert latex.count(r"\toprule") == 2  # on the first page, and on each that follows
    _check_latex(latex)
    top = best_trials(averaged)
    assert (top.number, len(top.rows)) == ("1.4", 10)
    assert "the 10 best of 50 trials" in top.caption


def test_studies_are_compared_in_the_order_given(tmp_path: Path) -> None:
    for run, title in (("b", "Second"), ("a", "First")):
        described = {"name": run, "title": title}
        write_run(
            tmp_path,
            run,
            pd.DataFrame({"trial": [0]}),
            {(0, 0): history([0.5, 0.6])},
            folds=1,
            study=described,
        )
    table = comparison([read(tmp_path, "b"), read(tmp_path, "a")])
    assert table.number is None
    assert [row[0] for row in table.cells()] == ["Second", "First"]
    assert table.cells()[0][1] == "0.6000"
    assert frame_of(table)["run"].tolist() == ["b", "a"]
    same = comparison([read(tmp_path, "b"), read(tmp_path, "b")])
    assert same.headings()[:2] == ("Study", "Run")


def test_the_csv_equals_the_published_table_to_the_last_digit(tmp_path: Path, repository: Path) -> None:
    table = best_trials(read(tmp_path, write_golden(tmp_path, repository)))
    rows = [line.split(",") for line in table.csv().splitlines()[1:]]
    assert [(float(row[2]), float(row[3]), row[4]) for row in rows] == [
        (rate, epsilon, repr(value)) for rate, epsilon, value in PUBLISHED
    ]


def test_names_for_people() -> None:
    assert [title_of(name) for name in ("val_auroc", "val_loss", "f1", "batch_size")] == [
        "Validation AUROC",
        "Validation loss",
        "F1",
        "Batch size",
    ]


def test_a_pipe_in_a_cell_does_not_end_it() -> None:
    table = Table("pipes", "Pipes.", (Column("a", "a", numeric=False),), (Row({"a": "x|y"}),))
    assert "| x\\|y |" in table.markdown()
    assert table.csv() == "a\nx|y\n"


def test_numbers_of_the_thesis_are_the_study_files_own(tmp_path: Path) -> None:
    """Fault 7: the shape of a search gave anyone's table the thesis's number."""
    numbers = {"best-trials": "1.5", "final-hyperparameters": "1.6"}
    write_tiny(tmp_path, "others")
    write_run(
        tmp_path,
        "own",
        TINY_TRIALS,
        {t: history(v) for t, v in TINY_VAL_AUROC.items()},
        folds=2,
        study={"name": "regime2", "numbers": numbers},
    )
    assert {table.number for table in run_tables(read(tmp_path, "others"))} == {None}
    found = {table.name: table.number for table in run_tables(read(tmp_path, "own"))}
    assert {name: number for name, number in found.items() if number} == numbers


def test_the_final_hyperparameters_are_the_chosen_trials_and_the_studys(tmp_path: Path) -> None:
    study = {"name": "s", "training": {"batch_size": 32, "epsilon": 1e-5}, "model": {"dropout": 0.2}}
    write_run(tmp_path, "r", TINY_TRIALS, {t: history(v) for t, v in TINY_VAL_AUROC.items()}, folds=2, study=study)
    table = final_hyperparameters(read(tmp_path, "r"))
    assert table is not None
    assert dict(row[:2] for row in table.cells()) == {
        "Batch size": "32",
        "Dropout": "0.2",
        "Epsilon": "1e-7",
        "Learning rate": "1e-2",
    }


def test_averaging_is_said_where_precision_is_shown(tiny: Aggregate) -> None:
    """Fault 8: two figures of one name with no word of how they are averaged."""
    for table in (metrics(tiny), folds(tiny), all_trials(tiny), comparison([tiny])):
        assert "precision and recall count all labels together (micro average)" in table.caption
    assert "micro" not in best_trials(tiny).caption


def test_a_metric_that_the_run_does_not_have_has_no_column(tmp_path: Path) -> None:
    """Fault 5: a published run may have its epochs and val_auroc alone."""
    bare = {t: history(v)[["epoch", "val_auroc"]] for t, v in TINY_VAL_AUROC.items()}
    write_run(tmp_path, "bare", TINY_TRIALS, bare, folds=2)
    averaged = read(tmp_path, "bare")
    assert all_trials(averaged).headings() == ("Rank", "Trial", "Learning rate", "Epsilon", "AUROC", "Epoch")
    assert [row[0] for row in metrics(averaged).cells()] == ["AUROC"]
    assert metrics(averaged).cells()[0][1] == "–"
    assert "micro" not in all_trials(averaged).caption


def test_every_table_that_takes_a_number_may_be_given_one(repository: Path) -> None:
    sources = (repository / "rustk" / "report" / "tables").glob("*.py")
    asked = {name for path in sources for name in re.findall(r'thesis_number\([\w.]+, "([\w-]+)"\)', path.read_text())}
    assert asked == set(NUMBERED_TABLES)


def test_what_the_study_s_search_names_counts_as_searched(tmp_path: Path) -> None:
    histories = {task: history(values) for task, values in TINY_VAL_AUROC.items()}
    study = {"name": "tiny", "search": {"kind": "mine", "parameters": {"training.batch_size": []}}}
    write_run(tmp_path, "named", TINY_TRIALS.assign(batch_size=9, dropout=0.5), histories, folds=2, study=study)
    table = final_hyperparameters(read(tmp_path, "named"))
    assert table is not None
    searched = frame_of(table).set_index("hyperparameter")["searched"].to_dict()
    assert (searched["learning_rate"], searched["batch_size"], searched["dropout"]) == ("yes", "yes", "no")
