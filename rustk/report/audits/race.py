"""Whether all trials were compared on the same folds.

That a race's rounds are those of the run's histories is no finding: a run of which they are not is not read at all.
"""

from rustk.report.audits.base import Context, Finding
from rustk.report.data.race import race_of

ORDER = 25


def audit(context: Context) -> list[Finding]:
    """What a race left untrained. Empty without a race."""
    results = context.results
    if race_of(results) is None:
        return []
    if not results.dropped:
        return [Finding("race", "clean", "The race dropped no trial: all were compared on the same folds.")]
    kept = len(results.trials) - len(results.dropped)
    sentence = (
        f"{len(results.dropped):,} of {len(results.trials):,} trials were not trained on every fold, for the race "
        f"dropped them; in each round its trials were compared on the same folds, the {kept:,} that were kept on all."
    )
    return [Finding("race", "clean", sentence)]
