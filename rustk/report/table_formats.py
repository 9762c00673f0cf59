"""A table in three forms: CSV with every digit, Markdown and LaTeX as people read it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from rustk.report.numbers import escape_latex

# A table longer than this does not fit on a page: LaTeX has to break it.
_PAGE_ROWS = 45


@dataclass(frozen=True)
class Table:
    """A table as it is shown (`headings`, `rows`) and as it is kept (`frame`).

    name: the stem of its files. number: the table of the thesis that is laid out so, as `1.5`, or None.
    rows: text cells, numbers as `0.7969 ± 0.0123`, powers of ten as `1e-3`. numeric: which columns hold numbers.
    frame: the CSV's columns in full precision. notes: what must be known beside the caption.
    """

    name: str
    number: str | None
    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    frame: pd.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def full_caption(self) -> str:
        """The caption with its notes, as one paragraph."""
        return " ".join([self.caption, *(f"{note[0].upper()}{note[1:].rstrip('.')}." for note in self.notes)])

    def csv(self) -> str:
        """Every digit of every float64 (their shortest exact form), a heading line, nothing for what is absent."""
        text: str = self.frame.to_csv(index=False, lineterminator="\n")
        return text

    def markdown(self) -> str:
        """A GitHub table below its caption, its columns aligned for reading as text too."""
        cells = [[cell.replace("|", "\\|") for cell in row] for row in (self.headings, *self.rows)]
        widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(self.headings))]

        def line(row: Sequence[str]) -> str:
            padded = (
                cell.rjust(width) if numeric else cell.ljust(width)
                for cell, width, numeric in zip(row, widths, self.numeric, strict=True)
            )
            return f"| {' | '.join(padded)} |"

        rule = [
            "-" * (width - 1) + ":" if numeric else "-" * width
            for width, numeric in zip(widths, self.numeric, strict=True)
        ]
        label = f"Table {self.number}. " if self.number else ""
        caption = f"**{label}{self.caption}**"
        rest = self.full_caption.removeprefix(self.caption)
        return "\n".join([caption + rest, "", line(cells[0]), line(rule), *map(line, cells[1:]), ""])

    def latex(self) -> str:
        r"""A booktabs table (`\usepackage{booktabs}`); a long one as a longtable (`\usepackage{longtable}`)."""
        columns = "".join("r" if numeric else "l" for numeric in self.numeric)
        heading = " & ".join(escape_latex(cell) for cell in self.headings) + r" \\"
        body = [
            " & ".join(escape_latex(cell, numeric=numeric) for cell, numeric in zip(row, self.numeric, strict=True))
            + r" \\"
            for row in self.rows
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
