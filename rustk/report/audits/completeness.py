"""Whether every planned fold is there, and went on to its end."""

from rustk.report.audits.base import Context, Finding
from rustk.report.data.aggregate import describe_folds

ORDER = 20


def audit(context: Context) -> list[Finding]:
    """Missing and diverged folds."""
    results, findings = context.results, []
    if results.missing:
        planned = len(results.trials) * results.planned_folds - len(results.dropped_folds)
        count = len(results.missing)
        sentence = (
            f"{count:,} of {planned:,} planned folds {'is' if count == 1 else 'are'} missing: the means of their "
            "trials are over fewer folds than planned."
        )
        findings.append(Finding("missing", "warning", sentence, (describe_folds(results.missing),)))
    if results.diverged:
        count = len(results.diverged)
        details = tuple(f"trial {t} fold {f} at epoch {epoch}" for (t, f), epoch in results.diverged.items())
        sentence = (
            "1 fold diverged (its loss was no longer finite) and ended early."
            if count == 1
            else f"{count:,} folds diverged (their loss was no longer finite) and ended early."
        )
        findings.append(Finding("diverged", "warning", sentence, details))
    return findings
