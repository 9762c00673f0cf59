"""The best figure of a run so far, for `status` and `runs`."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rustk.vocabulary.errors import BadData, KeyMissing
from rustk.vocabulary.wording import written

if TYPE_CHECKING:
    from rustk.store import Store

# Of a run of more folds, reading all histories is the business of `rustk aggregate`: a look must not take seconds.
MOST_READ = 1000


@dataclass(frozen=True)
class BestFigure:
    """The trial with the greatest mean val_auroc, and over how many of its planned folds the mean was taken."""

    trial: int
    hyperparameters: dict[str, float | int | str | bool]
    val_auroc: float
    epoch: int
    folds: int
    planned_folds: int

    def sentence(self) -> str:
        """As `status` prints it."""
        chosen = ", ".join(f"{name} {written(value)}" for name, value in self.hyperparameters.items())
        return (
            f"best so far: val AUROC {self.val_auroc:.4f} of trial {self.trial}{f' ({chosen})' if chosen else ''} at "
            f"epoch {self.epoch}, the mean over {self.folds} of {self.planned_folds} folds"
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def best_figure(store: "Store", run: str) -> BestFigure | None:
    """The best figure of the folds that are done; None where there is none. Reads every history of the run.

    Raises BadData where the histories, or what they are read with, are damaged: RoundContradicted where a search's
    rounds are not those of its histories.
    """
    import numpy as np

    from rustk.report.data.aggregate import MERIT, aggregate
    from rustk.report.data.results import load_run

    try:
        results = load_run(store, run)
    except KeyMissing as error:
        raise BadData(str(error)) from None
    if results.histories.empty:
        return None
    averaged = aggregate(results, allow_partial=True)
    best = averaged.trials.iloc[0]
    if best[MERIT] != best[MERIT]:  # NaN: no trial has an epoch with a figure from every fold that it has
        return None
    return BestFigure(
        trial=int(best["trial"]),
        hyperparameters={name: np.asarray(best[name]).item() for name in results.hyperparameters},
        val_auroc=float(best[MERIT]),
        epoch=int(best["epoch"]),
        folds=int(best["folds_used"]),
        planned_folds=int(best["folds_planned"]),
    )
