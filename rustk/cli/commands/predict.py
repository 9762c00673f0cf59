"""`rustk predict`: what a final model says of the images of a visit, and where in them it looked."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rustk.cli.completion import complete_run
from rustk.cli.context import JsonOption, StoreOption, settings, store_from
from rustk.vocabulary.errors import BadStudy, StoreFailed

if TYPE_CHECKING:
    from rustk.datasets.visit import VisitImages
    from rustk.store.card import ModelCard
    from rustk.training.grad_cam import SiteMap
    from rustk.training.predict import FinalModel
    from rustk.training.scores import ImageScores, SiteScore, VisitScores

NOT_CLINICAL = "not for clinical use"
# How the preparation of phantoms is called.
_DRAWN = "drawn"
_LONGEST_STEM_BYTES = 200


def predict(
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE_OR_FOLDER...", help="DICOM, PNG or JPEG files of one visit, or their folder."),
    ],
    run: Annotated[
        str,
        typer.Option(
            "--run", metavar="RUN_OR_STUDY", help="The run whose final model to ask.", autocompletion=complete_run
        ),
    ],
    view: Annotated[
        list[str] | None,
        typer.Option(help="Which view, where known: once for each image, in their order.", show_default=False),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="A table, as CSV, that tells each image's view instead.", show_default=False)
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="What that table calls columns and views, as YAML.", show_default=False)
    ] = None,
    explain: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write a heat map of each site into this folder.", show_default=False),
    ] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Print the score of each site that the images of a visit show, with its probabilities, and the visit's total.

    Where no view is given, the model guesses it. Images of the same site weigh the same."""
    from rustk.store.outside import check_outside
    from rustk.store.run_list import find_run
    from rustk.store.seal import read_card

    opened = store_from(settings(store=store))
    if explain is not None:
        check_outside(explain, opened.url, "--explain")
    name = find_run(opened, run)
    card = read_card(opened, name)
    if card is None:
        raise BadStudy(f"run {name} has no final model: make one with `rustk final {name}`")
    _check_options(card, view, labels, mapping)
    # Before TensorFlow is loaded, for a file may be none.
    visit = _read_images(images, card)
    views = _views(visit, card, view, labels, mapping)
    targets = {} if explain is None else _targets(explain, images, visit.paths, opened.url)
    for path in visit.passed_over:
        typer.echo(f"{path}: no image, passed over", err=True)

    from rustk.training.requirement import load_tensorflow

    load_tensorflow()
    from rustk.training.predict import FinalModel
    from rustk.training.scores import combine

    model = FinalModel(opened, name)
    probabilities = model.predict(visit.pixels)
    scores = [model.read_scores(row, known) for row, known in zip(probabilities, views, strict=True)]
    maps = _explain(model, visit, scores, targets)
    described = [
        {
            "image": str(path),
            "view": found.view,
            "view_probability": found.view_probability,
            "sites": {site: _describe_site(score, of_image.get(site)) for site, score in found.sites.items()},
            "probabilities": dict(zip(card.instrument.labels, row.tolist(), strict=True)),
            **({"heat_maps": str(targets[path])} if path in targets else {}),
        }
        for path, row, found, of_image in zip(visit.paths, probabilities, scores, maps, strict=True)
    ]
    answer = {
        "run": name,
        "note": NOT_CLINICAL,
        "instrument": card.instrument.name,
        "images": described,
        **_describe_visit(combine(card.instrument, scores), visit),
        "limits": list(card.limits),
        "test": card.test.model_dump(mode="json") if card.test else None,
    }
    if json:
        import json as json_module

        typer.echo(json_module.dumps(answer, indent=2))
        return
    for line in _lines(answer, card):
        typer.echo(line)


def _check_options(card: "ModelCard", view: list[str] | None, labels: Path | None, mapping: Path | None) -> None:
    from rustk.vocabulary.checking import clip, did_you_mean

    for given in view or ():
        if "," in given:
            each = " ".join(f"--view {one.strip()}" for one in given.split(",") if one.strip())
            raise BadStudy(f"--view {clip(given)}: expected one view: give the option once for each image, as {each}")
        if given not in card.instrument.views:
            raise BadStudy(f"--view {clip(given)}: {did_you_mean(given, card.instrument.views)}")
    if view and labels is not None:
        raise BadStudy(f"--view and --labels {labels} both tell the views: leave one of them out")
    if mapping is not None and labels is None:
        raise BadStudy(f"--mapping {mapping}: there is no table for it: give --labels too")


def _read_images(images: list[Path], card: "ModelCard") -> "VisitImages":
    """The images as the model's data were prepared."""
    from rustk.datasets.imaging import Preparation
    from rustk.datasets.visit import read_visit
    from rustk.store.remedies import damaged
    from rustk.vocabulary.checking import clip, did_you_mean
    from rustk.vocabulary.names import model_card_key

    # What was drawn, not photographed, has the right shape already, which stretching keeps.
    method = card.data.preparation.get("method", _DRAWN)
    known = (*(one.value for one in Preparation), _DRAWN)
    if method not in known:
        key = model_card_key(card.run)
        raise damaged(key, f"{key}: data.preparation.method = {clip(method)}: {did_you_mean(method, known)}")
    letterbox = method == Preparation.LETTERBOX.value
    return read_visit(images, card.data.image_shape[0], Preparation.LETTERBOX if letterbox else Preparation.STRETCH)


def _views(
    visit: "VisitImages", card: "ModelCard", view: list[str] | None, labels: Path | None, mapping: Path | None
) -> Sequence[str | None]:
    """The view of each image; None where the model is to tell it."""
    from rustk.datasets.mapping import LabelMapping, read_mapping
    from rustk.datasets.visit import views_from_table
    from rustk.vocabulary.wording import counted

    if view and len(view) != len(visit.paths):
        raise BadStudy(
            f"--view: given {'once' if len(view) == 1 else counted(len(view), 'time')}: expected once for each of "
            f"{counted(len(visit.paths), 'image')}"
        )
    if labels is not None:
        named = LabelMapping() if mapping is None else read_mapping(mapping, card.instrument)
        return views_from_table(labels, named, card.instrument, visit.paths)
    return view or [None] * len(visit.paths)


def _targets(folder: Path, given: Sequence[Path], paths: Sequence[Path], store_url: str) -> dict[Path, Path]:
    """Where the heat maps of each image go; the folder is made. Raises BadStudy for one in the store or among the
    images, and where a heat map would overwrite a file.
    """
    from rustk.cli.output_folder import check_folder
    from rustk.datasets.visit import HEAT_MAPS
    from rustk.store.outside import check_outside
    from rustk.vocabulary.user_paths import make_folder

    check_outside(folder, store_url, "--explain")
    targets = {path: folder / f"{number:02d}-{_short(path.stem)}{HEAT_MAPS}" for number, path in enumerate(paths, 1)}
    # Whoever gives this folder again would have heat maps scored as radiographs.
    here = folder.resolve()
    within = any(path.is_dir() and path.resolve() in (here, *here.parents) for path in given)
    if within or any(path.parent.resolve() == here for path in paths):
        raise BadStudy(f"--explain {folder}: within the folder of the images: choose another, apart from it")
    for target in targets.values():
        if target.exists():
            raise BadStudy(f"--explain {folder}: {target.name} is there already: choose another folder")
    make_folder(folder, "--explain")
    check_folder(folder, store_url, "--explain")
    return targets


def _short(stem: str) -> str:
    # With what stands around it a file's name has at most 255 bytes; its number tells it from others.
    return os.fsencode(stem)[:_LONGEST_STEM_BYTES].decode(errors="ignore")


def _explain(
    model: "FinalModel", visit: "VisitImages", scores: "Sequence[ImageScores]", targets: dict[Path, Path]
) -> "list[dict[str, SiteMap]]":
    """The maps of each image's sites, written to `targets`; nothing where there are none."""
    if not targets:
        return [{}] * len(scores)
    from rustk.store.directory import written_aside
    from rustk.training.heat_maps import Heading, draw

    given = [{site: score.score for site, score in found.sites.items()} for found in scores]
    maps = model.explainer().explain(visit.pixels, given)
    for number, (path, target) in enumerate(targets.items()):
        titles = {
            site: f"{site}: {score.score} ({score.probabilities[score.score]:.0%})"
            for site, score in scores[number].sites.items()
        }
        try:
            picture = draw(visit.pixels[number], maps[number], Heading(scores[number].view, titles))
            with written_aside(target, picture) as aside:
                aside.replace(target)
        except OSError as error:
            raise StoreFailed(f"could not write {target} for {path}: {error.strerror or error}") from None
    return maps


def _describe_site(score: "SiteScore", found: "SiteMap | None" = None) -> dict[str, Any]:
    described: dict[str, Any] = {"score": score.score, "probabilities": dict(score.probabilities)}
    if found is not None:
        described["agreement_with_shuffled_scores"] = found.agreement
    return described


def _describe_visit(found: "VisitScores", visit: "VisitImages") -> dict[str, Any]:
    from rustk.training.scores import meanings

    total = found.total
    return {
        "sites": {
            site: {**_describe_site(score), "images": [str(visit.paths[number]) for number in found.shown[site]]}
            for site, score in found.sites.items()
        },
        "total": None if total is None else total.score,
        "total_expected": None if total is None else total.expected,
        "total_interval": None if total is None else [total.low, total.high],
        "total_confidence": None if total is None else total.confidence,
        "total_probabilities": None if total is None else dict(total.probabilities),
        "meanings": meanings(found),
        "thresholds": [
            {
                "means": one.threshold.means,
                "of": one.title,
                "at_least": one.threshold.at,
                "probability": one.probability,
                "reached": one.reached,
            }
            for one in found.thresholds
        ],
    }


def _lines(answer: dict[str, Any], card: "ModelCard") -> Iterator[str]:
    instrument = card.instrument
    for one in answer["images"]:
        sure = f": {one['view']} view ({one['view_probability']:.2f})" if instrument.view_labels else ""
        yield f"{one['image']}{sure}"
        if not one["sites"]:
            yield f"  no {instrument.words.site} was ever scored in this view"
        yield from _site_lines(one["sites"], card)
        if "heat_maps" in one:
            yield f"  heat maps: {one['heat_maps']}{_agreement(one['sites'])}"
    if any(len(site["images"]) > 1 for site in answer["sites"].values()):
        yield "the visit, a mean over the images that show the same"
        yield from _site_lines(answer["sites"], card)
    if answer["total"] is not None and instrument.total is not None:
        low, high = answer["total_interval"]
        yield (
            f"{instrument.total.title} {answer['total']}; {100 * answer['total_confidence']:.0f} % interval {low} to "
            f"{high}, expected {answer['total_expected']:.1f} (as if the {instrument.words.sites} were independent)"
        )
    yield from answer["meanings"]
    for threshold in answer["thresholds"]:
        yield (
            f"probability of {threshold['means']} ({threshold['of']} at least {threshold['at_least']}): "
            f"{threshold['probability']:.2f}"
        )
    yield f"\nmodel of run {answer['run']}; {NOT_CLINICAL}"
    yield from (f"- {limit}" for limit in card.limits)
    if card.test is not None:
        yield f"\nOn the {card.test.images} images of {card.data.dataset}'s sealed test split it scored:"
        width = max((len(figure.title) for figure in card.test.figures.values()), default=0)
        for figure in card.test.figures.values():
            yield f"  {figure.title:{width}} {_told(figure.value):>9}  ({_told(figure.low)} to {_told(figure.high)})"


def _site_lines(sites: dict[str, Any], card: "ModelCard") -> Iterator[str]:
    width = max(len(site) for site in card.instrument.site_names)
    for site, score in sites.items():
        shares = "  ".join(f"{value}: {share:.2f}" for value, share in score["probabilities"].items())
        yield f"  {site:{width}}  {score['score']}   {shares}"


def _agreement(sites: dict[str, Any]) -> str:
    """How much the maps are like those of shuffled scores, in words."""
    known = {site: found["agreement_with_shuffled_scores"] for site, found in sites.items()}
    told = [f"{site} {value:+.2f}" for site, value in known.items() if value is not None]
    if not told:
        return " (no map of shuffled scores to compare them with)"
    return f" (rank correlation with those of shuffled scores: {', '.join(told)}; near 1 they show the image alone)"


def _told(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
