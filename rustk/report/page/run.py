"""The page of one run: what its report holds, put in order for the template; nothing is computed here."""

from collections.abc import Callable, Mapping
from typing import Any

from rustk.report.data.aggregate import MERIT
from rustk.report.data.facts import Fact
from rustk.report.data.numbers import format_mean, is_absent, with_superscripts
from rustk.report.data.race import race_of, saved_words
from rustk.report.data.words import (
    counted,
    describe_row,
    describe_trial,
    hyperparameter_formats,
    images_words,
    weights_note,
)
from rustk.report.evaluation.analysis import Analysis
from rustk.report.evaluation.selection_bias import beyond_words
from rustk.report.methods.composing import Methods
from rustk.report.page.examples import example_blocks
from rustk.report.page.provenance import provenance, setting
from rustk.report.page.render import NOT_CLINICAL, chart_block, folds_of, panel_block, render, table_block
from rustk.report.page.report import Report
from rustk.report.page.sites import site_blocks
from rustk.report.page.verdict import judge
from rustk.vocabulary.wording import written

_SEARCH_CHARTS = (
    "race",
    "search-heat-map",
    "search-scatter",
    "search-panels",
    "parallel-coordinates",
    "example-trials",
)

_PICTURED = "shows images of patients: don't pass it on without leave"


def write_page(report: Report, written: str = "") -> bytes:
    """The page of one run, UTF-8. `written`: when, for the reader; without it the same report gives the same bytes."""
    run = describe_run(report)
    results = report.analysis.aggregate.results
    sections = [
        ("audit", "Audit", True),
        ("what", "What was run", True),
        ("results", "Results", True),
        ("search", "The search", bool(run["search"])),
        ("curves", "Learning curves", True),
        ("evaluation", "Evaluation", bool(run["evaluated"])),
        ("sites", run["sites_title"], bool(run["sites"])),
        ("figures", "More figures", bool(run["others"])),
        ("test", "The sealed test", bool(run["sealed"])),
        ("examples", "Examples", bool(run["examples"])),
        ("trials", "Every trial", bool(run["panels"])),
        ("provenance", "Provenance", True),
        ("methods", "Methods", True),
        ("checklist", "Guidelines", True),
    ]
    return render(
        "run.html.j2",
        title=results.title,
        subtitle=f"Run {results.run} of the study {results.name}{_dates(run['provenance'])}",
        banners=[*([_PICTURED] if run["examples"] and not is_phantom(report.analysis) else []), *run["banners"]],
        contents=[section[:2] for section in sections if section[2]],
        page_foot=f"rustk · run {results.run} · {NOT_CLINICAL}",
        written=written,
        pictured=bool(run["examples"]),
        run=run,
    )


def describe_run(report: Report) -> dict[str, Any]:
    """Everything the templates show of one run."""
    analysis, tables, charts = report.analysis, report.tables, report.charts
    results = analysis.aggregate.results
    words = results.instrument.words if results.instrument else None
    shown = {name: table_block(table) for name, table in tables.items() if name != "best-trials"}
    if "best-trials" in tables:
        shown["all-trials"] = table_block(tables["all-trials"], others=(tables["best-trials"],))
    if "scores" in tables:
        shown["scores"] = table_block(tables["scores"], sortable=False)
    search = [chart_block(charts[name]) for name in _SEARCH_CHARTS if name in charts]
    known = {*_SEARCH_CHARTS, "learning-curves"}
    return {
        "title": results.title,
        "run": results.run,
        "description": results.study.study.description,
        "banners": banners(analysis),
        "flagged": analysis.flagged,
        "findings": analysis.findings,
        "absent": analysis.absent,
        "verdict": judge(analysis),
        "setting": setting(results),
        "tables": shown,
        "results": [
            shown[name] for name in ("all-trials", "final-hyperparameters", "metrics", "folds") if name in shown
        ],
        "search": search,
        "choice": _choice(analysis),
        "race": saved_words(results, race) if (race := race_of(results)) else "",
        "best": chart_block(charts["learning-curves"], toggled=True) if "learning-curves" in charts else None,
        "panels": trial_blocks(report) if results.hyperparameters else [],
        "evaluated": _evaluated(analysis),
        "sites": site_blocks(analysis),
        "sites_title": f"{words.sites.capitalize() if words else 'Sites'}: calibration and confusion",
        "site": words.site if words else "site",
        "others": [chart_block(chart) for name, chart in charts.items() if name not in known],
        "examples": _examples(report),
        "sealed": report.sealed if report.sealed is not None and _has_test(report) else None,
        "methods": _methods(report.methods),
        "provenance": provenance(results),
    }


def is_phantom(analysis: Analysis) -> bool:
    """Whether the data were drawn, and no image is a patient's."""
    dataset = analysis.aggregate.results.dataset
    return dataset is not None and dataset.source.get("kind") == "phantom"


def banners(analysis: Analysis) -> list[str]:
    """What must stand on every sheet: that the data were drawn, and that a backbone was never trained, or in part."""
    results = analysis.aggregate.results
    said = []
    if is_phantom(analysis):
        said.append("phantom data: drawn images, of no patient")
    if note := weights_note(results):
        said.append(f"weights: {'calibrated random' if 'calibrated' in note else 'random'} — not a scientific result")
    return said


def _methods(methods: Methods) -> dict[str, Any]:
    return {
        "paragraphs": [(heading, methods.numbered(text)) for heading, text in methods.paragraphs],
        "references": [reference.text for reference in methods.references],
        "links": [("Markdown" if path.endswith(".md") else "BibTeX", path) for path in methods.files()],
    }


def trial_blocks(report: Report) -> list[dict[str, Any]]:
    """A block for each trial, best first: its curves, and its figure of merit fold by fold."""
    from rustk.report.charts.learning_curves import trial_panels

    aggregate, data = report.analysis.aggregate, report.data
    formats = hyperparameter_formats(aggregate)
    in_effect = _in_effect(report.analysis, formats)
    blocks = []
    for row in aggregate.trials.to_dict(orient="records"):
        trial = int(row["trial"])
        panels = trial_panels(data, trial, row)
        epoch = None if is_absent(row["epoch"]) else int(row["epoch"])
        facts = [Fact(f"Validation AUROC at epoch {epoch}" if epoch else "Folds", (_by_fold(report, trial, epoch),))]
        if trial in in_effect:
            facts.append(Fact("In effect", (with_superscripts(in_effect[trial]),)))
        blocks.append(
            {
                "trial": trial,
                "name": describe_row(row, formats),
                "merit": format_mean(row[MERIT], row[f"{MERIT}_sd"]),
                "note": row["note"],
                "folds": folds_of(panels),
                "panels": [panel_block(panel) for panel in panels],
                "facts": facts,
            }
        )
    return blocks


def _by_fold(report: Report, trial: int, epoch: int | None) -> str:
    """`fold 0: 0.7512, fold 1: missing`."""
    results, curves = report.analysis.aggregate.results, report.data.curves.get(trial)
    missing = {fold for at, fold in results.missing if at == trial}
    dropped = {fold for at, fold in results.dropped_folds if at == trial}
    told = []
    for fold in range(results.planned_folds):
        words = "missing" if fold in missing else "not trained" if fold in dropped else "no value"
        if curves is not None and epoch is not None and fold in curves.folds:
            epochs, values = curves.folds[fold]
            words = next((f"{v:.4f}" for e, v in zip(epochs, values[MERIT], strict=True) if e == epoch), words)
        if (trial, fold) in results.diverged:
            words += f" (diverged at epoch {results.diverged[trial, fold]})"
        told.append(f"fold {fold}: {words}")
    return ", ".join(told)


def _in_effect(analysis: Analysis, formats: Mapping[str, Callable[[Any], str]]) -> dict[int, str]:
    """What each trial really trained with, as its first fold recorded it; written as `formats` writes what varies."""
    found: dict[int, str] = {}
    for (trial, _), metadata in analysis.aggregate.results.fold_metadata.items():
        if trial not in found and metadata.in_effect:
            numbers = {
                name: value
                for name, value in metadata.in_effect.items()
                if isinstance(value, int | float) and not isinstance(value, bool)
            }
            told = ", ".join(
                f"{name.replace('_', ' ')} {formats.get(name, written)(_meant(value))}"
                for name, value in numbers.items()
            )
            if told:
                found[trial] = told
    return found


def _meant(value: float) -> float:
    """A number as it was meant: 0.001 is read back from 32 bits as 0.0010000000475."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _choice(analysis: Analysis) -> str:
    if analysis.choice is None:
        return ""
    choice = analysis.choice
    won = sorted(choice.share_won_by_trial.items(), key=lambda item: -item[1])[:3]
    told = ", ".join(f"trial {trial} in {share:.0%}" for trial, share in won if share > 0)
    corrected = choice.corrected
    resamples = counted(corrected.resamples, "resample")
    told = f"Over {resamples} of the {analysis.drawn}, the choice fell on {told}."
    if beyond := beyond_words(choice):
        told = f"{told} {beyond}"
    if corrected.optimism > 0:
        return f"{told} Choosing makes the best figure of {corrected.naive:.4f} too high by {corrected.optimism:.4f}."
    return f"{told} Choosing does not make the best figure of {corrected.naive:.4f} too high."


def _evaluated(analysis: Analysis) -> str:
    if analysis.best is None or analysis.floor is None:
        return ""
    name = describe_trial(analysis.aggregate, analysis.trial)
    which = f"trial {analysis.trial} ({name})" if name else "the model"
    resamples = len(analysis.best["auroc_200"].resampled)
    return with_superscripts(
        f"Validation predictions of {which} at epoch {analysis.epoch}: {images_words(analysis.best)}, each predicted "
        f"by the fold that did not train on it. Intervals are 95 % percentiles of {counted(resamples, 'resample')} of "
        f"{analysis.drawn}; they do not account for the choice of the trial, as the corrected figure above does."
    )


def _examples(report: Report) -> dict[str, Any] | None:
    if report.sealed is None or report.sealed.card is None or report.sealed.pictures is None:
        return None
    instrument = report.sealed.card.instrument
    return {
        "rule": report.sealed.pictures.rule,
        "site": instrument.words.site.capitalize(),
        "controlled": report.sealed.card.shuffled_head_sha256 is not None,
        "blocks": example_blocks(report.sealed.pictures, instrument),
    }


def _has_test(report: Report) -> bool:
    sealed = report.sealed
    return sealed is not None and bool(sealed.sentence() or sealed.card)


def _dates(facts: list[Fact]) -> str:
    """` · planned 2026-05-01 · trained 2026-05-02`, as far as the run's files say."""
    told = {fact.name: fact.values[0] for fact in facts}
    days = [f"{name.lower()} {told[name].partition(' UTC')[0]}" for name in ("Planned", "Trained") if name in told]
    return "".join(f" · {day}" for day in days)
