"""What a report calls things: metrics, hyperparameters, a trial, the floor, and the numbers of the thesis."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from rustk.planning.searchable import SEARCHABLE
from rustk.report.data.aggregate import Aggregate
from rustk.report.data.evaluated import Evaluation
from rustk.report.data.numbers import column_format, format_value
from rustk.report.data.results import RunResults

DEVIATION = "± is the standard deviation over folds (ddof = 1)."
# The metrics of an epoch in the order in which tables show them.
SHOWN_METRICS = ("auroc", "loss", "precision", "recall", "f1")
# What the training counts, as Keras does: docs/evaluation.md.
AVERAGING = (
    "At a threshold of 0.5, precision and recall count all labels together (micro average); F1 is the mean over the "
    "labels (macro average)."
)

_TITLES = {"auroc": "AUROC", "f1": "F1"}
_POWERS = frozenset({"learning_rate", "epsilon"})
# How many numbers of one setting stand in a sentence.
_MOST_TOLD = 3
# What is kept in 32 bits is read back as another number, by up to 6e-8 of itself.
_SAME = 1e-6


def title_of(name: str) -> str:
    """A hyperparameter or metric for people: `val_auroc` is Validation AUROC, `batch_size` Batch size."""
    if name.startswith("val_"):
        rest = title_of(name.removeprefix("val_"))
        return f"Validation {rest if rest in _TITLES.values() else rest.lower()}"
    return _TITLES.get(name, name.replace("_", " ").capitalize())


def counted(count: int, noun: str, nouns: str = "") -> str:
    """`1 trial`, `2 trials`, `1,000 images`. nouns: the plural, where it is not noun + s."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def images_words(evaluation: Evaluation, noun: str = "image") -> str:
    """`42 images of 30 patients`; `42 images` where no patient is known."""
    images = counted(evaluation.images, noun)
    return f"{images} of {counted(evaluation.patients, 'patient')}" if evaluation.knows_patients else images


def listed(words: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def shown_metrics(aggregate: Aggregate) -> tuple[str, ...]:
    """The metrics of which the run has a value in validation; a published run may have its AUROC alone."""
    return tuple(name for name in SHOWN_METRICS if has_metric(aggregate, f"val_{name}"))


def has_metric(aggregate: Aggregate, name: str) -> bool:
    """Whether any epoch of the run has a mean of this metric."""
    return name in aggregate.epochs and bool(aggregate.epochs[name].notna().any())


def hyperparameter_formats(aggregate: Aggregate) -> dict[str, Callable[[Any], str]]:
    """For each searched hyperparameter, how its values are written."""
    results = aggregate.results
    return {name: column_format(results.trials[name].tolist()) for name in results.hyperparameters}


def describe_trial(aggregate: Aggregate, trial: int) -> str:
    """`learning rate 1e-3, epsilon 1e-7`; empty without a search."""
    if not aggregate.results.hyperparameters:
        return ""
    return describe_row(aggregate.row(trial), hyperparameter_formats(aggregate))


def describe_row(row: Any, formats: Mapping[str, Callable[[Any], str]]) -> str:
    """The searched hyperparameters of a row of trials; `formats` as `hyperparameter_formats` gives them."""
    return ", ".join(f"{title_of(name).lower()} {written(row[name])}" for name, written in formats.items())


def chosen_hyperparameters(results: RunResults, trial: int) -> dict[str, Any]:
    """What a trial was trained with: the study's values, those of trials.parquet put in their place."""
    study = results.study.study
    named = {**study.training, **study.model}
    values = {name: named[name] for name in ("batch_size", "dropout", "learning_rate", "epsilon") if name in named}
    rows = results.trials[results.trials["trial"] == trial]
    # Column by column: a whole row has one type, which would make floats of whole numbers.
    return values | {str(name): _plain(rows[name].iloc[0]) for name in results.trials.columns if name != "trial"}


def asked_section(results: RunResults, trial: int, section: Literal["model", "training"]) -> dict[str, Any]:
    """A section of the study as a trial was asked to be trained with it: values of trials.parquet stand in place of
    the study's, each in its field's own type.

    A value there that the field does not take, as others may have published, leaves the field out.
    """
    asked = dict(getattr(results.study.study, section))
    for name, found in chosen_hyperparameters(results, trial).items():
        field = SEARCHABLE.get(name)
        if field is None or field.path.partition(".")[0] != section:
            continue
        asked.pop(name, None)
        value = field.decode(found)
        if not field.takes(value):
            continue
        if not field.is_list:
            asked[name] = field.type(value)
        elif all(isinstance(member, field.type) for member in value):
            asked[name] = value
    return asked


def fixed_words(results: RunResults) -> str:
    """The hyperparameters that no trial varies: `batch size 1600 (34 in effect), dropout 0.2`."""
    first = int(results.trials["trial"].iloc[0])
    values = chosen_hyperparameters(results, first)
    return ", ".join(
        f"{write_hyperparameter(name, value)}{effect_words(results, name, value)}"
        for name, value in values.items()
        if name not in results.hyperparameters
    )


def _plain(value: Any) -> Any:
    """Plain Python: what numpy has for a whole number is no int."""
    return value.item() if isinstance(value, np.generic) else value


def write_hyperparameter(name: str, value: Any) -> str:
    """`learning rate 1e-3`."""
    return f"{title_of(name).lower()} {format_value(value, power=name in _POWERS)}"


def effect_words(results: RunResults, name: str, asked: Any, trial: int | None = None) -> str:
    """` (34 in effect)` where folds recorded that they trained with other numbers than was asked for; else empty.

    trial: whose folds; None: those of all trials.
    """
    found = otherwise_in_effect(results, name, asked, trial)
    if not found:
        return ""
    told = [format_value(value) for value in found]
    return f" ({listed(told) if len(told) <= _MOST_TOLD else f'{told[0]} to {told[-1]}'} in effect)"


def otherwise_in_effect(results: RunResults, name: str, asked: Any, trial: int | None = None) -> list[int | float]:
    """The distinct numbers that folds recorded of a hyperparameter, ascending, without what 32 bits make of them; empty
    where none was recorded, and where all are as asked for. trial: whose folds; None: those of all trials."""
    recorded = [
        metadata.in_effect.get(name)
        for (at, _), metadata in results.fold_metadata.items()
        if trial is None or at == trial
    ]
    found = [value for value in recorded if isinstance(value, int | float) and not isinstance(value, bool)]
    is_number = isinstance(asked, int | float)
    if is_number and all(math.isclose(value, asked, rel_tol=_SAME) for value in found):
        return []
    return sorted({float(f"{value:.6g}") if isinstance(value, float) else value for value in found})


def thesis_number(results: RunResults, name: str) -> str | None:
    """The number that the study's file gives the table or figure of this name, as `1.5`; None for other studies."""
    numbers = getattr(results.study.study, "numbers", None)
    found = numbers.get(name) if isinstance(numbers, dict) else None
    return str(found) if found is not None else None


def weights_note(results: RunResults) -> str:
    """What must be said of a run whose backbone, or all of it but its last blocks, was drawn and never trained: its
    figures are no one's result."""
    model = results.study.study.model
    trainable = model.get("trainable")
    if trainable is True or not isinstance(trainable, int):
        return ""
    weights = str(model.get("weights") or (results.study.weights.name if results.study.weights else ""))
    told = {"random": "random weights", "calibrated-random": "calibrated random weights"}.get(weights)
    if not told:
        return ""
    if not trainable:
        return f"frozen backbone with {told}"
    return f"backbone with {told}, frozen but for its {last_blocks(trainable)}"


def trained_words(trainable: object) -> str:
    """What of a backbone is trained, as model.trainable says: `frozen`, `trained`, or how many of its last blocks."""
    if isinstance(trainable, bool) or not isinstance(trainable, int):
        return "trained" if trainable else "frozen"
    return f"{last_blocks(trainable)} trained"


def last_blocks(count: int) -> str:
    """`last block`, `last 2 blocks`."""
    return "last block" if count == 1 else f"last {count} blocks"


def merit_words(aggregate: Aggregate) -> str:
    folds = counted(aggregate.results.planned_folds, "fold")
    fewer = (
        " (of a trial that the race dropped: over those that it was trained on)" if aggregate.results.dropped else ""
    )
    return f"Maximum over epochs of the mean validation AUROC over {folds}{fewer}. {DEVIATION}"


def best_words(aggregate: Aggregate) -> str:
    best = aggregate.best
    described = describe_trial(aggregate, int(best["trial"]))
    which = f"trial {best['trial']} ({described}), the best of {len(aggregate.trials)}," if described else "the model"
    return f"{which} at epoch {best['epoch']}, where its mean validation AUROC is greatest"
