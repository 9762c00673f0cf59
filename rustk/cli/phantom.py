"""`rustk phantom`: a dataset of drawn radiographs, to try everything on without a patient's data."""

import enum
from typing import Annotated

import typer

from rustk.cli.context import JsonOption, StoreOption, settings, store_from


class Fault(enum.StrEnum):
    SPLIT_PATIENTS = "split-patients"
    VIEW_SHORTCUT = "view-shortcut"


def phantom(
    images: Annotated[int, typer.Option(help="How many images, of both splits together.")] = 300,
    size: Annotated[int, typer.Option(help="Side of the square images, in pixels.")] = 299,
    seed: Annotated[int, typer.Option(help="The same seed, number and size draw the same images.")] = 0,
    name: Annotated[str, typer.Option(help="What to call the dataset.")] = "phantom",
    signal: Annotated[float, typer.Option(help="How far scores show in the images, from 0 (not at all) to 1.")] = 1.0,
    faults: Annotated[
        list[Fault] | None,
        typer.Option(
            "--fault", help="Plant a fault that a report should flag. May be given twice.", show_default=False
        ),
    ] = None,
    processes: Annotated[
        int | None, typer.Option(help="Processes that draw; the result is the same.", show_default="one a core")
    ] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Draw a phantom dataset: tibiae in two views, whose cortices show the scores they are labelled with."""
    import json as json_module
    import os

    from rustk.cli.image_progress import image_progress
    from rustk.datasets.cohort import plan_cohort
    from rustk.datasets.phantom import check_drawing, generate
    from rustk.datasets.phantom_source import already_there, describe_source

    planted = sorted(set(faults or []))
    plans = plan_cohort(
        images, seed, split_patients=Fault.SPLIT_PATIENTS in planted, view_shortcut=Fault.VIEW_SHORTCUT in planted
    )
    check_drawing(size, signal)
    source = describe_source(
        images=images, size=size, seed=seed, signal=signal, faults=[fault.value for fault in planted]
    )
    opened = store_from(settings(store=store))
    described = already_there(opened, name, source)
    there = described is not None
    if described is None:
        from rustk.training.records import Sample, write_dataset

        drawn = generate(
            plans,
            size=size,
            seed=seed,
            signal=signal,
            processes=(os.cpu_count() or 1) if processes is None else processes,
        )
        with image_progress("drawing") as progress:
            described = write_dataset(
                opened,
                name,
                (
                    Sample(
                        sample_id=image.plan.sample_id,
                        split=image.plan.split,
                        patient=image.plan.patient,
                        visit=image.plan.visit,
                        view=image.plan.view,
                        scores=image.plan.scores,
                        png=image.png,
                        phash=image.phash,
                    )
                    for image in drawn
                ),
                counts={split: sum(plan.split == split for plan in plans) for split in ("develop", "test")},
                image_shape=(size, size, 1),
                preparation={"method": "drawn", "size": size},
                source=source,
                progress=progress,
            )
    if json:
        typer.echo(json_module.dumps(described, indent=2))
        return
    counts = described["counts"]
    typer.echo(
        f"dataset {name} {'was already' if there else 'is'} in {opened.url}: {counts['develop']} images to develop on, "
        f"{counts['test']} in the sealed test, digest {described['digest'][:12]}"
    )
