"""`rustk aggregate`: from histories to tables, figures and a page."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rustk.cli.completion import complete_run
from rustk.cli.context import JsonOption, StoreOption, settings, store_from
from rustk.cli.output_folder import check_files, check_folder, write_files
from rustk.cli.steps import Steps

if TYPE_CHECKING:
    from rustk.report.charts.base import Chart
    from rustk.report.charts.base.printer import Printer
    from rustk.report.page.report import Report
    from rustk.report.tables.table import Table
    from rustk.store import Store

_SHOWN_ROWS = 11  # the ten best trials and the floor
_PIPED_WIDTH = 160  # a log or a file has no width of its own to fold rows at, unless COLUMNS says so


def aggregate(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="A run, or a study that has one run. Several are compared as well.",
            autocompletion=complete_run,
        ),
    ],
    allow_partial: Annotated[
        bool, typer.Option("--allow-partial", help="Average over the folds there are, and mark what is averaged so.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Copy the report into this folder too.", show_default=False)
    ] = None,
    with_images: Annotated[
        bool,
        typer.Option(
            "--with-images",
            help="Show the examples that `rustk final --with-images` made: pictures of the test split's patients.",
        ),
    ] = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Average the folds of finished runs; write their tables, figures and page into the store."""
    import json as json_module

    from rustk.report.charts.base.printer import Printer

    # First of all: what prints has as much to import as what reads.
    with Steps() as steps, Printer() as printer:
        opened = store_from(settings(store=store))
        if output is not None:
            check_folder(output, opened.url)
        from rustk.store.run_list import find_run

        names = list(dict.fromkeys(find_run(opened, name) for name in runs))
        if with_images:
            _check_pictures(opened, names)
        reports = [_report(opened, name, allow_partial, with_images, steps, printer) for name in names]
        files = _files(reports, steps)
        shown = [reports[0].first_table]
        prefixes = {_run_of(report): _prefix(report) for report in reports}
        if len(reports) > 1:
            shown = _compare(reports, files, prefixes)
        steps.say("drawing figures")
        _add_figures(files, printer)
        steps.say("writing the report")
        folders = {name: None if output is None else _folder(output, name, reports) for name in files}
        for name, folder in folders.items():
            if folder is not None:
                check_files(files[name], folder)
        where = {name: _write(opened, prefixes[name], part, folders[name]) for name, part in files.items()}
    last = list(where.values())[-1]
    if json:
        described = [_describe(report, where[_run_of(report)]) for report in reports]
        typer.echo(json_module.dumps({"runs": described, "report": last}, indent=2, allow_nan=False))
        return
    for table in shown:
        _print_table(table)
    typer.echo(f"report {last}")


_COMPARISON = ""  # what the files of a comparison stand under, beside those of each run


def _check_pictures(store: "Store", runs: list[str]) -> None:
    """Raise BadStudy, before anything is computed, for a run whose final model has no examples."""
    from rustk.report.evaluation.examples import load_examples
    from rustk.store.seal import read_card

    for run in runs:
        load_examples(store, run, read_card(store, run))


def _report(
    store: "Store", run: str, allow_partial: bool, with_images: bool, steps: Steps, printer: "Printer"
) -> "Report":
    steps.say(f"reading {run}")
    from rustk.report.data.aggregate import aggregate as average_folds
    from rustk.report.data.results import load_run

    averaged = average_folds(load_run(store, run), allow_partial=allow_partial)
    steps.say(f"evaluating {run}")
    from rustk.report.evaluation.analysis import analyse
    from rustk.report.evaluation.sealed import load_sealed_test
    from rustk.report.page.report import describe_early, make_report

    early: dict[str, Chart | None] = {}

    def print_early(floor: float | None) -> None:
        early.update(describe_early(averaged, floor))
        printer.print({run: [chart for chart in early.values() if chart is not None]})

    sealed = load_sealed_test(store, run, with_images=with_images)
    report = make_report(analyse(averaged, on_floor=print_early), sealed, early)
    printer.print({run: [chart for chart in report.charts.values() if chart not in early.values()]})
    return report


def _files(reports: "list[Report]", steps: Steps) -> dict[str, dict[str, bytes]]:
    """Tables and page of each run, by their path below its report's folder."""
    from rustk.report.page.report import table_files
    from rustk.report.page.run import write_page

    found = {}
    for report in reports:
        steps.say(f"writing the page of {_run_of(report)}")
        found[_run_of(report)] = {
            **table_files(report.tables.values()),
            **report.methods.files(),
            "index.html": write_page(report),
        }
    return found


def _compare(reports: "list[Report]", files: dict[str, dict[str, bytes]], prefixes: dict[str, str]) -> "list[Table]":
    """Put the comparison beside the runs; the tables to show: the runs side by side, and their differences."""
    from rustk.report.page.comparison import comparison_tables, write_comparison_page
    from rustk.report.page.report import table_files
    from rustk.vocabulary.names import comparison_prefix

    tables = comparison_tables(reports)
    prefixes[_COMPARISON] = comparison_prefix([_run_of(report) for report in reports])
    files[_COMPARISON] = {**table_files(tables), "index.html": write_comparison_page(reports)}
    return [tables[0], tables[-1]]


def _add_figures(files: dict[str, dict[str, bytes]], printer: "Printer") -> None:
    from rustk.report.page.report import chart_paths

    for run, printed in printer.files().items():
        files[run].update(chart_paths(printed))


def _write(store: "Store", prefix: str, files: dict[str, bytes], output: Path | None) -> str:
    """Write files into `output`, and below `prefix` of the store; the address to name to the user."""
    from rustk.report.data.results import in_threads

    # The folder first: where that fails, the store holds no report of a command that failed.
    if output is not None:
        write_files(files, output)
    in_threads(lambda item: store.write(prefix + item[0], item[1]), files.items())
    return f"{store.url}/{prefix}index.html" if output is None else str(output / "index.html")


def _folder(output: Path, name: str, reports: "list[Report]") -> Path:
    return output / name if len(reports) > 1 else output


def _prefix(report: "Report") -> str:
    from rustk.vocabulary.names import report_prefix

    return report_prefix(_run_of(report))


def _run_of(report: "Report") -> str:
    return report.analysis.aggregate.results.run


def _print_table(table: "Table") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as RichTable

    console = Console()
    if not console.is_terminal and not os.environ.get("COLUMNS", "").isdigit():
        console = Console(width=_PIPED_WIDTH)
    rows, columns = table.cells()[:_SHOWN_ROWS], table.shown("files")
    kept = _fitting(table, rows, console.width)
    shown = RichTable(box=None, pad_edge=False)
    for place in kept:
        column = columns[place]
        shown.add_column(escape(column.heading), justify="right" if column.numeric else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(escape(row[place]) for place in kept))
    console.print(table.full_caption, highlight=False, markup=False)
    console.print()
    console.print(shown, highlight=False)
    if len(kept) < len(columns):
        left_out = [column.heading for place, column in enumerate(columns) if place not in kept]
        console.print(f"Not shown for want of room: {', '.join(left_out)}.", highlight=False, markup=False)
    console.print()


def _fitting(table: "Table", rows: list[tuple[str, ...]], width: int) -> list[int]:
    """Which columns are shown: all that fit; metrics beside the figure of merit are left out first."""
    columns = table.shown("files")
    kept = list(range(len(columns)))

    def needed(place: int) -> int:
        words = columns[place].heading.split() + [row[place] for row in rows]
        return max(len(word) for word in words)

    def droppable() -> list[int]:
        spare = [p for p in kept if columns[p].key.startswith("val_") and columns[p].key != "val_auroc"]
        return spare or [p for p in kept[1:] if columns[p].key not in ("val_auroc", "validation")]

    while sum(needed(place) + 2 for place in kept) - 2 > width and droppable():
        kept.remove(droppable()[-1])
    return kept


def _describe(report: "Report", where: str) -> dict[str, Any]:
    """A run for a script: every trial with every digit; null where there is no value."""
    import math

    averaged = report.analysis.aggregate
    results = averaged.results

    def plain(value: Any) -> Any:
        if type(value).__name__ == "NAType" or (isinstance(value, float) and not math.isfinite(value)):
            return None
        return value.item() if hasattr(value, "item") else value

    trials = [{name: plain(value) for name, value in row.items()} for row in averaged.trials.to_dict(orient="records")]
    return {
        "run": results.run,
        "study": results.name,
        "report": where,
        "floor": report.floor,
        "planned": results.study.planned.model_dump(mode="json"),
        "missing": [{"trial": int(trial), "fold": int(fold)} for trial, fold in results.missing],
        "dropped": [{"trial": trial, "round": number} for trial, number in results.dropped.items()],
        "best": trials[0],
        "trials": trials,
    }
