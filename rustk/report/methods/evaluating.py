"""On what was trained and judged, how the model was chosen, and what it scored: the other sentences."""

from rustk.metrics.bootstrap import Interval
from rustk.report.data.evaluated import Evaluation, Figure
from rustk.report.data.numbers import format_value
from rustk.report.data.race import race_of
from rustk.report.data.words import counted, describe_trial, images_words, listed, title_of
from rustk.report.evaluation.analysis import Analysis
from rustk.report.evaluation.sealed import SealedTest
from rustk.report.evaluation.selection_bias import beyond_words
from rustk.report.methods.references import RACES, SEARCHES
from rustk.report.methods.training import cite
from rustk.vocabulary.instrument import describe_scores

# The figures that the text quotes, in this order.
_QUOTED = ("auroc_200", "auroc_labels", "auroc_scores", "auroc_in_view", "kappa_total")


def data_words(analysis: Analysis) -> str:
    """The images, of how many patients, how they were prepared, and what they were scored by."""
    results, instrument = analysis.aggregate.results, analysis.instrument
    said = []
    dataset, index = results.dataset, results.index
    phantom = dataset is not None and dataset.source.get("kind") == "phantom"
    what = "phantom image" if phantom else "image"
    if index is not None:
        parts = []
        for split, role in (("develop", "to develop on"), ("test", "in a test split that was kept apart")):
            rows = index[index["split"] == split]
            patients = rows["patient"].nunique()
            of = f" of {counted(patients, 'drawn patient' if phantom else 'patient')}" if patients else ""
            if len(rows):
                parts.append(f"{counted(len(rows), what)}{of} {role}")
        said.append(f"The dataset had {listed(parts)}.")
        if index["patient"].isna().all():
            said.append("Which patient an image is of was not known.")
    if phantom:
        said.append("Phantoms are drawn by software and show no patient: nothing here is evidence about patients.")
    if dataset is not None:
        height, width, _ = dataset.image_shape
        said.append(f"Images were stored with {height} x {width} pixels and scaled to [-1, 1].")
    if instrument is not None:
        views = f" in {len(instrument.views)} views" if len(instrument.views) > 1 else ""
        scales = {describe_scores(site.scores) for site in instrument.sites}
        sites = counted(len(instrument.sites), instrument.words.site, instrument.words.sites)
        each = "each " if len(instrument.sites) > 1 else ""
        scale = f", {each}{scales.pop()}" if len(scales) == 1 else ""
        source = cite("instrument") if instrument.source else ""
        what_was = "They" if index is not None else "The images"
        said.append(
            f"{what_was} were scored by the {instrument.title}{source}: {sites}{scale}{views}, "
            f"encoded as {counted(len(instrument.labels), 'label')}."
        )
    return " ".join(said)


def folds_words(analysis: Analysis) -> str:
    """How folds were cut, whether a patient stands on both sides of a split, and what is missing."""
    results = analysis.aggregate.results
    scheme = results.study.study.folds.get("scheme")
    how = {
        "patient": f", stratified and grouped by patient (scikit-learn's StratifiedGroupKFold{cite('scikit_learn')})",
        "shard": ", image i in fold i mod k, whichever patient it is of",
    }.get(str(scheme), "")
    said = [f"Models were validated by {results.planned_folds}-fold cross-validation{how}."]
    shared = next((finding for finding in analysis.findings if finding.key == "patients"), None)
    if shared is not None:
        said.append(shared.sentence)
    elif scheme == "patient":
        said.append("The run's folds or dataset are not at hand, so that this could not be checked.")
    if results.missing:
        planned = len(results.trials) * results.planned_folds
        lost = len(results.missing)
        said.append(
            f"{lost:,} of {counted(planned, 'planned fold')} {'was' if lost == 1 else 'were'} missing; averages are "
            "over the folds there were."
        )
    if results.diverged:
        folds = counted(len(results.diverged), "fold")
        said.append(f"In {folds} the loss diverged; only epochs that every fold of a trial reached count.")
    return " ".join(said)


def choice_words(analysis: Analysis) -> str:
    """The search, the rule of the choice, and what was chosen."""
    results, search = analysis.aggregate.results, analysis.aggregate.results.study.study.search or {}
    said = []
    trials = len(results.trials)
    if results.searched:
        kind = str(search.get("kind") or "")
        names = listed([title_of(name).lower() for name in results.searched])
        named = {"grid": "A grid search", "random": "A random search"}.get(kind, f"A search (`{kind}`)" if kind else "")
        said.append(f"{named or 'A search'}{cite(SEARCHES.get(kind, ''))} over {names} had {counted(trials, 'trial')}.")
        if race := search.get("race"):
            said.append(race_words(race, len(results.dropped), analysis.drawn))
    rule = "epoch" if trials == 1 else "trial and the epoch"
    kept = ", of those that the race kept to the end," if race_of(results) is not None else ""
    said.append(f"The {rule} with the greatest mean validation AUROC over the folds{kept} {_was(trials)} chosen.")
    chosen = describe_trial(analysis.aggregate, analysis.trial)
    said.append(f"This was epoch {analysis.epoch}{f' of trial {analysis.trial} ({chosen})' if chosen else ''}.")
    if analysis.choice is not None:
        corrected = analysis.choice.corrected
        pairs = counted(len(analysis.choice.configurations), "pair")
        possible = analysis.choice.possible
        of = f" of {possible:,}" if len(analysis.choice.configurations) < possible else ""
        said.append(
            f"Its figure was corrected for having been chosen by BBC-CV{cite('bbc_cv')} over {pairs}{of} of a trial "
            f"and an epoch, with {counted(corrected.resamples, 'resample')} of {analysis.drawn}."
        )
        if beyond := beyond_words(analysis.choice):
            said.append(beyond)
    return " ".join(said)


def measures_words(analysis: Analysis) -> str:
    """Which figures were computed and how their intervals were; empty without predictions."""
    if analysis.best is None:
        return ""
    count = len(analysis.best["auroc_200"].resampled)
    views = analysis.instrument is not None and len(analysis.instrument.views) > 1
    within = "one view and one fold" if views else "one fold"
    knows = "the view of an image" if views else "how often each score occurs"
    kappa = any(key.startswith("kappa") for key in analysis.best.figures)
    said = [
        "The figure of merit is the macro AUROC of 200 thresholds over all labels, the mean over the folds. Beside it "
        f"stand exact AUROCs{cite('auroc')}, among them one whose pairs lie within {within}"
        + (f", and quadratic weighted kappa{cite('weighted_kappa')}." if kappa else "."),
        f"Intervals are 95 % percentiles of {counted(count, 'bootstrap resample')} of {analysis.drawn}"
        f"{cite('bootstrap')}.",
        f"As the floor serves a predictor that knows only {knows}, judged on the same folds.",
    ]
    return " ".join(said)


def results_words(analysis: Analysis) -> str:
    """The figures, as the report has them."""
    merit = float(analysis.aggregate.best["val_auroc"])
    sd = float(analysis.aggregate.best["val_auroc_sd"])
    used = counted(int(analysis.aggregate.best["folds_used"]), "fold")
    spread = f" (standard deviation {sd:.4f})" if sd == sd else ""
    said = [f"The mean validation AUROC over {used} was {merit:.4f}{spread}."]
    if analysis.choice is not None:
        corrected = analysis.choice.corrected
        said.append(f"Corrected for the choice it was {_with_interval(corrected.corrected)}.")
    if analysis.floor is not None:
        said.append(f"The floor scored {analysis.floor['auroc_200'].value:.3f}.")
    if analysis.best is not None:
        said.append(_quoted(analysis.best, skip=("auroc_200",)))
    return " ".join(part for part in said if part)


def test_words(sealed: SealedTest | None) -> str:
    """Whether the test split was looked at, how often, and what this run's final model scored."""
    if sealed is None or not sealed.sentence():
        return ""
    said = [sealed.sentence()]
    if sealed.card is not None and sealed.evaluation is not None:
        chosen = sealed.card.chosen
        said.append(
            f"The final model, trial {chosen.trial} trained for {counted(chosen.epochs, 'epoch')} on all images to "
            f"develop on, scored on {images_words(sealed.evaluation, 'test image')}:"
        )
        said.append(_quoted(sealed.evaluation))
    return " ".join(said)


def race_words(race: object, dropped: int, drawn: str = "patients") -> str:
    """How trials were raced, and how many were dropped. race: the section `search.race`, as a run's study has it;
    drawn: what resamples are drawn of."""
    fields = race if isinstance(race, dict) else {"kind": race}
    kind = str(fields.get("kind", ""))
    said, source = RACES.get(kind, ("", ""))
    try:
        rule = said.format_map({**fields, "drawn": drawn})
    except (KeyError, ValueError):  # another version's rule had other fields
        rule = ""
    if not rule:
        others = [f"{name} {format_value(value)}" for name, value in fields.items() if name != "kind"]
        rule = f"rule `{kind}`{f' with {listed(others)}' if others else ''}"
    return (
        f"Trials were raced fold by fold{cite(source)}: {rule}. In this way {counted(dropped, 'trial')} "
        f"{'was' if dropped == 1 else 'were'} dropped before the last fold."
    )


def _was(trials: int) -> str:
    return "was" if trials == 1 else "were"


def _quoted(evaluation: Evaluation, skip: tuple[str, ...] = ()) -> str:
    found = [evaluation[key] for key in _QUOTED if key in evaluation and key not in skip]
    told = [f"{figure.title}: {_with_interval(figure.interval)}" for figure in found if _is_defined(figure)]
    return f"{'; '.join(told)}." if told else ""


def _is_defined(figure: Figure) -> bool:
    return figure.value == figure.value


def _with_interval(interval: Interval) -> str:
    value, low, high = interval.value, interval.low, interval.high
    return f"{value:.3f} [{low:.3f}, {high:.3f}]" if low == low else f"{value:.3f}"
