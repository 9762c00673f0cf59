"""Whether each searched hyperparameter did anything: what was asked, and what was in effect.

A search over a value that never reached the optimizer or the data pipeline still yields a table with a best row.
Every fold's history records what its training really used; here the two are laid side by side.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rustk.planning.searchable import SEARCHABLE
from rustk.report.audits.base import Context, Finding, first_few
from rustk.report.data.numbers import column_format, format_value
from rustk.report.data.results import RunResults
from rustk.report.data.words import title_of
from rustk.store.documents import HistoryMetadata

ORDER = 10

# Optimizers keep float32: a value read back differs by up to 6e-8 of itself.
_SAME = 1e-6
# Of so many images, each flipped as a coin falls, none is flipped once in 2^64 trainings.
_SURELY_FLIPPED = 64


@dataclass(frozen=True)
class Effect:
    """One searched hyperparameter over all folds that are there."""

    name: str
    asked: str
    in_effect: str
    folds: int  # that recorded it
    verdict: str  # one sentence
    dead: bool


def hyperparameter_effects(results: RunResults) -> list[Effect]:
    """One row for each searched hyperparameter."""
    return [_effect(results, name) for name in results.hyperparameters]


def audit(context: Context) -> list[Finding]:
    """Whether what was searched was in effect."""
    return audit_hyperparameters(context.results)


def audit_hyperparameters(results: RunResults) -> list[Finding]:
    """Hyperparameters that were not in effect as asked, and trials that differ by name only. Empty without a search."""
    if not results.hyperparameters:
        return []
    effects = hyperparameter_effects(results)
    findings = [
        Finding(f"hyperparameter-{effect.name}", "fault", f"{title_of(effect.name)}: {effect.verdict}")
        for effect in effects
        if effect.dead
    ]
    findings += [finding for name in results.hyperparameters if (finding := _audit_same_steps(results, name))]
    if twins := _same_histories(results):
        findings.append(
            Finding(
                "identical-histories",
                "fault",
                f"{len(twins):,} groups of trials that were asked to differ have identical histories: what they "
                "differ in had no effect."
                if len(twins) > 1
                else "Trials that were asked to differ have identical histories: what they differ in had no effect.",
                first_few(twins),
            )
        )
    unrecorded = [effect.name for effect in effects if not effect.folds]
    if unrecorded:
        sentence = f"The histories don't record what was in effect for {_listed(unrecorded)}: it can't be checked."
        findings.append(Finding("hyperparameters-unrecorded", "note", sentence))
    if not findings:
        sentence = f"Every fold trained with the {_listed(results.hyperparameters)} it was asked for."
        findings.append(Finding("hyperparameters", "clean", sentence))
    return findings


def as_asked(name: str, asked: Any, metadata: HistoryMetadata) -> bool:
    """Whether what a fold recorded of a setting is what was asked for.

    A batch has no more images than there are. Of flips those are recorded that an image had, which among a few images
    may be none.
    """
    found = metadata.in_effect[name]
    if name == "flips":
        had, wanted = set(SEARCHABLE[name].decode(str(found))), set(SEARCHABLE[name].decode(str(asked)))
        epochs = metadata.hyperparameters.get("epochs")
        images = metadata.samples.get("train", 0) * (epochs if isinstance(epochs, int) else 1)
        return had == wanted or (had < wanted and images < _SURELY_FLIPPED)
    return _equal(found, min(asked, metadata.samples.get("train", asked)) if name == "batch_size" else asked)


def _effect(results: RunResults, name: str) -> Effect:
    asked_of = results.trials.set_index("trial")[name]
    asked_by_trial = asked_of.to_dict()
    wrong, found_values, folds = [], [], 0
    for (trial, fold), metadata in results.fold_metadata.items():
        in_effect = metadata.in_effect
        if not isinstance(in_effect.get(name), int | float | str):
            continue
        folds += 1
        found, asked = in_effect[name], asked_by_trial[trial]
        # Float32 is read back as 0.0010000000474974513.
        found_values.append(float(f"{found:.6g}") if isinstance(found, float) else found)
        if not as_asked(name, asked, metadata):
            wrong.append(f"trial {trial} fold {fold}: asked {format_value(asked)}, in effect {format_value(found)}")
    asked_text, found_text = _spread(asked_of.dropna()), _spread(found_values) if folds else "not recorded"
    if not folds:
        verdict = "not recorded in the histories"
    elif wrong and len(set(found_values)) == 1 and asked_of.nunique() > 1:
        verdict = f"asked for {asked_text}, but every fold trained with {found_text}: the search over it is void."
    elif wrong:
        verdict = f"{len(wrong):,} of {folds:,} folds did not train with the value asked for ({wrong[0]})."
    else:
        verdict = "in effect as asked"
    return Effect(name, asked_text, found_text, folds, verdict, bool(wrong))


def _audit_same_steps(results: RunResults, name: str) -> Finding | None:
    """Trials asked to differ in `name` whose folds took the very same steps with the very same value."""
    asked = results.trials.set_index("trial")[name]
    steps: dict[int, dict[int, Hashable]] = defaultdict(dict)
    for (trial, fold), metadata in results.fold_metadata.items():
        in_effect = metadata.in_effect
        if not isinstance(in_effect.get(name), int | float | str):
            return None
        of_batches = ("last_batch_size", "steps_per_epoch") if name == "batch_size" else ()
        steps[trial][fold] = tuple(in_effect.get(key) for key in (name, *of_batches))
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for trial, of_fold in steps.items():
        groups[tuple(sorted(of_fold.items()))].append(trial)
    alike = [trials for trials in groups.values() if len(trials) > 1 and asked[trials].nunique() > 1]
    if not alike:
        return None
    return Finding(
        f"same-steps-{name}",
        "warning",
        f"{title_of(name)}: {sum(map(len, alike)):,} trials that were asked to differ in it took identical steps.",
        first_few([f"{_trials(trials)}: asked {_spread(asked[trials])}" for trials in alike]),
    )


def _same_histories(results: RunResults) -> list[str]:
    """Groups of trials with equal histories, in words, that were asked for different hyperparameters."""
    rows = results.histories
    trials = rows["trial"].to_numpy()
    columns = [rows[name].to_numpy() for name in rows.columns if name not in ("trial", "seconds")]
    groups: dict[tuple[bytes, ...], list[int]] = defaultdict(list)
    # Rows are sorted by trial: a trial is a slice.
    for part in np.split(np.arange(len(trials)), np.flatnonzero(np.diff(trials)) + 1):
        if len(part):
            these = slice(int(part[0]), int(part[-1]) + 1)
            groups[tuple(values[these].tobytes() for values in columns)].append(int(trials[part[0]]))
    asked = results.trials.set_index("trial")
    found = []
    for alike in groups.values():
        if len(alike) < 2:
            continue
        differing = [name for name in results.hyperparameters if asked.loc[alike, name].nunique() > 1]
        if differing:
            values = "; ".join(f"{name} {_spread(asked.loc[alike, name])}" for name in differing)
            found.append(f"{_trials(alike)}: asked {values}")
    return found


def _equal(found: Any, expected: Any) -> bool:
    if isinstance(found, str) or isinstance(expected, str):
        return str(found) == str(expected)
    if isinstance(found, bool | np.bool_) or isinstance(expected, bool | np.bool_):
        return bool(found) == bool(expected)
    return bool(abs(found - expected) <= _SAME * max(abs(expected), 1e-30))


def _spread(values: Iterable[Any]) -> str:
    """The distinct values: all of a few, the range of many."""
    distinct = sorted(set(values), key=lambda value: (isinstance(value, str), value))
    if not distinct:
        return "nothing"
    written = column_format(distinct)
    shown = list(dict.fromkeys(written(value) for value in distinct))
    return ", ".join(shown) if len(shown) <= 8 else f"{shown[0]} to {shown[-1]} ({len(shown)} values)"


def _trials(trials: list[int]) -> str:
    if len(trials) > 2 and trials == list(range(trials[0], trials[-1] + 1)):
        return f"trials {trials[0]} to {trials[-1]}"
    return f"trials {_listed([str(trial) for trial in trials])}"


def _listed(items: Iterable[str]) -> str:
    listed = list(items)
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}"
