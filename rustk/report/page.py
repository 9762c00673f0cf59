"""The report's page: one HTML file that holds everything and loads nothing.

Here a run's analysis becomes what the templates show; nothing is computed that a reader couldn't find in `Analysis`.
The templates, the style sheet and the script stand in templates/."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import rustk
from rustk.report.aggregate import MERIT
from rustk.report.analysis import Analysis
from rustk.report.checklist import filled_items
from rustk.report.comparison import compare
from rustk.report.figures import Drawing
from rustk.report.figures.search import is_grid
from rustk.report.numbers import format_mean, is_absent, with_superscripts
from rustk.report.page_charts import heat_map, learning_curves, reliability_curve, scatters
from rustk.report.page_tables import (
    checklist_grid,
    effects_grid,
    figures_grid,
    from_table,
    labels_grid,
    pairs_grid,
    scores_grid,
    summary_grid,
    trials_grid,
)
from rustk.report.provenance import Fact, provenance
from rustk.report.report import FIGURES, weights_note
from rustk.report.sealed import SealedTest
from rustk.report.table_formats import Table
from rustk.report.tables import describe_trial, folds, metrics, title_of
from rustk.report.verdict import judge

RANDOM_WEIGHTS = "weights: random — not a scientific result"
NOT_CLINICAL = "not for clinical use"

_STRONG = 0.55  # a cell shaded darker than this needs light text


@dataclass(frozen=True)
class Picture:
    """A figure made for print, as it is embedded."""

    number: str | None
    caption: str
    alt: str
    source: str


def write_page(
    analysis: Analysis,
    drawings: Sequence[Drawing] = (),
    files: Mapping[str, bytes] | None = None,
    written: str = "",
    sealed: SealedTest | None = None,
) -> bytes:
    """The page of one run, UTF-8.

    `drawings` are the figures for print, whose PNG is taken from `files` (what `Report.files` gives) and left out
    where it is not there. `written` is when, for the reader; without it the same analysis gives the same bytes.
    `sealed` is what is known of the test split."""
    run = _run(analysis, sealed)
    run["pictures"] = pictures(drawings, files or {})
    sections = [
        ("audit", "Audit", True),
        ("what", "What was run", True),
        ("results", "Results", True),
        ("search", "The search", bool(run["search"])),
        ("curves", "Learning curves", True),
        ("evaluation", "Evaluation", run["figures"] is not None),
        ("cortices", "Cortices", run["figures"] is not None),
        ("test", "The sealed test", sealed is not None),
        ("figures", "Figures", bool(run["pictures"])),
        ("trials", "Every trial", bool(run["panels"])),
        ("provenance", "Provenance", True),
        ("checklist", "Guidelines", True),
    ]
    results = analysis.aggregate.results
    return _render(
        "run.html.j2",
        title=results.title,
        subtitle=f"Run {results.run} of the study {results.name}",
        banners=run["banners"],
        contents=[section[:2] for section in sections if section[2]],
        page_foot=f"rustk · run {results.run} · {NOT_CLINICAL}",
        written=written,
        run=run,
    )


def write_comparison_page(
    analyses: Sequence[Analysis],
    table: Table,
    drawings: Sequence[Drawing] = (),
    files: Mapping[str, bytes] | None = None,
    written: str = "",
    sealed: Mapping[str, SealedTest] | None = None,
) -> bytes:
    """The page of several runs compared; `table` is their Table 1.3, `sealed` by run. Otherwise as `write_page`."""
    pairs = compare(analyses)
    runs = [_run(analysis, (sealed or {}).get(analysis.aggregate.results.run)) for analysis in analyses]
    numbered = [(f"run-{place}", run["title"]) for place, run in enumerate(runs, start=1)]
    flagged = [run for run in runs if run["flagged"]]
    names = {analysis.aggregate.results.run: analysis.aggregate.results.title for analysis in analyses}
    if len(set(names.values())) < len(names):
        names = {run: run for run in names}
    return _render(
        "comparison.html.j2",
        title=f"{len(runs)} studies compared",
        subtitle=", ".join(analysis.aggregate.results.run for analysis in analyses),
        banners=sorted({banner for run in runs for banner in run["banners"]}),
        contents=[
            *([("audit", "Audit")] if flagged else []),
            ("compared", "The studies"),
            ("pairs", "Differences"),
            *numbered,
        ],
        page_foot=f"rustk · comparison of {len(runs)} runs · {NOT_CLINICAL}",
        written=written,
        runs=runs,
        flagged=flagged,
        summary=summary_grid(analyses, [run["verdict"] for run in runs]),
        table=from_table(table),
        pairs=pairs_grid(pairs, names),
        reasons=[f"{names[p.first]} and {names[p.second]}: {why}." for p in pairs for why in p.reasons],
        pictures=pictures(drawings, files or {}),
    )


def pictures(drawings: Sequence[Drawing], files: Mapping[str, bytes]) -> list[Picture]:
    """The drawings whose PNG is among `files`, as data: addresses."""
    found = []
    for drawing in drawings:
        png = files.get(f"{FIGURES}/{drawing.name}.png")
        if png is not None:
            source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
            found.append(Picture(drawing.number, drawing.caption, drawing.alt, source))
    return found


def _run(analysis: Analysis, sealed: SealedTest | None) -> dict[str, Any]:
    """Everything the templates show of one run."""
    aggregate = analysis.aggregate
    results = aggregate.results
    note = weights_note(results)
    floor = None if analysis.floor is None else analysis.floor["auroc_200"].value
    searched = results.hyperparameters
    tables = [from_table(table(aggregate, floor=floor, note=note)) for table in (metrics, folds)]
    return {
        "title": results.title,
        "description": str(results.study["study"].get("description") or ""),
        "banners": [RANDOM_WEIGHTS] if note else [],
        "flagged": analysis.flagged,
        "findings": analysis.findings,
        "absent": analysis.absent,
        "verdict": judge(analysis),
        "floor": floor is not None,
        "setting": _setting(analysis),
        "scores": scores_grid(results.index) if results.index is not None else None,
        "tables": ([trials_grid(analysis, floor)] if searched else []) + tables,
        "search": _search(analysis),
        "scattered": len(searched) != 2 or not is_grid(aggregate),
        "search_caption": "The figure of merit of each trial: the mean over folds of the validation AUROC at its best "
        "epoch. The best trial is outlined.",
        "effects": effects_grid(analysis.effects) if analysis.effects else None,
        "choice": _choice(analysis),
        "best": _panel(analysis, analysis.trial, floor),
        "panels": [_panel(analysis, int(t), floor) for t in aggregate.trials["trial"]] if searched else [],
        "evaluation": _evaluated(analysis),
        "figures": figures_grid(analysis) if analysis.best else None,
        "labels": labels_grid(analysis) if analysis.best else None,
        "cortices": _cortices(analysis),
        "sealed": sealed,
        "provenance": provenance(results),
        "checklist": checklist_grid(filled_items(analysis, sealed)),
    }


def _setting(analysis: Analysis) -> list[Fact]:
    results = analysis.aggregate.results
    study, planned = results.study["study"], results.study["planned"]
    model, training, fold = (study.get(part) or {} for part in ("model", "training", "folds"))
    scheme = {"patient": "a patient's images together", "shard": "image i in fold i mod k, as in the thesis"}
    count, done = planned["trials"] * planned["folds"], len(results.fold_metadata)
    planned_words = f"{planned['trials']:,} trials x {planned['folds']} folds = {count:,} folds"
    facts = {
        "Planned": f"{planned_words}, of which {done:,} are done",
        "Epochs": training.get("epochs") or planned.get("epochs"),
        "Model": model.get("architecture"),
        "Weights": model.get("weights"),
        "Backbone": None if "trainable" not in model else "trained" if model["trainable"] else "frozen",
        "Head": ", ".join(map(str, model.get("head") or ())) or None,
        "Dropout": model.get("dropout"),
        "Batch size": training.get("batch_size"),
        "Learning rate": training.get("learning_rate"),
        "Epsilon": training.get("epsilon"),
        "Flips": ", ".join(training.get("flips") or ()) or None,
        "Searched": ", ".join(title_of(name).lower() for name in results.hyperparameters) or "nothing",
        "Folds": scheme.get(str(fold.get("scheme"))),
        "Dataset": (results.dataset or {}).get("name"),
    }
    for name in results.hyperparameters:
        facts.pop(title_of(name), None)
    return [Fact(name, (with_superscripts(str(value)),)) for name, value in facts.items() if value is not None]


def _search(analysis: Analysis) -> Markup | None:
    results = analysis.aggregate.results
    names = list(results.hyperparameters)
    if not names:
        return None
    titles = {name: title_of(name) for name in names}
    draw = heat_map if len(names) == 2 and is_grid(analysis.aggregate) else scatters
    return Markup(draw(analysis.aggregate.trials, names, MERIT, titles, analysis.trial))


def _choice(analysis: Analysis) -> str:
    if analysis.choice is None:
        return ""
    choice = analysis.choice
    won = sorted(choice.share_won_by_trial.items(), key=lambda item: -item[1])[:3]
    told = ", ".join(f"trial {trial} in {share:.0%}" for trial, share in won if share > 0)
    corrected = choice.corrected
    told = f"Over {corrected.resamples} resamples of the patients the choice fell on {told}."
    if corrected.optimism > 0:
        return (
            f"{told} On that account the best figure of {corrected.naive:.4f} is too high by {corrected.optimism:.4f}."
        )
    return f"{told} The best figure of {corrected.naive:.4f} is not too high on that account."


def _evaluated(analysis: Analysis) -> str:
    if analysis.best is None or analysis.floor is None:
        return ""
    name = describe_trial(analysis.aggregate, analysis.trial)
    which = f"trial {analysis.trial} ({name})" if name else "the model"
    resamples = len(analysis.best["auroc_200"].resampled)
    return with_superscripts(
        f"Validation predictions of {which} at epoch {analysis.epoch}: {analysis.best.images:,} images of "
        f"{analysis.best.patients:,} patients, each predicted by the fold that did not train on it. Intervals are 95 % "
        f"percentiles of {resamples:,} resamples of patients; they do not account for the choice of the trial, which "
        "the corrected figure above does."
    )


def _panel(analysis: Analysis, trial: int, floor: float | None) -> dict[str, Any]:
    aggregate = analysis.aggregate
    row = aggregate.row(trial)
    rows = aggregate.results.histories[aggregate.results.histories["trial"] == trial]
    epoch = None if is_absent(row["epoch"]) else int(row["epoch"])
    charts = [
        {"svg": Markup(learning_curves(rows, metric, title, epoch, floor)), "caption": title}
        for metric, title in (("auroc", "AUROC"), ("loss", "Loss"))
        if len(rows)
    ]
    return {
        "trial": trial,
        "name": describe_trial(aggregate, trial),
        "merit": format_mean(row[MERIT], row[f"{MERIT}_sd"]),
        "note": row["note"],
        "folds": sorted(rows["fold"].unique()),
        "charts": charts,
        "facts": _panel_facts(analysis, trial, epoch),
    }


def _panel_facts(analysis: Analysis, trial: int, epoch: int | None) -> list[Fact]:
    results = analysis.aggregate.results
    by_fold = []
    for fold in range(results.planned_folds):
        rows = results.histories.query("trial == @trial and fold == @fold")
        at = rows.loc[rows["epoch"] == epoch, MERIT]
        told = "missing" if (trial, fold) in results.missing else f"{at.iloc[0]:.4f}" if len(at) else "no value"
        if (trial, fold) in results.diverged:
            told += f" (diverged at epoch {results.diverged[trial, fold]})"
        by_fold.append(f"fold {fold}: {told}")
    facts = [Fact(f"Validation AUROC at epoch {epoch}" if epoch else "Folds", (", ".join(by_fold),))]
    in_effect: dict[str, Any] = next(
        (m["in_effect"] for (t, _), m in results.fold_metadata.items() if t == trial and m.get("in_effect")), {}
    )
    told = ", ".join(f"{name.replace('_', ' ')} {value:.6g}" for name, value in in_effect.items() if _is_number(value))
    return [*facts, Fact("In effect", (told,))] if told else facts


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cortices(analysis: Analysis) -> list[dict[str, Any]]:
    if analysis.best is None:
        return []
    shown = []
    for agreement in analysis.best.cortices:
        rows = []
        for counts in agreement.confusion:
            total = counts.sum()
            shares = [count / total if total else 0.0 for count in counts]
            rows.append(
                [
                    {"count": f"{int(count):,}", "share": f"{share:.2f}", "strong": share * 0.7 > _STRONG * 0.9}
                    for count, share in zip(counts, shares, strict=True)
                ]
            )
        title = f"Reliability curve of the {agreement.cortex} cortex"
        shown.append(
            {
                "name": agreement.cortex,
                "images": f"{int(agreement.confusion.sum()):,}",
                "chart": Markup(reliability_curve(agreement.calibration, title)),
                "error": f"{agreement.calibration.expected_error:.3f}",
                "rows": rows,
            }
        )
    return shown


def _render(template: str, **context: Any) -> bytes:
    banners = context["banners"]
    page = _environment().get_template(template)
    return page.render(version=rustk.__version__, page_head=" · ".join(banners) if banners else "", **context).encode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("rustk.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["super"] = lambda text: Markup(escape(with_superscripts(str(text))))
    environment.filters["css"] = _css_string
    for name in ("style.css", "script.js"):
        source, _, _ = PackageLoader("rustk.report", "templates").get_source(environment, name)
        environment.globals[name.partition(".")[0]] = Markup(source)
    return environment


def _css_string(text: str) -> Markup:
    """The text within a CSS string: what could end it, or the style element, is written as a number."""
    return Markup("".join(c if c.isalnum() or c in " -_.,:()·—" else f"\\{ord(c):x} " for c in text))
