"""The items of TRIPOD+AI and CLAIM that a program can fill, each with what it filled.

A report guideline asks mostly for what only authors know. What the run's files do tell is put down here, so that
authors copy it and reviewers can see where each number stands; the items that need a person are counted, not
invented.

Sources: Collins et al., TRIPOD+AI statement, BMJ 385:e078378 (2024), its checklist of 11 January 2024; Tejani et al.,
Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 Update, Radiology: Artificial Intelligence
6(4):e240300 (2024), which numbers its items otherwise than that of 2020."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rustk.report.analysis import Analysis
from rustk.report.evaluation import Evaluation
from rustk.report.numbers import format_value
from rustk.report.provenance import device_hours
from rustk.report.report import weights_note
from rustk.report.sealed import SealedTest
from rustk.vocabulary.labels import CORTICES, LABELS


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
        Item("15", "22", "Output of the model", _output()),
        Item("", "23", "Software", _software(analysis)),
        Item("20a, 21", "35", "Numbers of images and patients", _numbers(analysis)),
        Item("20b", "36", "Characteristics of the partitions", _visits(analysis)),
        Item("22", "43", "The full model, for new patients", _final_model(sealed)),
        Item("23a", "32, 37, 38", "Performance with confidence intervals, cross-validated", _performance(analysis)),
        Item("23a", "32, 37, 38", "Performance on the sealed test split", _tested(sealed)),
        Item("23a", "39", "Performance in parts, and failures", _parts(analysis)),
    ]
    return [item for item in candidates if item.filled]


def _model_of(analysis: Analysis) -> Mapping[str, Any]:
    found = analysis.aggregate.results.study["study"].get("model")
    return found if isinstance(found, dict) else {}


def _data(analysis: Analysis) -> str:
    dataset = analysis.aggregate.results.dataset
    if dataset is None:
        return ""
    source = dataset.get("source")
    told = f" Source: {_flat(source)}." if source else ""
    return f"Dataset {dataset.get('name')}, digest {str(dataset.get('digest'))[:16]}.{told}"


def _numbers(analysis: Analysis) -> str:
    index = analysis.aggregate.results.index
    if index is None:
        return ""
    parts = []
    for split, rows in index.groupby("split"):
        patients = rows["patient"].nunique()
        of = f" of {patients:,} patients" if patients else ", patients unknown"
        parts.append(f"{split}: {len(rows):,} images{of}")
    skipped = len((analysis.aggregate.results.dataset or {}).get("skipped") or [])
    left_out = f" {skipped:,} images were left out when the dataset was built." if skipped else ""
    return "; ".join(parts) + f".{left_out}"


def _preparation(analysis: Analysis) -> str:
    dataset = analysis.aggregate.results.dataset or {}
    shape = " x ".join(map(str, dataset.get("image_shape", [])))
    prepared = f" ({_flat(dataset['preparation'])})" if dataset.get("preparation") else ""
    return f"Grey images of {shape}{prepared}, scaled to [-1, 1]." if shape else ""


def _outcome(analysis: Analysis) -> str:
    if analysis.cohort is None:
        return ""
    return (
        f"The score, 1 to 4, of each of the {', '.join(CORTICES)} cortices (RUST), encoded with the view as "
        f"{len(LABELS)} labels; a cortex without a score is four zeros."
    )


def _sample_size(analysis: Analysis) -> str:
    cohort = analysis.cohort
    if cohort is None:
        return ""
    rarest = min(int(count) for count in cohort.truth[:, 2:].sum(axis=0))
    return f"{len(cohort):,} images to develop on; the rarest cortex label occurs {rarest:,} times."


def _missing(analysis: Analysis) -> str:
    cohort = analysis.cohort
    if cohort is None:
        return ""
    shown, scored = cohort.cortex_in_view.sum(axis=0), cohort.scored.sum(axis=0)
    shares = [f"{cortex} {1 - s / n:.0%}" for cortex, s, n in zip(CORTICES, scored, shown, strict=True) if n]
    return (
        f"Unscored where the view shows the cortex: {', '.join(shares)}. Unscored cortices are trained on as absent "
        "labels and left out of kappa and mean absolute error."
    )


def _partitions(analysis: Analysis) -> str:
    folds = analysis.aggregate.results.study["study"].get("folds") or {}
    patients = next((f.sentence for f in analysis.findings if f.key == "patients"), "")
    scheme = {"patient": "stratified by label and grouped by patient", "shard": "image i in fold i mod k"}
    how = scheme.get(str(folds.get("scheme")), "scheme not recorded")
    return f"{analysis.aggregate.results.planned_folds} folds, {how}. {patients}".strip()


def _model(analysis: Analysis) -> str:
    model = _model_of(analysis)
    if not model:
        return ""
    study = analysis.aggregate.results.study["study"]
    frozen = "trained throughout" if model.get("trainable") else "frozen"
    warned = " (not a scientific result)" if weights_note(analysis.aggregate.results) else ""
    what = f"{model.get('architecture')}, {model.get('weights')} weights{warned}, backbone {frozen}"
    return f"{what}. Training: {_flat(study.get('training') or {})}."


def _choice(analysis: Analysis) -> str:
    count = len(analysis.aggregate.trials)
    rule = "the epoch (and trial) with the greatest mean validation AUROC over the folds"
    if analysis.choice is None:
        return f"{count} trials; chosen: {rule}."
    corrected = analysis.choice.corrected
    return (
        f"{count} trials; chosen: {rule}. Naive figure {corrected.naive:.4f}, corrected for the choice "
        f"{corrected.corrected.value:.4f} (BBC-CV, {corrected.resamples} resamples)."
    )


def _measures(analysis: Analysis) -> str:
    if analysis.best is None:
        return ""
    return (
        "AUROC (200 thresholds, exact, in-view), quadratic weighted kappa, mean absolute error, precision, recall, "
        "F1, calibration; 95 % percentile intervals by bootstrap over patients; beside each, what a predictor that "
        "knows only the view scores."
    )


def _imbalance(analysis: Analysis) -> str:
    cohort = analysis.cohort
    if cohort is None:
        return ""
    shares = cohort.truth[:, 2:].mean(axis=0)
    return f"Cortex labels occur on {shares.min():.1%} to {shares.max():.1%} of the images; no resampling, no weights."


def _output() -> str:
    return (
        f"{len(LABELS)} probabilities; a cortex's score is the most probable of its four (for the mean absolute error, "
        "their expected value), and the RUST total of a visit is the sum over the cortices."
    )


def _overlap(analysis: Analysis) -> str:
    asked = ("duplicates", "test-patients", "test-duplicates")
    return " ".join(finding.sentence for finding in analysis.findings if finding.key in asked)


def _visits(analysis: Analysis) -> str:
    cohort = analysis.cohort
    if cohort is None:
        return ""
    views = ", ".join(f"{view}: {int((cohort.views == view).sum()):,}" for view in sorted(set(cohort.views)))
    return f"Images by view: {views}. Scores by view and cortex stand in the section on data."


def _performance(analysis: Analysis) -> str:
    if analysis.best is None:
        return ""
    return _figures(analysis.best)


def _final_model(sealed: SealedTest | None) -> str:
    if sealed is None or sealed.card is None:
        return ""
    card = sealed.card
    chosen = f"trial {card['chosen']['trial']}, {card['chosen']['epochs']} epochs on all images to develop on"
    return f"model/model.keras of the run (Keras), sha256 {card['model_sha256'][:16]}: {chosen}."


def _tested(sealed: SealedTest | None) -> str:
    if sealed is None or sealed.evaluation is None:
        return ""
    return f"{_figures(sealed.evaluation)}. {sealed.sentence()}"


def _figures(evaluation: Evaluation) -> str:
    shown = [evaluation[key] for key in ("auroc_200", "auroc_in_view", "kappa_total")]
    return "; ".join(f"{f.title}: {f.value:.3f} [{f.interval.low:.3f}, {f.interval.high:.3f}]" for f in shown)


def _parts(analysis: Analysis) -> str:
    return "By fold, label and cortex: see the tables; confusion by cortex shows the failures." if analysis.best else ""


def _software(analysis: Analysis) -> str:
    results = analysis.aggregate.results
    versions: dict[str, Any] = next(
        (m["versions"] for m in results.fold_metadata.values() if isinstance(m.get("versions"), dict)), {}
    )
    told = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    hours = device_hours(results)
    return f"{told}; {hours:.2f} device-hours." if told and hours == hours else told


def _flat(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_flat(part)}" for key, part in value.items())
    if isinstance(value, list | tuple):
        return " and ".join(map(str, value)) or "none"
    return "none" if value is None else format_value(value)
