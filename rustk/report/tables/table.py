"""The table model: a table is said once, and stands so in CSV (every digit), Markdown, LaTeX and on the page."""

import csv
import io
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rustk.report.data.numbers import escape_latex, format_mean, format_value, is_absent

Record = Mapping[str, Any]
Form = Literal["files", "page"]

# A table longer than this does not fit on a page: LaTeX has to break it.
_PAGE_ROWS = 45


@dataclass(frozen=True)
class Column:
    """A shown column.

    key: of the value in a record, under which it sorts. show: a record's text; without it, the value as it reads best.
    where: shown in files (Markdown and LaTeX), on the page, or in both. first_up: sorts ascending at the first click.
    kind: a class of the page's style sheet. html: what the page draws instead of the text, safe markup.
    link: where the page's cell leads, empty for nowhere.
    """

    key: str
    heading: str
    show: Callable[[Record], str] | None = None
    numeric: bool = True
    where: tuple[Form, ...] = ("files", "page")
    first_up: bool = False
    unsorted: bool = False
    kind: str = ""
    html: Callable[[Record], str] | None = None
    link: Callable[[Record], str] | None = None

    def text(self, record: Record) -> str:
        """The cell of a record as text; empty where the record has nothing of this column."""
        if self.key not in record:
            return ""
        return format_value(record[self.key]) if self.show is None else self.show(record)

    def sort_key(self, record: Record) -> float | str | None:
        """What the page sorts a cell by: the number, nothing for an absent one, None for the text itself."""
        value = record.get(self.key)
        if is_absent(value):
            return ""
        if isinstance(value, numbers.Number):
            number = float(value)  # type: ignore[arg-type]
            return int(number) if number.is_integer() else number
        return None


@dataclass(frozen=True)
class Row:
    """One row. kind: best, floor, mean, fault or nothing. label: what stands in the first column in place of its value,
    across the empty columns that follow; such a row stays last, whatever is sorted. in_csv: whether the CSV has it."""

    record: Record
    kind: str = ""
    label: str = ""
    in_csv: bool = True


@dataclass(frozen=True)
class Table:
    """name: the stem of its files. number: of the table in the thesis, as `1.5`, or None.

    csv_keys: the CSV's columns, where they are not those of `columns`. notes: what must be known beside the caption.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    number: str | None = None
    csv_keys: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    label: str = ""

    @property
    def title(self) -> str:
        """What the page calls it."""
        return self.label or self.name.replace("-", " ")

    @property
    def full_caption(self) -> str:
        """The caption with its notes, as one paragraph."""
        return " ".join([self.caption, *(f"{note[0].upper()}{note[1:].rstrip('.')}." for note in self.notes)])

    def shown(self, form: Form) -> tuple[Column, ...]:
        """The columns of one form, in order."""
        return tuple(column for column in self.columns if form in column.where)

    def cells(self, form: Form = "files") -> list[tuple[str, ...]]:
        """Every row's texts."""
        columns = self.shown(form)
        found = []
        for row in self.rows:
            texts = [column.text(row.record) for column in columns]
            if row.label:
                texts[0] = row.label
            found.append(tuple(texts))
        return found

    def headings(self, form: Form = "files") -> tuple[str, ...]:
        return tuple(column.heading for column in self.shown(form))

    def csv(self) -> str:
        """Every digit of every float64 (their shortest exact form), a heading line, nothing for what is absent."""
        keys = self.csv_keys or tuple(dict.fromkeys(column.key for column in self.columns))
        sink = io.StringIO()
        writer = csv.writer(sink, lineterminator="\n")
        writer.writerow(keys)
        for row in self.rows:
            if row.in_csv:
                writer.writerow([_exact(row.record.get(key)) for key in keys])
        return sink.getvalue()

    def markdown(self) -> str:
        """A GitHub table below its caption, its columns aligned for reading as text too."""
        columns = self.shown("files")
        cells = [[_one_line(cell).replace("|", "\\|") for cell in row] for row in (self.headings(), *self.cells())]
        widths = [max(3, *(len(row[place]) for row in cells)) for place in range(len(columns))]

        def line(row: Sequence[str]) -> str:
            padded = (
                cell.rjust(width) if column.numeric else cell.ljust(width)
                for cell, width, column in zip(row, widths, columns, strict=True)
            )
            return f"| {' | '.join(padded)} |"

        rule = [
            "-" * (width - 1) + ":" if column.numeric else "-" * width
            for width, column in zip(widths, columns, strict=True)
        ]
        label = f"Table {self.number}. " if self.number else ""
        rest = self.full_caption.removeprefix(self.caption)
        head = f"**{label}{self.caption}**{rest}"
        return "\n".join([head, "", line(cells[0]), line(rule), *map(line, cells[1:]), ""])

    def latex(self) -> str:
        r"""A booktabs table (`\usepackage{booktabs}`); a long one as a longtable (`\usepackage{longtable}`)."""
        shown = self.shown("files")
        columns = "".join("r" if column.numeric else "l" for column in shown)
        heading = " & ".join(escape_latex(column.heading) for column in shown) + r" \\"
        body = [
            " & ".join(
                escape_latex(_one_line(cell), numeric=column.numeric) for cell, column in zip(row, shown, strict=True)
            )
            + r" \\"
            for row in self.cells()
        ]
        caption = rf"\caption{{{escape_latex(self.full_caption)}}}"
        label = rf"\label{{tab:{self.name}}}"
        if len(body) > _PAGE_ROWS:
            lines = [
                r"% Needs \usepackage{booktabs,longtable}.",
                rf"\begin{{longtable}}{{{columns}}}",
                rf"{caption} {label} \\",
                *(r"\toprule", heading, r"\midrule", r"\endfirsthead"),
                *(r"\toprule", heading, r"\midrule", r"\endhead"),
                *(r"\bottomrule", r"\endfoot"),
                *body,
                r"\end{longtable}",
            ]
        else:
            lines = [
                r"% Needs \usepackage{booktabs}.",
                r"\begin{table}[htbp]",
                r"\centering",
                caption,
                label,
                rf"\begin{{tabular}}{{{columns}}}",
                *(r"\toprule", heading, r"\midrule"),
                *body,
                r"\bottomrule",
                r"\end{tabular}",
                r"\end{table}",
            ]
        return "\n".join([*lines, ""])

    def files(self) -> dict[str, bytes]:
        """File name to content, in all three forms."""
        return {
            f"{self.name}.csv": self.csv().encode(),
            f"{self.name}.md": self.markdown().encode(),
            f"{self.name}.tex": self.latex().encode(),
        }


def mean_column(key: str, heading: str, **more: Any) -> Column:
    """A column of means: `0.7969 ± 0.0123` where the record has the deviation under `<key>_sd`."""
    return Column(key, heading, lambda record: format_mean(record[key], record.get(f"{key}_sd")), **more)


def count_column(key: str, heading: str, **more: Any) -> Column:
    """A column of whole numbers, with commas in thousands."""
    return Column(key, heading, lambda record: "–" if is_absent(record[key]) else f"{int(record[key]):,}", **more)


def word_column(key: str, heading: str, **more: Any) -> Column:
    """A column of words."""
    return Column(key, heading, lambda record: str(record[key]), numeric=False, **more)


def with_notes(columns: Sequence[Column], rows: Sequence[Row]) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """(columns, notes): a column for the rows' notes where they differ, a note of the table where all say the same."""
    said = {str(row.record.get("note") or "") for row in rows if not row.label}
    if len(said) > 1:
        return (*columns, word_column("note", "Note", kind="wrap")), ()
    return tuple(columns), tuple(note for note in said if note)


def _exact(value: Any) -> Any:
    """A value as the CSV has it: floats in their shortest exact form."""
    if is_absent(value):
        return ""
    if hasattr(value, "item"):
        value = value.item()
    return repr(value) if isinstance(value, float) else value


def _one_line(text: str) -> str:
    return " ".join(text.split()) if text != "" else ""
