"""Where a run's numbers come from: data, weights, seeds, versions, devices, dates and the time they took."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from rustk.report.data.facts import Fact
from rustk.report.data.numbers import with_superscripts
from rustk.report.data.results import RunResults
from rustk.report.data.words import asked_section, counted, effect_words, title_of, trained_words
from rustk.store.documents import HistoryMetadata

_SCHEMES = {"patient": "a patient's images together", "shard": "image i in fold i mod k"}


def setting(results: RunResults) -> list[Fact]:
    """What was run, on which data: the study in short."""
    planned, fold = results.study.planned, results.study.study.folds
    # What trials differ in is no one value; of the rest, the first trial has what all have.
    first = int(results.trials["trial"].iloc[0])
    fields = {**asked_section(results, first, "model"), **asked_section(results, first, "training")}
    shared = {name: value for name, value in fields.items() if name not in results.hyperparameters}

    def number(name: str) -> str | None:
        value = shared.get(name)
        return None if value is None else f"{_written(value)}{effect_words(results, name, value)}"

    count, done = planned.trials * planned.folds, len(results.fold_metadata)
    folds = counted(planned.folds, "fold")
    planned_words = f"{counted(planned.trials, 'trial')} x {folds} = {counted(count, 'fold')}"
    spared = len(results.dropped_folds)
    dropped = f", and {spared:,} {'is' if spared == 1 else 'are'} left out by the race" if spared else ""
    facts: dict[str, Any] = {
        "Planned": f"{planned_words}, of which {done:,} {'is' if done == 1 else 'are'} done{dropped}",
        "Epochs": shared.get("epochs") or planned.epochs,
        "Model": shared.get("architecture"),
        "Weights": shared.get("weights"),
        "Backbone": trained_words(shared["trainable"]) if "trainable" in shared else None,
        "Head": ", ".join(map(str, shared.get("head") or ())) or None,
        "Objective": shared.get("objective"),
        "Dropout": number("dropout"),
        "Batch size": number("batch_size"),
        "Learning rate": number("learning_rate"),
        "Epsilon": number("epsilon"),
        "Flips": ", ".join(shared.get("flips") or ()) or None,
        "Searched": ", ".join(title_of(name).lower() for name in results.searched) or "nothing",
        "Folds": _SCHEMES.get(str(fold.get("scheme"))),
        "Dataset": results.study.dataset.name if results.study.dataset else None,
        "Instrument": results.instrument.title if results.instrument else None,
    }
    return [Fact(name, (_written(value),)) for name, value in facts.items() if value is not None]


def provenance(results: RunResults) -> list[Fact]:
    """What the run's files tell, in the order a reader asks; what they don't tell is left out."""
    run, study = results.study, results.study.study
    metadata = list(results.fold_metadata.values())
    dataset, weights = run.dataset, run.weights
    extra = study.model_extra or {}
    facts = [
        Fact("Run", (results.run,)),
        Fact("Planned", _texts(f"{run.planned_at:%Y-%m-%d %H:%M} UTC" if run.planned_at else None)),
        Fact("Trained", _texts(_trained(metadata))),
        Fact("Dataset", _texts(*((dataset.name, _digest(dataset.digest)) if dataset else ()))),
        Fact(
            "Instrument", _texts(*((results.instrument.title, results.instrument.source) if results.instrument else ()))
        ),
        Fact("Weights", _texts(*((weights.name, _digest(weights.sha256)) if weights else ()))),
        Fact("Hyperparameters taken from", _texts(_origin(run.taken_from))),
        Fact("Study seed", _texts(extra.get("seed"))),
        Fact("Folds' seed", _texts(study.folds.get("seed"))),
        Fact("Seeds of the folds", _texts(_seeds(metadata))),
        Fact("Features", _distinct(found.features for found in metadata)),
        Fact("Digest of the features", _distinct(found.digests.get("features") for found in metadata)),
        Fact("Digest of the weights, as loaded", _distinct(found.digests.get("weights") for found in metadata)),
        Fact("Container image", _distinct(found.digests.get("image") for found in metadata)),
        Fact("Devices", _distinct(found.device for found in metadata)),
        Fact("Versions", _distinct(_versions(found.versions) for found in metadata)),
        Fact("Commit", _distinct(_commit(found) for found in metadata) or _texts(run.versions.get("commit"))),
        Fact("Planned by", _planned_by(run.versions)),
        Fact("Device time", _device_time(results)),
        Fact("Time by phase", _phases(metadata)),
    ]
    return [fact for fact in facts if fact.values]


def device_hours(results: RunResults) -> float:
    """Hours that folds took on their devices, from each history's phases, or else from its epochs' seconds; NaN
    untold."""
    total, told = 0.0, False
    seconds = results.histories.groupby(["trial", "fold"])["seconds"].sum(min_count=1).to_dict()
    for task, metadata in results.fold_metadata.items():
        spent = sum(metadata.phases_seconds.values()) if metadata.phases_seconds else seconds.get(task, math.nan)
        if math.isfinite(spent):
            total, told = total + spent, True
    return total / 3600 if told else math.nan


def _written(value: Any) -> str:
    return with_superscripts(f"{value:g}" if isinstance(value, float) else str(value))


def _planned_by(versions: Mapping[str, Any]) -> tuple[str, ...]:
    if "rustk" not in versions:
        return ()
    # Raised when the same study would give other numbers than before.
    result = f" (numbers of version {versions['result']})" if "result" in versions else ""
    return (f"rustk {versions['rustk']}{result}",)


def _trained(metadata: list[HistoryMetadata]) -> str | None:
    """From the first to the last day on which a fold ended."""
    days = sorted({f"{found.ended_at:%Y-%m-%d}" for found in metadata if found.ended_at})
    if not days:
        return None
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def _device_time(results: RunResults) -> tuple[str, ...]:
    hours = device_hours(results)
    if not math.isfinite(hours):
        return ()
    shown = f"{hours:,.2f} device-hours" if hours >= 0.1 else f"{hours * 60:,.1f} device-minutes"
    return (f"{shown} over {counted(len(results.fold_metadata), 'fold')}",)


def _texts(*values: object) -> tuple[str, ...]:
    return tuple(str(value) for value in values if value is not None and value != "")


def _digest(value: str | None) -> str | None:
    return f"sha256 {value}" if value else None


def _origin(taken: Mapping[str, Any] | None) -> str | None:
    return f"run {taken.get('run')}, trial {taken.get('trial')}" if taken else None


def _seeds(metadata: list[HistoryMetadata]) -> str | None:
    seeds = {found.seeds["fold"] for found in metadata if "fold" in found.seeds}
    if not seeds:
        return None
    return f"{len(seeds):,} distinct, derived from study seed, trial and fold; each history's metadata has its own"


def _distinct(values: Iterable[object]) -> tuple[str, ...]:
    counts = Counter(str(value) for value in values if value is not None and value != "")
    if len(counts) < 2:
        return tuple(counts)
    return tuple(f"{value} ({counted(count, 'fold')})" for value, count in counts.most_common())


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()) if name != "commit")


def _commit(metadata: HistoryMetadata) -> str | None:
    return metadata.versions.get("commit")


def _phases(metadata: list[HistoryMetadata]) -> tuple[str, ...]:
    totals: Counter[str] = Counter()
    for found in metadata:
        totals.update(found.phases_seconds)
    whole = sum(totals.values())
    if not whole:
        return ()
    return (", ".join(f"{name} {seconds / whole:.0%}" for name, seconds in totals.most_common()),)
