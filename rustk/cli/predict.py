"""`rustk predict`: what a final model says of images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rustk.cli.context import JsonOption, StoreOption, settings, store_from
from rustk.vocabulary.errors import BadData, BadStudy

if TYPE_CHECKING:
    import numpy as np

NOT_CLINICAL = "not for clinical use"


def predict(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="DICOM, PNG or JPEG files of one visit.")],
    run: Annotated[str, typer.Option("--run", metavar="RUN_OR_STUDY", help="The run whose final model to ask.")],
    view: Annotated[
        list[str] | None,
        typer.Option(help="ap or lateral, where known: once for each image, in their order.", show_default=False),
    ] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Print the scores of each image's cortices with their probabilities and, of a pair of views, the RUST total."""
    from rustk.store.runs import find_run
    from rustk.training.requirement import load_tensorflow
    from rustk.vocabulary.labels import LABELS, VIEWS

    if view and (len(view) != len(images) or not set(view) <= set(VIEWS)):
        raise BadStudy(f"--view {' '.join(view)}: expected {' or '.join(VIEWS)} once for each of {len(images)} images")
    opened = store_from(settings(store=store))
    name = find_run(opened, run)
    load_tensorflow()
    from rustk.training.predict import FinalModel, rust_total

    model = FinalModel(opened, name)
    probabilities = model.predict(_prepare(images, model.image_shape, model.card["data"]["preparation"]))
    views: list[str | None] = list(view) if view else [None] * len(images)
    scores = [model.read_scores(row, known) for row, known in zip(probabilities, views, strict=True)]
    total = rust_total(scores)
    described: list[dict[str, Any]] = [
        {
            "image": str(path),
            "view": found.view,
            "view_probability": found.view_probability,
            "cortices": {
                cortex: {"score": score.score, "probabilities": dict(score.probabilities)}
                for cortex, score in found.cortices.items()
            },
            "probabilities": dict(zip(LABELS, row.tolist(), strict=True)),
        }
        for path, row, found in zip(images, probabilities, scores, strict=True)
    ]
    if json:
        import json as json_module

        answer = {"run": name, "note": NOT_CLINICAL, "images": described, "rust_total": total}
        typer.echo(json_module.dumps(answer, indent=2))
        return
    for one in described:
        typer.echo(f"{one['image']}: {one['view']} view ({one['view_probability']:.2f})")
        for cortex, score in one["cortices"].items():
            shares = "  ".join(f"{value}: {share:.2f}" for value, share in score["probabilities"].items())
            typer.echo(f"  {cortex:10} {score['score']}   {shares}")
    if total is not None:
        typer.echo(f"RUST total {total}")
    typer.echo(f"model of run {name}; {NOT_CLINICAL}")


def _prepare(images: list[Path], shape: tuple[int, int], preparation: dict[str, Any]) -> "np.ndarray":
    """The images as the model's data were prepared: uint8 [images, height, width]. Raises BadData, naming the file."""
    import numpy as np

    from rustk.datasets.decoding import UnreadableImage, read_radiograph
    from rustk.datasets.imaging import Preparation, prepare

    # What was drawn, not photographed, has the right shape already, which stretching keeps.
    letterbox = preparation.get("method") == Preparation.LETTERBOX.value
    method = Preparation.LETTERBOX if letterbox else Preparation.STRETCH
    prepared = []
    for path in images:
        try:
            prepared.append(prepare(read_radiograph(path).pixels, shape[0], method))
        except UnreadableImage as error:
            raise BadData(f"{path}: {error}: expected a radiograph as DICOM, PNG or JPEG") from None
    return np.stack(prepared)
