"""Whether all trials were compared on the same folds, and whether a race's rounds are those of the run's histories."""

from rustk.planning.batches import FoldTask
from rustk.planning.races.base import EQUAL
from rustk.report.audits.base import Context, Finding, first_few
from rustk.report.data.race import Curves, Race, race_of

ORDER = 25

# Sums in another order differ in their last digits.
_SAME = max(EQUAL, 1e-9)


def audit(context: Context) -> list[Finding]:
    """What a race left untrained, and figures of its rounds that the histories don't give. Empty without a race."""
    results = context.results
    race = race_of(results)
    if race is None:
        return []
    if wrong := _contradicted(race, Curves(results), set(results.missing)):
        sentence = (
            "The race dropped trials by figures that their histories don't give: histories or rounds were changed "
            "after they were decided."
        )
        return [Finding("race-contradicted", "fault", sentence, first_few(wrong))]
    if not results.dropped:
        return [Finding("race", "clean", "The race dropped no trial: all were compared on the same folds.")]
    kept = len(results.trials) - len(results.dropped)
    sentence = (
        f"{len(results.dropped):,} of {len(results.trials):,} trials were not trained on every fold, for the race "
        f"dropped them; in each round its trials were compared on the same folds, the {kept:,} that were kept on all."
    )
    return [Finding("race", "clean", sentence)]


def _contradicted(race: Race, curves: Curves, missing: set[FoldTask]) -> list[str]:
    found = []
    for step in race.steps:
        for one in step.decided.dropped if step.decided else ():
            for trial, said in ((one.trial, one.figure), (one.best, one.best_figure)):
                if any((trial, fold) in missing for fold in step.seen):
                    continue
                figure = curves.merit(trial, step.seen)
                same = figure is said if figure is None or said is None else abs(figure - said) <= _SAME
                if not same:
                    found.append(
                        f"round {step.number}, trial {trial}: {_written(said)}, its histories {_written(figure)}"
                    )
    return list(dict.fromkeys(found))


def _written(figure: float | None) -> str:
    return "no figure" if figure is None else f"{figure:.6f}"
