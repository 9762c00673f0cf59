"""Whether what all trials share was in effect: what the study fixes, laid beside what each fold trained with.

A fixed setting that never reached the training, or a study.json that is not of these histories, would otherwise stand
in the methods as what was done.
"""

from rustk.planning.searchable import SEARCHABLE, Scalar
from rustk.report.audits.base import Context, Finding, first_few
from rustk.report.audits.hyperparameters import as_asked
from rustk.report.data.numbers import format_value
from rustk.report.data.own_histories import asked_of
from rustk.report.data.results import RunResults
from rustk.report.data.words import listed, title_of

ORDER = 12


def audit(context: Context) -> list[Finding]:
    """Whether what was fixed was in effect."""
    return audit_shared_settings(context.results)


def audit_shared_settings(results: RunResults) -> list[Finding]:
    """A fault for each setting that folds did not train with, or else one clean finding; empty without records."""
    findings, checked = _audit_trainable(results), []
    for name, asked in shared_settings(results).items():
        recorded = {
            task: metadata
            for task, metadata in results.fold_metadata.items()
            if isinstance(metadata.in_effect.get(name), int | float | str)
        }
        checked += [name.replace("_", " ")] if recorded else []
        wrong = [
            f"trial {trial} fold {fold}: {format_value(metadata.in_effect[name])}"
            for (trial, fold), metadata in recorded.items()
            if not as_asked(name, asked, metadata)
        ]
        if wrong:
            sentence = (
                f"{title_of(name)}: the study says {format_value(asked)}, but {len(wrong):,} of {len(recorded):,} "
                f"{'fold' if len(recorded) == 1 else 'folds'} did not train with that."
            )
            findings.append(Finding(f"shared-{name}", "fault", sentence, first_few(wrong)))
    if checked and not findings:
        sentence = f"Every fold trained with what the study fixes: {listed(checked)}, as read back from the training."
        findings.append(Finding("shared-settings", "clean", sentence))
    return findings


def _audit_trainable(results: RunResults) -> list[Finding]:
    """A fault where folds trained a backbone that the study keeps frozen, or the other way round."""
    asked = results.study.study.model.get("trainable")
    recorded = {task: m for task, m in results.fold_metadata.items() if "trainable_parameters" in m.in_effect}
    # Only of a backbone that is trained there is a rate.
    wrong = [
        f"trial {trial} fold {fold}: {'trained' if asked is False else 'frozen'}"
        for (trial, fold), metadata in recorded.items()
        if ("backbone_rate" in metadata.in_effect) == (asked is False)
    ]
    if asked is None or not wrong:
        return []
    sentence = (
        f"Trainable: the study says that the backbone is {'frozen' if asked is False else 'trained'}, but in "
        f"{len(wrong):,} of {len(recorded):,} {'fold' if len(recorded) == 1 else 'folds'} it was not."
    )
    return [Finding("shared-trainable", "fault", sentence, first_few(wrong))]


def shared_settings(results: RunResults) -> dict[str, Scalar]:
    """By short name what was asked for in every trial, as trials.parquet would have it, as far as the run says it."""
    first = asked_of(results.study, results.trials.head(1).to_dict(orient="records")[0])
    return {name: first[name] for name in SEARCHABLE if name in first and name not in results.hyperparameters}
