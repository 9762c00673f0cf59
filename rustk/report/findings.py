"""What an audit says: one sentence, how bad it is, and the particulars."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

# fault: figures are wrong or biased by it. warning: they may be read wrongly. note: something could not be checked.
Severity = Literal["fault", "warning", "note", "clean"]
SEVERITIES: tuple[Severity, ...] = ("fault", "warning", "note", "clean")


@dataclass(frozen=True)
class Finding:
    key: str
    severity: Severity
    sentence: str
    details: tuple[str, ...] = ()

    @property
    def flagged(self) -> bool:
        """Whether a reader must see it before any number."""
        return self.severity in ("fault", "warning")


def by_severity(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The worst first; the order within a severity is kept."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))


def first_few(items: list[str], limit: int = 8) -> tuple[str, ...]:
    """At most `limit` particulars, and how many were left out."""
    left_out = len(items) - limit
    return (*items[:limit], f"and {left_out:,} more") if left_out > 0 else tuple(items)
