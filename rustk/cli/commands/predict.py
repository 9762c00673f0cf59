"""`rustk predict`: what a final model says of images."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rustk.cli.completion import complete_run
from rustk.cli.context import JsonOption, StoreOption, settings, store_from
from rustk.vocabulary.errors import BadData, BadStudy

if TYPE_CHECKING:
    import numpy as np

    from rustk.store.documents import ModelCard

NOT_CLINICAL = "not for clinical use"


def predict(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="DICOM, PNG or JPEG files of one visit.")],
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
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Print the score of each site that an image shows, with its probabilities, and the total of a whole visit."""
    from rustk.store.runs import find_run
    from rustk.store.seal import read_card
    from rustk.training.requirement import load_tensorflow
    from rustk.vocabulary.checking import clip, did_you_mean
    from rustk.vocabulary.wording import counted

    opened = store_from(settings(store=store))
    name = find_run(opened, run)
    card = read_card(opened, name)
    if card is None:
        raise BadStudy(f"run {name} has no final model: make one with `rustk final {name}`")
    for given in view or ():
        if given not in card.instrument.views:
            raise BadStudy(f"--view {clip(given)}: {did_you_mean(given, card.instrument.views)}")
    if view and len(view) != len(images):
        raise BadStudy(f"--view: given {counted(len(view), 'time')}: expected once for each of {len(images)} images")
    # Before TensorFlow is loaded, for a file may be none.
    pixels = _prepare(images, card)
    load_tensorflow()
    from rustk.training.predict import FinalModel, meanings, total_of

    model = FinalModel(opened, name)
    probabilities = model.predict(pixels)
    views: list[str | None] = list(view) if view else [None] * len(images)
    scores = [model.read_scores(row, known) for row, known in zip(probabilities, views, strict=True)]
    total = total_of(card.instrument, scores)
    described: list[dict[str, Any]] = [
        {
            "image": str(path),
            "view": found.view,
            "view_probability": found.view_probability,
            "sites": {
                site: {"score": score.score, "probabilities": dict(score.probabilities)}
                for site, score in found.sites.items()
            },
            "probabilities": dict(zip(card.instrument.labels, row.tolist(), strict=True)),
        }
        for path, row, found in zip(images, probabilities, scores, strict=True)
    ]
    answer: dict[str, Any] = {
        "run": name,
        "note": NOT_CLINICAL,
        "instrument": card.instrument.name,
        "images": described,
        "total": total,
        "meanings": meanings(card.instrument, scores, total),
        "limits": list(card.limits),
        "test": card.test.model_dump(mode="json") if card.test else None,
    }
    if json:
        import json as json_module

        typer.echo(json_module.dumps(answer, indent=2))
        return
    for line in _lines(answer, card):
        typer.echo(line)


def _lines(answer: dict[str, Any], card: "ModelCard") -> Iterator[str]:
    instrument = card.instrument
    width = max(len(site) for site in instrument.site_names)
    for one in answer["images"]:
        sure = f": {one['view']} view ({one['view_probability']:.2f})" if instrument.view_labels else ""
        yield f"{one['image']}{sure}"
        if not one["sites"]:
            yield f"  no {instrument.words.site} was ever scored in this view"
        for site, score in one["sites"].items():
            shares = "  ".join(f"{value}: {share:.2f}" for value, share in score["probabilities"].items())
            yield f"  {site:{width}}  {score['score']}   {shares}"
    if answer["total"] is not None and instrument.total is not None:
        yield f"{instrument.total.title} {answer['total']}"
    yield from answer["meanings"]
    yield f"\nmodel of run {answer['run']}; {NOT_CLINICAL}"
    yield from (f"- {limit}" for limit in card.limits)
    if card.test is not None:
        yield f"\nOn the {card.test.images} images of {card.data.dataset}'s sealed test split it scored:"
        for figure in card.test.figures.values():
            yield f"  {figure.title:55} {_told(figure.value):>9}  ({_told(figure.low)} to {_told(figure.high)})"


def _told(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _prepare(images: list[Path], card: "ModelCard") -> "np.ndarray":
    """The images as the model's data were prepared: uint8 [images, height, width]. Raises BadData, naming the file."""
    import numpy as np

    from rustk.datasets.decoding import UnreadableImage, read_radiograph
    from rustk.datasets.imaging import Preparation, prepare

    # What was drawn, not photographed, has the right shape already, which stretching keeps.
    letterbox = card.data.preparation.get("method") == Preparation.LETTERBOX.value
    method = Preparation.LETTERBOX if letterbox else Preparation.STRETCH
    prepared = []
    for path in images:
        try:
            prepared.append(prepare(read_radiograph(path).pixels, card.data.image_shape[0], method))
        except UnreadableImage as error:
            raise BadData(f"{path}: {error}: expected a radiograph as DICOM, PNG or JPEG") from None
    return np.stack(prepared)
