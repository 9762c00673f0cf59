"""Where a run's numbers come from: data, weights, seeds, versions, devices and the time they took."""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from rustk.report.results import RunResults


@dataclass(frozen=True)
class Fact:
    """One line of provenance. `values` has more than one where folds differ."""

    name: str
    values: tuple[str, ...]


def provenance(results: RunResults) -> list[Fact]:
    """What the run's files tell, in the order a reader asks; what they don't tell is left out."""
    study, resolved = results.study, results.study["study"]
    dataset = study.get("dataset") or {}
    weights = study.get("weights") or {}
    metadata = list(results.fold_metadata.values())
    facts = [
        Fact("Run", (results.run,)),
        Fact("Dataset", _texts(dataset.get("name"), _digest(dataset.get("digest")))),
        Fact("Weights", _texts(weights.get("name"), _digest(weights.get("sha256")))),
        Fact("Hyperparameters taken from", _texts(_origin(study.get("taken_from")))),
        Fact("Study seed", _texts(resolved.get("seed"))),
        Fact("Folds' seed", _texts((resolved.get("folds") or {}).get("seed"))),
        Fact("Seeds of the folds", _texts(_seeds(metadata))),
        Fact("Features", _distinct(metadata, "features")),
        Fact("Digest of the features", _distinct(metadata, "digests", "features")),
        Fact("Digest of the weights, as loaded", _distinct(metadata, "digests", "weights")),
        Fact("Container image", _distinct(metadata, "digests", "image")),
        Fact("Devices", _distinct(metadata, "device")),
        Fact("Versions", _versions(metadata)),
        Fact("Planned by", _planned_by(study.get("versions"))),
        Fact("Device time", _device_time(results)),
        Fact("Time by phase", _phases(metadata)),
    ]
    return [fact for fact in facts if fact.values]


def _planned_by(versions: object) -> tuple[str, ...]:
    if not isinstance(versions, dict) or "rustk" not in versions:
        return ()
    # Raised when the same study would give other numbers than before.
    result = f" (numbers of version {versions['result']})" if "result" in versions else ""
    return (f"rustk {versions['rustk']}{result}",)


def device_hours(results: RunResults) -> float:
    """Hours that folds took on their devices, from each history's phases, or else from its epochs' seconds; NaN
    untold."""
    total, told = 0.0, False
    seconds = results.histories.groupby(["trial", "fold"])["seconds"].sum(min_count=1).to_dict()
    for task, metadata in results.fold_metadata.items():
        phases = metadata.get("phases_seconds")
        spent = sum(phases.values()) if isinstance(phases, dict) and phases else seconds.get(task, math.nan)
        if math.isfinite(spent):
            total, told = total + spent, True
    return total / 3600 if told else math.nan


def _device_time(results: RunResults) -> tuple[str, ...]:
    hours = device_hours(results)
    if not math.isfinite(hours):
        return ()
    shown = f"{hours:,.2f} device-hours" if hours >= 0.1 else f"{hours * 60:,.1f} device-minutes"
    return (f"{shown} over {len(results.fold_metadata):,} folds",)


def _texts(*values: object) -> tuple[str, ...]:
    return tuple(str(value) for value in values if value is not None)


def _digest(value: object) -> str | None:
    return f"sha256 {value}" if isinstance(value, str) else None


def _origin(taken: object) -> str | None:
    return f"run {taken.get('run')}, trial {taken.get('trial')}" if isinstance(taken, dict) else None


def _seeds(metadata: list[dict[str, Any]]) -> str | None:
    seeds = [found["seeds"]["fold"] for found in metadata if isinstance(found.get("seeds"), dict)]
    if not seeds:
        return None
    return f"{len(set(seeds)):,} distinct, derived from study seed, trial and fold; each history's metadata has its own"


def _distinct(metadata: list[dict[str, Any]], *path: str) -> tuple[str, ...]:
    counts: Counter[str] = Counter()
    for found in metadata:
        value: object = found
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        if value is not None:
            counts[str(value)] += 1
    return _counted(counts)


def _versions(metadata: list[dict[str, Any]]) -> tuple[str, ...]:
    told = (found["versions"] for found in metadata if isinstance(found.get("versions"), dict))
    return _counted(Counter(text for versions in told for text in _pairs(versions)))


def _pairs(versions: object) -> tuple[str, ...]:
    if not isinstance(versions, dict) or not versions:
        return ()
    return (", ".join(f"{name} {version}" for name, version in sorted(versions.items())),)


def _counted(counts: Counter[str]) -> tuple[str, ...]:
    if len(counts) < 2:
        return tuple(counts)
    return tuple(f"{value} ({count:,} folds)" for value, count in counts.most_common())


def _phases(metadata: list[dict[str, Any]]) -> tuple[str, ...]:
    totals: Counter[str] = Counter()
    for found in metadata:
        phases = found.get("phases_seconds")
        totals.update(phases if isinstance(phases, dict) else {})
    whole = sum(totals.values())
    if not whole:
        return ()
    return (", ".join(f"{name} {seconds / whole:.0%}" for name, seconds in totals.most_common()),)
