"""The page of several runs compared."""

from collections.abc import Sequence

from rustk.report.evaluation.comparison import compare
from rustk.report.page.render import NOT_CLINICAL, render, table_block
from rustk.report.page.report import Report
from rustk.report.page.run import describe_run
from rustk.report.tables.comparison import comparison, differences, summary
from rustk.report.tables.table import Table


def comparison_tables(reports: Sequence[Report]) -> list[Table]:
    """The tables of a comparison: metrics side by side first, then what each run is worth, and every pair."""
    return _tables(reports)[0]


def write_comparison_page(reports: Sequence[Report], written: str = "") -> bytes:
    """The page of several runs compared, in the order given. `written`: as for `write_page`."""
    tables, reasons = _tables(reports)
    runs = [describe_run(report) for report in reports]
    for run in runs:  # a comparison has no figures of a run's in its own folder
        run["best"]["links"] = []
    flagged = [run for run in runs if run["flagged"]]
    return render(
        "comparison.html.j2",
        title=f"{len(runs)} runs compared",
        subtitle=", ".join(run["run"] for run in runs),
        banners=sorted({banner for run in runs for banner in run["banners"]}),
        contents=[
            *([("audit", "Audit")] if flagged else []),
            ("compared", "The studies"),
            ("pairs", "Differences"),
            *((f"run-{place}", run["title"]) for place, run in enumerate(runs, start=1)),
        ],
        page_foot=f"rustk · comparison of {len(runs)} runs · {NOT_CLINICAL}",
        written=written,
        runs=runs,
        flagged=flagged,
        tables={table.name: table_block(table) for table in tables},
        reasons=reasons,
    )


def _tables(reports: Sequence[Report]) -> tuple[list[Table], list[str]]:
    """(tables, why a pair lacks something)."""
    analyses = [report.analysis for report in reports]
    floors = {report.analysis.aggregate.results.run: report.floor for report in reports if report.floor is not None}
    titles = {a.aggregate.results.run: a.aggregate.results.title for a in analyses}
    if len(set(titles.values())) < len(titles):
        titles = {run: run for run in titles}
    from rustk.report.page.verdict import judge

    pairs = compare(analyses)
    tables = [
        comparison([analysis.aggregate for analysis in analyses], floors=floors),
        summary(analyses, [judge(analysis).headline for analysis in analyses]),
        differences(pairs, titles),
    ]
    return tables, [f"{titles[p.first]} and {titles[p.second]}: {why}." for p in pairs for why in p.reasons]
