"""`rustk aggregate`: from histories to tables, figures and a page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rustk.cli.context import JsonOption, StoreOption, settings, store_from

if TYPE_CHECKING:
    from rustk.report.aggregate import Aggregate
    from rustk.report.analysis import Analysis
    from rustk.report.sealed import SealedTest
    from rustk.report.table_formats import Table
    from rustk.store import Store

_SHOWN_ROWS = 11  # the ten best trials and the floor
_PIPED_WIDTH = 160  # a log or a file has no width of its own to fold rows at


def aggregate(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN_OR_STUDY...", help="A run, or a study: then its latest run. Several are compared as well."
        ),
    ],
    allow_partial: Annotated[
        bool, typer.Option("--allow-partial", help="Average over the folds there are, and mark what is averaged so.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Copy the report into this folder too.", show_default=False)
    ] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Average the folds of finished runs; write their tables, figures and page into the store."""
    import json as json_module

    opened = store_from(settings(store=store))
    names = _resolve(opened, runs)
    analyses = [_analyse(opened, name, allow_partial) for name in names]
    sealed = {analysis.aggregate.results.run: _sealed_test(opened, analysis) for analysis in analyses}
    reports = [_write_run(opened, a, sealed, _folder(output, a, len(analyses))) for a in analyses]
    shown, last = _table_of(analyses[0]), reports[0]
    if len(analyses) > 1:
        shown, last = _write_comparison(opened, analyses, sealed, output)
    if json:
        described = [_describe(analysis, where) for analysis, where in zip(analyses, reports, strict=True)]
        typer.echo(json_module.dumps({"runs": described, "report": last}, indent=2, allow_nan=False))
        return
    _print_table(shown)
    typer.echo(f"report {last}")


def _resolve(store: "Store", names: list[str]) -> list[str]:
    """The runs meant, each once; where a study has several runs, the one that is taken is said."""
    from rustk.store.runs import find_run, runs_of_study

    found: dict[str, None] = {}
    for name in names:
        run = find_run(store, name)
        if run != name and (others := [other for other in runs_of_study(store, name) if other != run]):
            listed = ", ".join(others[:5]) + (", ..." if len(others) > 5 else "")
            typer.echo(f"{name}: taking {run}, planned last (earlier: {listed})", err=True)
        found[run] = None
    return list(found)


def _analyse(store: "Store", run: str, allow_partial: bool) -> "Analysis":
    from rustk.report.aggregate import aggregate as average_folds
    from rustk.report.analysis import analyse
    from rustk.report.results import load_run

    return analyse(average_folds(load_run(store, run), allow_partial=allow_partial))


def _sealed_test(store: "Store", analysis: "Analysis") -> "SealedTest":
    from rustk.report.sealed import load_sealed_test

    results = analysis.aggregate.results
    return load_sealed_test(store, results.run, results.dataset["name"] if results.dataset else None, results.index)


def _write_run(store: "Store", analysis: "Analysis", sealed: "dict[str, SealedTest]", output: Path | None) -> str:
    """Write one run's report; where it is now."""
    from rustk.report.page import write_page
    from rustk.report.report import make_report
    from rustk.vocabulary.names import report_prefix

    report = make_report(analysis.aggregate, floor=_floor(analysis))
    files = report.files()
    run = analysis.aggregate.results.run
    files["index.html"] = write_page(analysis, report.figures, files, sealed=sealed[run])
    return _write(store, report_prefix(run), files, output)


def _write_comparison(
    store: "Store", analyses: "list[Analysis]", sealed: "dict[str, SealedTest]", output: Path | None
) -> "tuple[Table, str]":
    from rustk.report.page import write_comparison_page
    from rustk.report.report import Report
    from rustk.report.tables import comparison
    from rustk.vocabulary.names import comparison_prefix

    floors = {analysis.aggregate.results.run: _floor(analysis) for analysis in analyses}
    known = {run: floor for run, floor in floors.items() if floor is not None}
    table = comparison([analysis.aggregate for analysis in analyses], floors=known)
    prefix = comparison_prefix(list(floors))
    files = Report(tables=(table,)).files()
    files["index.html"] = write_comparison_page(analyses, table, sealed=sealed)
    return table, _write(store, prefix, files, output)


def _floor(analysis: "Analysis") -> float | None:
    """What knowing only the view scores by the studies' own figure of merit."""
    return None if analysis.floor is None else analysis.floor["auroc_200"].value


def _folder(output: Path | None, analysis: "Analysis", runs: int) -> Path | None:
    return output / analysis.aggregate.results.run if output is not None and runs > 1 else output


def _write(store: "Store", prefix: str, files: dict[str, bytes], output: Path | None) -> str:
    """Write files below `prefix` of the store, and into `output`; the address to name to the user."""
    from rustk.report.results import in_threads
    from rustk.vocabulary.errors import StoreFailed

    in_threads(lambda item: store.write(prefix + item[0], item[1]), files.items())
    page = "index.html" if "index.html" in files else ""
    if output is None:
        return f"{store.url}/{prefix}{page}".rstrip("/")
    for path, data in files.items():
        try:
            (output / path).parent.mkdir(parents=True, exist_ok=True)
            (output / path).write_bytes(data)
        except OSError as error:
            raise StoreFailed(f"could not write {output / path}: {error.strerror or error}") from error
    return str(output / page)


def _table_of(analysis: "Analysis") -> "Table":
    """What is shown first of a run: its best trials or, without a search, its metrics."""
    from rustk.report.report import weights_note
    from rustk.report.tables import run_tables

    results = analysis.aggregate.results
    return run_tables(analysis.aggregate, floor=_floor(analysis), note=weights_note(results))[0]


def _print_table(table: "Table") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as RichTable

    shown = RichTable(box=None, pad_edge=False, title_justify="left")
    for heading, numeric in zip(table.headings, table.numeric, strict=True):
        shown.add_column(escape(heading), justify="right" if numeric else "left")
    for row in table.rows[:_SHOWN_ROWS]:
        shown.add_row(*(escape(cell) for cell in row))
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPED_WIDTH)
    console.print(table.full_caption, highlight=False, markup=False)
    console.print()
    console.print(shown, highlight=False)
    console.print()


def _describe(analysis: "Analysis", report: str) -> dict[str, Any]:
    """A run for a script: every trial with every digit; null where there is no value."""
    import math

    averaged: Aggregate = analysis.aggregate
    results = averaged.results

    def plain(value: Any) -> Any:
        if type(value).__name__ == "NAType" or (isinstance(value, float) and not math.isfinite(value)):
            return None
        return value.item() if hasattr(value, "item") else value

    trials = [{name: plain(value) for name, value in row.items()} for row in averaged.trials.to_dict(orient="records")]
    return {
        "run": results.run,
        "study": results.name,
        "report": report,
        "floor": _floor(analysis),
        "planned": results.study["planned"],
        "missing": [{"trial": int(trial), "fold": int(fold)} for trial, fold in results.missing],
        "best": trials[0],
        "trials": trials,
    }
