"""What can be wrong with a row of a table of labels or with its image."""

import enum
from dataclasses import dataclass
from typing import Any

from rustk.vocabulary.errors import one_line


class FaultKind(enum.StrEnum):
    """The reasons that dataset.json knows; they say nothing that a row itself says."""

    MALFORMED_ROW = "malformed row"
    IMAGE_MISSING = "image missing"
    IMAGE_UNREADABLE = "image unreadable"
    IMAGE_LISTED_TWICE = "image listed twice"
    DUPLICATE_PIXELS = "duplicate pixels"
    LABEL_OUT_OF_RANGE = "label out of range"
    UNKNOWN_VIEW = "unknown view"
    UNKNOWN_SPLIT = "unknown split"
    PATIENT_MISSING = "patient missing"
    PATIENT_IN_BOTH_SPLITS = "patient in both splits"


@dataclass(frozen=True, order=True)
class Fault:
    """One fault of one row. `row` counts as a spreadsheet does: the header is row 1. `image` may be blank."""

    row: int
    kind: FaultKind
    image: str
    message: str

    def line(self, table: str) -> str:
        """The fault in one line, control characters escaped, for who has the table at hand; never for the store."""
        where = f"{table} row {self.row}: {one_line(self.image)}" if self.image else f"{table} row {self.row}"
        return f"{one_line(where, 1000)}: {one_line(self.message, 1000)}"

    def record(self) -> dict[str, Any]:
        """What dataset.json keeps of a skipped row: no name, path or cell of it."""
        return {"row": self.row, "reason": self.kind.value}
