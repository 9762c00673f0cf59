"""The sealed test: how often a dataset's test split was looked at, and what a run's final model scored on it."""

from dataclasses import dataclass, replace

import numpy as np

from rustk.report.data.cohort import split_cohort
from rustk.report.data.evaluated import Evaluation
from rustk.report.data.facts import Fact
from rustk.report.data.results import read_run_dataset, read_test_predictions
from rustk.report.evaluation.evaluate import evaluate, resamples_of
from rustk.report.evaluation.examples import Pictures, load_examples
from rustk.store.base import Store
from rustk.store.card import ModelCard
from rustk.store.documents import Opening
from rustk.store.remedies import damaged
from rustk.store.runs import read_run
from rustk.store.seal import Looks, list_looks, read_card, seal_sentence
from rustk.vocabulary import names

# The card's figures are of the same float32 numbers: what differs is the order of a sum.
_AGREES = 1e-6


@dataclass(frozen=True)
class SealedTest:
    """Every recorded look at the test split, oldest first, and this run's final model with its test, if it has one.

    known: whether the run's dataset is in the store. Of one that is not, nobody can say that nobody looked. pictures:
    examples of the test's images, where they were asked for. lost: how many further looks there were, whose records are
    gone. dataset: the name of the run's dataset; a look may have been taken under another.
    """

    openings: tuple[Opening, ...] = ()
    card: ModelCard | None = None
    evaluation: Evaluation | None = None
    known: bool = False
    pictures: Pictures | None = None
    lost: int = 0
    dataset: str | None = None

    def sentence(self) -> str:
        """How often the seal was opened, in words; empty where that is not known."""
        looks = Looks(self.openings, self.lost)
        return seal_sentence(looks) if looks.count or self.known else ""

    def facts(self) -> list[Fact]:
        """The openings one by one, then the final model."""
        looks = [
            f"{look.opened.isoformat()} by run {look.run}, trial {look.trial}, {_counted(look.epochs, 'epoch')}"
            + (f", as dataset {look.dataset}" if self.dataset is not None and look.dataset != self.dataset else "")
            + (f": {look.why}" if look.why else "")
            for look in self.openings
        ]
        facts = [Fact("Openings of the seal", tuple(looks))] if looks else []
        if self.card is not None:
            chosen = self.card.chosen
            trained = f"trial {chosen.trial}, {_counted(chosen.epochs, 'epoch')} on all of develop"
            facts += [
                Fact("Final model", (trained,)),
                Fact("Chosen by", (chosen.by,)),
                Fact("Digest of the model", (self.card.model_sha256[:12],)),
                Fact("Limits", self.card.limits),
            ]
        return facts

    def caption(self) -> str:
        """What `rows` are of, in words."""
        test = self.card.test if self.card is not None else None
        if self.evaluation is not None:
            images, patients = self.evaluation.images, self.evaluation.patients
            resamples = len(self.evaluation["auroc_200"].resampled)
            how = f"intervals are 95 % percentiles of {resamples:,} resamples of patients"
        elif test is not None:
            images, patients = test.images, test.patients
            how = "as its card has them, for they can't be computed anew"
        else:
            return ""
        return f"{images:,} images, {patients:,} patients; {how}"

    def rows(self) -> list[tuple[str, str, str]]:
        """(figure, value, 95 % interval) of the final model on the test split; none without one.

        They are the card's where they can't be computed anew: without the dataset, or the predictions.
        """
        if self.evaluation is not None:
            return [
                (figure.title, _text(figure.value), f"{_text(figure.interval.low)} to {_text(figure.interval.high)}")
                for figure in self.evaluation.figures.values()
            ]
        told = self.card.test.figures.values() if self.card is not None and self.card.test is not None else ()
        return [(one.title, _text(one.value), f"{_text(one.low)} to {_text(one.high)}") for one in told]


def load_sealed_test(store: Store, run: str, *, with_images: bool = False) -> SealedTest:
    """What is known of the test split of a run's dataset, and of the run's final model; `with_images` its examples too.

    Raises BadStudy for a run that is not there, or that is to have examples and has none, BadData for records that
    can't be read or contradict the model's card, or test predictions that are not the test split's, or not those of the
    card's figures.
    """
    study = read_run(store, run)
    pictures = load_examples(store, run, read_card(store, run)) if with_images else None
    if study.dataset is None:
        return SealedTest()
    card = read_card(store, run)
    looks = list_looks(store, study.dataset, card)
    dataset, index, _ = read_run_dataset(store, run, study)
    found = SealedTest(
        looks.openings,
        card,
        known=dataset is not None,
        pictures=pictures,
        lost=looks.lost,
        dataset=study.dataset.name,
    )
    if card is None or dataset is None or index is None or not store.exists(names.test_prediction_key(run)):
        return found
    cohort = split_cohort(index, "test", dataset.instrument)
    predictions = read_test_predictions(store, run, dataset.instrument)
    probabilities = cohort.align(predictions, names.test_prediction_key(run))
    weights = resamples_of(cohort, card.seeds.get("study", 0))
    evaluation = evaluate(cohort, probabilities, weights)
    _check_figures(evaluation, card)
    return replace(found, evaluation=evaluation)


def _check_figures(evaluation: Evaluation, card: ModelCard) -> None:
    """Raise BadData where a figure of the test predictions is not what the card says that the test came to."""
    key, told = names.test_prediction_key(card.run), card.test.figures if card.test is not None else {}
    for name, figure in told.items():
        if name not in evaluation:
            continue
        found, said = evaluation[name].value, np.nan if figure.value is None else figure.value
        if not np.isclose(found, said, rtol=0, atol=_AGREES, equal_nan=True):
            values = f"has {name} {_text(found, 6)}, {names.model_card_key(card.run)} says {_text(said, 6)}"
            raise damaged(key, f"{key} {values}: expected the same: one of the two was changed")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _text(value: float | None, digits: int = 3) -> str:
    return f"{value:.{digits}f}" if value is not None and np.isfinite(value) else "undefined"
