"""Charts for print: PNG at 300 dpi, SVG and PDF, the same bytes for the same numbers.

matplotlib draws the lines and sets the words; where they stand is decided here (`arrange`), without its axes, whose
layout takes longer than all the drawing. Nothing is registered with pyplot; settings hold only within `files_of`.
"""

import contextlib
import io
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from rustk.report.charts.base import Chart, Dot, Key, Panel
from rustk.report.charts.base.layout import Box, draw_panel
from rustk.report.charts.base.sheet import SIZE, SMALL, Look, Sheet, Words, width_of
from rustk.report.data.numbers import with_superscripts

WIDTH = 7.2 * 72  # points: the text width of most journals
DPI = 300

_TITLE = 10.5
_LINE = 1.3  # between base lines, in sizes
_MARGIN = 6.0
_SETTINGS = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that figures are the same on every machine
    "svg.fonttype": "path",
    "svg.hashsalt": "rustk",
    "pdf.fonttype": 42,
    "pdf.compression": 6,
}
# Without these, each save would write when and by which version it was made.
_METADATA: dict[str, dict[str, str | None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
# How letters are set together, and what the font is called: its largest tables, which no reader of a PDF looks at.
_LEFT_OUT = ("GSUB", "GPOS", "GDEF", "kern", "name")


def arrange(chart: Chart) -> Sheet:
    """Everything of a chart at its place on a sheet of the width of a journal's text."""
    sheet = Sheet()
    if chart.scale is not None and chart.scale.dark_high:
        sheet.colours = sheet.colours.reversed()
    top = _MARGIN
    for text, size in (
        *((line, _TITLE) for line in wrapped(with_superscripts(chart.title), _TITLE, WIDTH - 12)),
        *((line, SIZE) for line in wrapped(chart.note, SIZE, WIDTH - 12)),
    ):
        top += size * _LINE
        sheet.words.append(Words(_MARGIN, top - size * 0.25, text, size))
    right = WIDTH - _MARGIN - (62 if chart.scale else 0)
    columns = min(chart.columns, len(chart.panels))
    headings = [
        [line for text in panel.heading for line in wrapped(with_superscripts(text), SIZE, (WIDTH - 60) / columns - 6)]
        for panel in chart.panels
    ]
    rows = -(-len(chart.panels) // columns)
    lefts = [
        _left_of(panel, shown=not chart.shared or place % columns == 0) for place, panel in enumerate(chart.panels)
    ]
    indents = [max(lefts[column::columns]) for column in range(columns)]
    width = (right - _MARGIN - sum(indents) - 10 * (columns - 1)) / columns
    first_top = top
    for row in range(rows):
        here = range(row * columns, min((row + 1) * columns, len(chart.panels)))
        top += 8 + max(len(headings[place]) for place in here) * SIZE * _LINE
        last = row == rows - 1 or not chart.shared
        bottom = top + chart.height * 72
        left = _MARGIN
        for place in here:
            column = place - row * columns
            left += indents[column]
            box = Box(left, top, left + width, bottom)
            # Below a panel without a neighbour underneath, the axis is written too.
            written = last or place + columns >= len(chart.panels)
            _draw_one(sheet, chart, place, box, headings[place], x_written=written)
            left += width + 10
        top = bottom + (SMALL + SIZE + 14 if last else 4)
    if rows > 1 and chart.shared and len(chart.panels) % columns:
        top += 2
    if chart.scale is not None:
        _draw_scale(sheet, chart, Box(right + 10, first_top + 8, right + 20, bottom))
    top = _draw_legend(sheet, chart.legend, top + 2)
    sheet.height = top + _MARGIN
    return sheet


def figure_of(chart: Chart) -> Figure:
    """The chart as a figure to be shown or changed; pyplot does not know it."""
    sheet = arrange(chart)
    figure = Figure(figsize=(WIDTH / 72, sheet.height / 72), facecolor="white")
    figure.add_artist(sheet)
    return figure


def files_of(chart: Chart) -> dict[str, bytes]:
    """File name to content, as PNG, SVG and PDF; the same bytes each time."""
    sheet = arrange(chart)
    settings = {**matplotlib.rcParamsDefault, **_SETTINGS, "backend": matplotlib.rcParams["backend"]}
    with matplotlib.rc_context(settings), _small_fonts():
        figure = Figure(figsize=(WIDTH / 72, sheet.height / 72), facecolor="white")
        figure.add_artist(sheet)
        found = {}
        for kind, metadata in _METADATA.items():
            sink = io.BytesIO()
            titled = {} if kind == "png" else {"Title": chart.caption}  # PNG has no room for letters such as ±
            more: dict[str, Any] = {"dpi": DPI, "pil_kwargs": {"compress_level": 3}} if kind == "png" else {}
            figure.savefig(sink, format=kind, metadata={**metadata, **titled}, **more)
            found[f"{chart.name}.{kind}"] = sink.getvalue()
    return found


@contextlib.contextmanager
def _small_fonts() -> Iterator[None]:
    """Within it, matplotlib embeds fonts without the tables that take most of the time to cut, and are not used."""
    from fontTools.subset import Options

    before = Options._drop_tables_default  # no option of matplotlib's leads there
    Options._drop_tables_default = [*before, *_LEFT_OUT]
    try:
        yield
    finally:
        Options._drop_tables_default = before


def wrapped(text: str, size: float, width: float) -> list[str]:
    """The text in lines that fit a width in points."""
    if not text:
        return []
    mean = width_of(text, size) / len(text)
    for characters in range(max(8, int(width / mean) + 6), 8, -1):
        lines = textwrap.wrap(text, characters)
        if all(width_of(line, size) <= width for line in lines):
            return lines
    return textwrap.wrap(text, 8)


def _left_of(panel: Panel, *, shown: bool) -> float:
    """The room that a panel's tick texts and label take on its left."""
    if not shown:
        return 6.0
    widest = max((width_of(with_superscripts(text), SMALL) for _, text in panel.y.ticks), default=0.0)
    return widest + 6 + (SIZE * 1.5 if panel.y.label else 0)


def _draw_one(sheet: Sheet, chart: Chart, place: int, box: Box, heading: list[str], *, x_written: bool) -> None:
    panel = chart.panels[place]
    y_written = not chart.shared or place % min(chart.columns, len(chart.panels)) == 0
    draw_panel(sheet, panel, box, size=SMALL, tick_texts=(x_written, y_written))
    if panel.grid:
        for ends in ([(box.left, box.top), (box.left, box.bottom)], [(box.left, box.bottom), (box.right, box.bottom)]):
            sheet.add(ends, Look(width=0.7))
    for number, text in enumerate(heading):
        above = (len(heading) - number - 1) * SIZE * _LINE + 4
        sheet.words.append(Words((box.left + box.right) / 2, box.top - above, text, SIZE, "middle"))
    if x_written:
        sheet.text((box.left + box.right) / 2, box.bottom + SMALL + SIZE + 8, panel.x.label, "axis")
    if y_written and panel.y.label:
        at = box.left - _left_of(panel, shown=True) + SIZE * 0.9
        sheet.text(at, (box.top + box.bottom) / 2, panel.y.label, "upright")


def _draw_scale(sheet: Sheet, chart: Chart, box: Box) -> None:
    """The colour bar, with its ticks and the floor on it."""
    scale = chart.scale
    if scale is None:
        return
    steps = 64
    height = (box.bottom - box.top) / steps
    for step in range(steps):
        top = box.bottom - (step + 1) * height
        corners = [(box.left, top), (box.right, top), (box.right, top + height), (box.left, top + height)]
        colour = sheet.shade((step + 0.5) / steps)
        sheet.add(corners, Look(colour, 0.4, fill=colour), closed=True)

    def y(value: float) -> float:
        return box.bottom - (scale.share(value) or 0.0) * (box.bottom - box.top)

    widest = max((width_of(text, SMALL) for _, text in scale.ticks), default=0.0)
    for value, text in scale.ticks:
        sheet.words.append(Words(box.right + 4, y(value) + 3, with_superscripts(text), SMALL))
    if scale.floor is not None:
        ends = [(box.left, y(scale.floor)), (box.right, y(scale.floor))]
        sheet.add(ends, Look("white", 3.2))
        sheet.add(ends, Look("black", 1.6, (2.2, 1.1)))
    sheet.words.append(
        Words(box.right + 4 + widest + 13, (box.top + box.bottom) / 2, scale.label, SIZE, "middle", upright=True)
    )


def _draw_legend(sheet: Sheet, legend: Sequence[Key], top: float) -> float:
    """The legend below the panels, centred, in as many columns as fit; where it ends."""
    if not legend:
        return top
    keys = [(key, with_superscripts(key.label)) for key in legend]
    for columns in range(min(4, len(keys)), 0, -1):
        widths = [max(width_of(text, SMALL) for _, text in keys[column::columns]) + 34 for column in range(columns)]
        if sum(widths) <= WIDTH - 2 * _MARGIN or columns == 1:
            break
    start = max(_MARGIN, (WIDTH - sum(widths)) / 2)
    for place, (key, text) in enumerate(keys):
        row, column = divmod(place, columns)
        lines = wrapped(text, SMALL, WIDTH - 2 * _MARGIN - 34) if columns == 1 else [text]
        y = top + (row + 1) * SMALL * 1.55
        x = start + sum(widths[:column])
        _draw_key(sheet, key, x, y - SMALL * 0.35)
        for line in lines:
            sheet.words.append(Words(x + 26, y, line, SMALL))
            y += SMALL * 1.3 if len(lines) > 1 else 0
        if len(lines) > 1:
            top += SMALL * 1.3 * (len(lines) - 1)
    return top + -(-len(keys) // columns) * SMALL * 1.55 + 2


def _draw_key(sheet: Sheet, key: Key, x: float, y: float) -> None:
    if key.shape == "-":
        sheet.line([(x, y), (x + 20, y)], key.role)
    elif key.shape == "-o":
        sheet.line([(x, y), (x + 20, y)], key.role)
        sheet.dot(x + 10, y, Dot(0, 0, "mark", size=2.6))
    else:
        sheet.dot(x + 10, y, Dot(0, 0, key.role, shape=key.shape, size=3.6))


def warm_up() -> None:
    """Import what saving figures needs, before there are any."""
    import matplotlib.backends.backend_agg
    import matplotlib.backends.backend_pdf
    import matplotlib.backends.backend_svg  # noqa: F401

    width_of("0", SIZE)
