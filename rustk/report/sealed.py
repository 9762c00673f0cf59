"""The sealed test: how often a dataset's test split was looked at, and what a run's final model scored on it."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from rustk.report.cohort import split_cohort
from rustk.report.evaluation import Evaluation, evaluate, resamples_of
from rustk.report.provenance import Fact
from rustk.report.results import Reader, read_json
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, KeyMissing


@dataclass(frozen=True)
class SealedTest:
    """Every recorded look at the test split, oldest first, and this run's final model with its test, if it has one."""

    openings: tuple[Mapping[str, Any], ...]  # number, run, trial, epochs, opened, why
    card: Mapping[str, Any] | None = None
    evaluation: Evaluation | None = None

    def sentence(self) -> str:
        """How often the seal was opened, in words."""
        if not self.openings:
            return "The test split has not been looked at."
        last = self.openings[-1]
        times = "once" if len(self.openings) == 1 else f"{len(self.openings)} times"
        further = "" if len(self.openings) == 1 else " Each further look makes its figures more optimistic."
        return f"The test split was opened {times}, last by run {last['run']} on {last['opened'][:10]}.{further}"

    def facts(self) -> list[Fact]:
        """The openings one by one, then the final model."""
        looks = [
            f"{look['opened']} by run {look['run']}, trial {look['trial']}, {look['epochs']} epochs"
            + (f": {look['why']}" if look["why"] else "")
            for look in self.openings
        ]
        facts = [Fact("Openings of the seal", tuple(looks))] if looks else []
        if self.card is not None:
            chosen = self.card["chosen"]
            facts += [
                Fact("Final model", (f"trial {chosen['trial']}, {chosen['epochs']} epochs on all of develop",)),
                Fact("Chosen by", (str(chosen["by"]),)),
                Fact("Digest of the model", (str(self.card["model_sha256"])[:12],)),
                Fact("Limits", tuple(self.card["limits"])),
            ]
        return facts

    def rows(self) -> list[tuple[str, str, str]]:
        """(figure, value, 95 % interval) of the final model on the test split; none without one."""
        if self.evaluation is None:
            return []
        return [
            (
                figure.title,
                _text(figure.value),
                f"{_text(figure.interval.low)} to {_text(figure.interval.high)}",
            )
            for figure in self.evaluation.figures.values()
        ]


def load_sealed_test(reader: Reader, run: str, dataset: str | None, index: pd.DataFrame | None) -> SealedTest:
    """What is known of the test split of `dataset`, whose index.parquet is `index`, and of `run`'s final model.

    Raises BadData for records that can't be read or test predictions that are not the test split's.
    """
    if dataset is None:
        return SealedTest(())
    prefix = names.opening_key(dataset, 0).rpartition("/")[0] + "/"
    openings = sorted((read_json(reader, entry.key) for entry in reader.list(prefix)), key=lambda look: look["number"])
    try:
        card = json.loads(reader.read(names.model_card_key(run)))
        predictions = pq.read_table(io.BytesIO(reader.read(names.test_prediction_key(run)))).to_pandas()
    except KeyMissing:
        return SealedTest(tuple(openings))
    except (ValueError, pa.ArrowException) as error:
        raise BadData(f"{names.test_prediction_key(run)} or its card can't be read: {error}") from None
    if index is None:
        return SealedTest(tuple(openings), card)
    return SealedTest(tuple(openings), card, _evaluate(run, index, predictions, card["seeds"]["study"]))


def _evaluate(run: str, index: pd.DataFrame, predictions: pd.DataFrame, seed: int) -> Evaluation:
    cohort = split_cohort(index, "test")
    probabilities = cohort.align(predictions.assign(fold=0), names.test_prediction_key(run))
    return evaluate(cohort, probabilities, resamples_of(cohort, seed))


def _text(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "undefined"
