"""From what a page shows to one HTML file that holds everything and loads nothing."""

from functools import cache
from html import escape
from typing import Any

import rustk
from rustk.report.charts.base import Chart, Panel
from rustk.report.charts.base.svg import panel_svg
from rustk.report.data.numbers import with_superscripts
from rustk.report.page.report import CHART_FORMATS, FIGURES, TABLE_FORMATS, TABLES
from rustk.report.tables.table import Table

NOT_CLINICAL = "not for clinical use"
_TITLES = {"md": "Markdown", "tex": "TeX"}


def render(template: str, **context: Any) -> bytes:
    """The page of a template, UTF-8. `banners` stand on every printed sheet."""
    banners = context["banners"]
    page = _environment().get_template(template)
    return page.render(version=rustk.__version__, page_head=" · ".join(banners), **context).encode()


def table_block(table: Table, *, sortable: bool = True, others: tuple[Table, ...] = ()) -> dict[str, Any]:
    """A table for the template. others: tables whose files are linked beside its own."""
    columns = table.shown("page")
    rows = []
    for row, texts in zip(table.rows, table.cells("page"), strict=True):
        cells: list[dict[str, Any]] = []
        for column, text in zip(columns, texts, strict=True):
            if row.label and cells and len(cells) == 1 and not text:
                cells[0]["span"] += 1  # the label spans the empty columns after it
                continue
            html = column.html(row.record) if column.html else ""
            link = column.link(row.record) if column.link and not row.label else ""
            sort = None if row.label else column.sort_key(row.record)
            cells.append({"text": text, "html": html, "link": link, "sort": sort, "span": 1, "column": column})
        rows.append({"cells": cells, "kind": row.kind, "last": bool(row.label)})
    return {
        "title": table.title,
        "number": f"Table {table.number}" if table.number else "",
        "caption": table.caption,
        "notes": table.notes,
        "columns": columns,
        "rows": [row for row in rows if not row["last"]],
        "last": [row for row in rows if row["last"]],
        "sortable": sortable,
        "links": [link for one in (table, *others) for link in _table_links(one, named=bool(others))],
    }


def chart_block(chart: Chart, *, toggled: bool = False) -> dict[str, Any]:
    """A chart for the template: a drawing a panel, its words, its legend, links to its printed files.

    toggled: whether its folds can be hidden.
    """
    wide = len(chart.panels) == 1
    width, height = (760.0, max(300.0, chart.height * 110)) if wide else (460.0, 280.0)
    if chart.columns == 3:
        width, height = 340.0, 220.0
    return {
        "number": f"Figure {chart.number}" if chart.number else "",
        "caption": chart.caption,
        "note": chart.note,
        "kind": "wide-frame" if wide else f"grid-{chart.columns}",
        "panels": [panel_block(panel, width, height, "wide" if wide else "") for panel in chart.panels],
        "legend": chart.legend,
        "scale": chart.scale,
        "links": [(kind.upper(), f"{FIGURES}/{chart.name}.{kind}") for kind in CHART_FORMATS],
        "folds": folds_of(chart.panels) if toggled else [],
        "title": chart.name.replace("-", " "),
    }


def panel_block(panel: Panel, width: float = 460, height: float = 280, kind: str = "") -> dict[str, Any]:
    """One panel for the template."""
    title = panel.alt or f"{panel.y.label} against {panel.x.label}"
    if panel.heading:
        title = f"{panel.heading[0]}: {title}"
    return {"svg": markup(panel_svg(panel, title, width=width, height=height, kind=kind)), "heading": panel.heading}


def folds_of(panels: tuple[Panel, ...]) -> list[str]:
    """The folds that have lines in these panels, in order."""
    keys = dict.fromkeys(key for panel in panels for mark in panel.marks if (key := getattr(mark, "key", "")))
    return sorted(keys, key=int)


def markup(text: str) -> Any:
    """Text that is HTML already."""
    from markupsafe import Markup

    return Markup(text)


def _table_links(table: Table, *, named: bool) -> list[tuple[str, str]]:
    name = f"{table.title} " if named else ""
    return [(f"{name}{_TITLES.get(kind, kind.upper())}", f"{TABLES}/{table.name}.{kind}") for kind in TABLE_FORMATS]


@cache
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    loader = PackageLoader("rustk.report.page", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["super"] = lambda text: Markup(escape(with_superscripts(str(text))))
    environment.filters["css"] = _css_string
    environment.filters["html"] = Markup
    for name in ("style.css", "script.js"):
        source, _, _ = loader.get_source(environment, name)
        environment.globals[name.partition(".")[0]] = Markup(source)
    return environment


def _css_string(text: str) -> Any:
    """The text within a CSS string: what could end it, or the style element, is written as a number."""
    return markup("".join(c if c.isalnum() or c in " -_.,:()·—" else f"\\{ord(c):x} " for c in text))
