"""The items of TRIPOD+AI and CLAIM that a program can fill, each with what it filled.

A report guideline asks mostly for what only authors know. What the run's files do tell is put down here, so that
authors copy it and reviewers can see where each number stands; the items that need a person are counted, not
invented.

Sources: Collins et al., TRIPOD+AI statement, BMJ 385:e078378 (2024), its checklist of 11 January 2024; Tejani et al.,
Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 Update, Radiology: Artificial Intelligence
6(4):e240300 (2024), which numbers its items otherwise than that of 2020."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rustk.report.data.evaluated import Evaluation
from rustk.report.data.numbers import ABSENT, format_value
from rustk.report.data.race import race_of
from rustk.report.data.results import RunResults
from rustk.report.data.words import (
    asked_section,
    chosen_hyperparameters,
    counted,
    effect_words,
    listed,
    trained_words,
    weights_note,
    write_hyperparameter,
)
from rustk.report.evaluation.analysis import Analysis
from rustk.report.evaluation.figures.ranking import in_view_title
from rustk.report.evaluation.sealed import SealedTest
from rustk.report.page.provenance import device_hours
from rustk.report.tables.table import Row, Table, word_column
from rustk.vocabulary.instrument import describe_scores

# What training makes of a site without a score, by objective.
_TRAINED_UNSCORED = {
    "onehot": "trained on as absent labels and ",
    **dict.fromkeys(("masked", "soft", "corn"), "left out of the loss, and "),
}


@dataclass(frozen=True)
class Item:
    """One item: its number in either guideline, what is asked, and what was filled."""

    tripod: str
    claim: str
    asked: str
    filled: str


def filled_items(analysis: Analysis, sealed: SealedTest | None = None) -> list[Item]:
    """The items for which the run's files hold an answer, in TRIPOD+AI's order.

    sealed: what is known of the test split and of the run's final model.
    """
    candidates = [
        Item("5a", "7", "Sources of data", _data(analysis)),
        Item("7, 9b, 12b", "9", "Preparation of the images", _preparation(analysis)),
        Item("8a", "14", "Outcome, and its reference standard", _outcome(analysis)),
        Item("10", "21", "Sample size", _sample_size(analysis)),
        Item("11", "12", "Missing values", _missing(analysis)),
        Item("12a", "19, 20", "Partitions, and the level at which they are disjoint", _partitions(analysis)),
        Item("12a", "20", "Images that development and evaluation share", _overlap(analysis)),
        Item("12c", "22, 24, 25", "Model, initial weights and training", _model(analysis)),
        Item("12c", "26", "Choice of the final model", _choice(analysis)),
        Item("12e", "28, 29", "Measures of performance and their uncertainty", _measures(analysis)),
        Item("13", "", "Class imbalance", _imbalance(analysis)),
        Item("15", "22", "Output of the model", _output(analysis)),
        Item("", "23", "Software", _software(analysis)),
        Item("20a, 21", "35", "Numbers of images and patients", _numbers(analysis)),
        Item("20b", "36", "Characteristics of the partitions", _visits(analysis)),
        Item("22", "43", "The full model, for new patients", _final_model(sealed)),
        Item("23a", "32, 37, 38", "Performance with confidence intervals, cross-validated", _performance(analysis)),
        Item("23a", "32, 37, 38", "Performance on the sealed test split", _tested(sealed)),
        Item("23a", "39", "Performance in parts, and failures", _parts(analysis)),
    ]
    return [item for item in candidates if item.filled]


def checklist_table(items: Sequence[Item]) -> Table:
    """The filled items. CSV: tripod, claim, item, filled."""
    records = [
        {"tripod": item.tripod or ABSENT, "claim": item.claim or ABSENT, "item": item.asked, "filled": item.filled}
        for item in items
    ]
    return Table(
        name="guidelines",
        label="reporting guidelines",
        caption="What the run's files answer.",
        columns=(
            word_column("tripod", "TRIPOD+AI", unsorted=True),
            word_column("claim", "CLAIM", unsorted=True),
            word_column("item", "Item", unsorted=True),
            word_column("filled", "Filled from the run's files", unsorted=True, kind="wrap"),
        ),
        rows=tuple(map(Row, records)),
    )


def _data(analysis: Analysis) -> str:
    dataset = analysis.aggregate.results.dataset
    if dataset is None:
        return ""
    told = f" Source: {_flat(dataset.source)}." if dataset.source else ""
    return f"Dataset {dataset.name}, digest {dataset.digest[:16]}.{told}"


def _numbers(analysis: Analysis) -> str:
    index, dataset = analysis.aggregate.results.index, analysis.aggregate.results.dataset
    if index is None:
        return ""
    parts = []
    for split, rows in index.groupby("split"):
        patients = rows["patient"].nunique()
        of = f" of {counted(patients, 'patient')}" if patients else ", patients unknown"
        parts.append(f"{split}: {counted(len(rows), 'image')}{of}")
    skipped = len(dataset.skipped) if dataset else 0
    was = "was" if skipped == 1 else "were"
    left_out = f" {counted(skipped, 'image')} {was} left out when the dataset was built." if skipped else ""
    return "; ".join(parts) + f".{left_out}"


def _preparation(analysis: Analysis) -> str:
    dataset = analysis.aggregate.results.dataset
    if dataset is None:
        return ""
    shape = " x ".join(map(str, dataset.image_shape))
    prepared = f" ({_flat(dataset.preparation)})" if dataset.preparation else ""
    return f"Images of {shape}{prepared}, scaled to [-1, 1]."


def _outcome(analysis: Analysis) -> str:
    instrument = analysis.instrument
    if analysis.cohort is None or instrument is None:
        return ""
    scales = [f"{site.name} {describe_scores(site.scores)}" for site in instrument.sites]
    if len({site.scores for site in instrument.sites}) == 1 and len(scales) > 1:
        names = listed(list(instrument.site_names))
        scales = [f"{describe_scores(instrument.sites[0].scores)} for each of {names}"]
    many = len(instrument.sites) > 1
    what = f"The score of each {instrument.words.site}" if many else "The score"
    view = " with the view" if instrument.view_labels else ""
    unscored = f"; a {instrument.words.site} without a score is all zeros" if instrument.unscored else ""
    source = f" Source: {instrument.source}." if instrument.source else ""
    return (
        f"{what} ({'; '.join(scales)}): {instrument.title}, encoded{view} as {counted(len(instrument.labels), 'label')}"
        f"{unscored}.{source}"
    )


def _score_truth(analysis: Analysis) -> np.ndarray | None:
    """Which score labels each image of the cohort has, [n, labels]."""
    cohort, instrument = analysis.cohort, analysis.instrument
    return None if cohort is None or instrument is None else cohort.truth[:, instrument.score_columns]


def _sample_size(analysis: Analysis) -> str:
    truth, instrument = _score_truth(analysis), analysis.instrument
    if truth is None or instrument is None:
        return ""
    rarest = int(truth.sum(axis=0).min())
    return (
        f"{counted(len(truth), 'image')} to develop on; the rarest {instrument.words.site} label occurs "
        f"{counted(rarest, 'time')}."
    )


def _missing(analysis: Analysis) -> str:
    cohort, instrument = analysis.cohort, analysis.instrument
    if cohort is None or instrument is None:
        return ""
    shown, scored = cohort.site_in_view.sum(axis=0), cohort.scored.sum(axis=0)
    shares = [f"{site} {1 - s / n:.0%}" for site, s, n in zip(instrument.site_names, scored, shown, strict=True) if n]
    words = instrument.words
    objective = asked_section(analysis.aggregate.results, analysis.trial, "model").get("objective")
    trained = _TRAINED_UNSCORED.get(str(objective), "")
    return (
        f"Unscored where the view shows the {words.site}: {', '.join(shares)}. Unscored {words.sites} are {trained}"
        "left out of kappa and mean absolute error."
    )


def _partitions(analysis: Analysis) -> str:
    folds = analysis.aggregate.results.study.study.folds
    patients = next((f.sentence for f in analysis.findings if f.key == "patients"), "")
    scheme = {"patient": "stratified by label and grouped by patient", "shard": "image i in fold i mod k"}
    how = scheme.get(str(folds.get("scheme")), "scheme not recorded")
    return f"{analysis.aggregate.results.planned_folds} folds, {how}. {patients}".strip()


def _model(analysis: Analysis) -> str:
    """The model and the training of the chosen trial: the row that authors paste."""
    results, trial = analysis.aggregate.results, analysis.trial
    model, training = asked_section(results, trial, "model"), asked_section(results, trial, "training")
    if not model:
        return ""
    chosen = chosen_hyperparameters(results, trial)
    warned = " (not a scientific result)" if weights_note(results) else ""
    backbone = f"backbone {trained_words(model.get('trainable'))}"
    what = f"{model.get('architecture')}, {model.get('weights')} weights{warned}, {backbone}"
    features = _features(results, trial, model.get("trainable"), training.pop("features", None))
    others = {name: value for name, value in {**training, **features}.items() if name not in chosen}
    of = f" Chosen trial {trial}:" if results.hyperparameters else " Training:"
    told = [
        f"{write_hyperparameter(name, value)}{effect_words(results, name, value, trial)}"
        for name, value in chosen.items()
    ]
    told += [_flat(others)] if others else []
    return f"{what}.{of} {', '.join(told)}."


def _features(results: RunResults, trial: int, trainable: object, asked: object) -> dict[str, object]:
    """Whether a trial's features were cached, as its histories say or, where they don't, as the study asked for a
    frozen backbone: of one that is trained nothing can be cached, whatever the study says."""
    recorded = {found.features for (at, _), found in results.fold_metadata.items() if at == trial and found.features}
    if not recorded and trainable is False and asked:
        recorded = {str(asked)}
    return {"features": sorted(recorded)} if recorded else {}


def _choice(analysis: Analysis) -> str:
    trials = counted(len(analysis.aggregate.trials), "trial")
    rule = "the epoch (and trial) with the greatest mean validation AUROC over the folds"
    if (race := race_of(analysis.aggregate.results)) is not None:
        rule = f"{rule}, of those that a race over folds ({race.kind}) kept to the end"
    if analysis.choice is None:
        return f"{trials}; chosen: {rule}."
    corrected = analysis.choice.corrected
    return (
        f"{trials}; chosen: {rule}. Naive figure {corrected.naive:.4f}, corrected for the choice "
        f"{corrected.corrected.value:.4f} (BBC-CV, {corrected.resamples} resamples)."
    )


def _measures(analysis: Analysis) -> str:
    if analysis.best is None or analysis.instrument is None:
        return ""
    within = in_view_title(analysis.instrument).removesuffix(" AUROC").lower()
    return (
        f"AUROC (200 thresholds, exact, {within}), quadratic weighted kappa, mean absolute error, precision, recall "
        f"and F1 (macro averages), calibration; 95 % percentile intervals by bootstrap over {analysis.drawn}; beside "
        f"each, the {analysis.floor_title.lower()}."
    )


def _imbalance(analysis: Analysis) -> str:
    truth, instrument = _score_truth(analysis), analysis.instrument
    if truth is None or instrument is None:
        return ""
    shares = truth.mean(axis=0)
    asked = asked_section(analysis.aggregate.results, analysis.trial, "training")
    weighed = asked.get("class_weights") == "balanced"
    return (
        f"{instrument.words.site.capitalize()} labels occur on {shares.min():.1%} to {shares.max():.1%} of the images; "
        f"no resampling, {'balanced class weights' if weighed else 'no weights'}."
    )


def _output(analysis: Analysis) -> str:
    instrument = analysis.instrument
    if instrument is None:
        return ""
    words = instrument.words
    total = (
        f", and the {instrument.total.title} of a visit is the sum over the {words.sites}" if instrument.total else ""
    )
    return (
        f"{len(instrument.labels)} probabilities; a {words.site}'s score is its most probable one (for the mean "
        f"absolute error, the expected value){total}."
    )


def _overlap(analysis: Analysis) -> str:
    asked = ("duplicates", "test-patients", "test-duplicates")
    return " ".join(finding.sentence for finding in analysis.findings if finding.key in asked)


def _visits(analysis: Analysis) -> str:
    cohort = analysis.cohort
    if cohort is None:
        return ""
    views = ", ".join(f"{view}: {int((cohort.views == view).sum()):,}" for view in sorted(set(cohort.views)))
    site = cohort.instrument.words.site
    return f"Images by view: {views}. Scores by view and {site} stand in the section on data."


def _performance(analysis: Analysis) -> str:
    if analysis.best is None:
        return ""
    return _figures(analysis.best)


def _final_model(sealed: SealedTest | None) -> str:
    if sealed is None or sealed.card is None:
        return ""
    card = sealed.card
    chosen = f"trial {card.chosen.trial}, {counted(card.chosen.epochs, 'epoch')} on all images to develop on"
    return f"model/model.keras of the run (Keras), sha256 {card.model_sha256[:16]}: {chosen}."


def _tested(sealed: SealedTest | None) -> str:
    if sealed is None or sealed.evaluation is None:
        return ""
    return f"{_figures(sealed.evaluation)}. {sealed.sentence()}"


def _figures(evaluation: Evaluation) -> str:
    shown = [evaluation[key] for key in ("auroc_200", "auroc_in_view", "kappa_total") if key in evaluation]
    return "; ".join(f"{f.title}: {f.value:.3f} [{f.interval.low:.3f}, {f.interval.high:.3f}]" for f in shown)


def _parts(analysis: Analysis) -> str:
    if analysis.best is None or analysis.instrument is None:
        return ""
    site = analysis.instrument.words.site
    return f"By fold, label and {site}: see the tables; confusion by {site} shows the failures."


def _software(analysis: Analysis) -> str:
    results = analysis.aggregate.results
    versions = next((found.versions for found in results.fold_metadata.values() if found.versions), {})
    told = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    hours = device_hours(results)
    return f"{told}; {hours:.2f} device-hours." if told and hours == hours else told


def _flat(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_flat(part)}" for key, part in value.items())
    if isinstance(value, list | tuple):
        return " and ".join(map(str, value)) or "none"
    return "none" if value is None else format_value(value)
