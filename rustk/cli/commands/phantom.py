"""`rustk phantom`: a dataset of drawn radiographs, to try everything on without a patient's data."""

import enum
from typing import Annotated

import typer

from rustk.cli.completion import complete_instrument
from rustk.cli.context import JsonOption, StoreOption, settings, store_from


class Fault(enum.StrEnum):
    SPLIT_PATIENTS = "split-patients"
    VIEW_SHORTCUT = "view-shortcut"


def phantom(
    images: Annotated[int, typer.Option(help="How many images, of both splits together.")] = 300,
    size: Annotated[int, typer.Option(help="Side of the square images, in pixels.")] = 299,
    seed: Annotated[int, typer.Option(help="The same seed, number and size draw the same images.")] = 0,
    name: Annotated[str, typer.Option(help="What to call the dataset.")] = "phantom",
    instrument: Annotated[
        str, typer.Option(help="By name, or the path of a .yaml file.", autocompletion=complete_instrument)
    ] = "mrust",
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
    """Draw a phantom dataset: pictures that show the scores they are labelled with.

    mrust draws tibiae and kellgren-lawrence knees; any other instrument's sites are a row of marks, for machinery only.
    """
    import os

    from rustk.cli.image_progress import image_progress
    from rustk.datasets.phantom.cohort import check_cohort, plan_cohort
    from rustk.datasets.phantom.drawing import check_drawing, generate, is_for_machinery
    from rustk.datasets.phantom.source import MACHINERY, already_there, describe_source
    from rustk.datasets.records import Sample, check_dataset_name, write_dataset
    from rustk.store.documents import encode_document
    from rustk.vocabulary.instrument import load_instrument

    used = load_instrument(instrument)
    check_cohort(used, images, seed)
    processes = min(os.cpu_count() or 1, 256) if processes is None else processes
    check_drawing(size, signal, processes)
    check_dataset_name(name)
    planted = sorted(set(faults or []))
    source = describe_source(
        used, images=images, size=size, seed=seed, signal=signal, faults=[fault.value for fault in planted]
    )
    opened = store_from(settings(store=store))
    described = already_there(opened, name, used, source)
    there = described is not None
    if described is None:
        opened.check_writable()
        plans = plan_cohort(
            used,
            images,
            seed,
            split_patients=Fault.SPLIT_PATIENTS in planted,
            view_shortcut=Fault.VIEW_SHORTCUT in planted,
        )
        drawn = generate(plans, used, size=size, seed=seed, signal=signal, processes=processes)
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
                instrument=used,
                counts={split: sum(plan.split == split for plan in plans) for split in ("develop", "test")},
                image_shape=(size, size, 1),
                preparation={"method": "drawn", "size": size},
                source=source,
                progress=progress,
            )
    if json:
        typer.echo(encode_document(described).decode(), nl=False)
        return
    counts = described.counts
    typer.echo(
        f"dataset {name} {'was already' if there else 'is'} in {opened.url}: {counts['develop']} images to develop on, "
        f"{counts['test']} in the sealed test, scored by {used.name}, digest {described.digest[:12]}"
    )
    if is_for_machinery(used):
        typer.echo(f"{used.name} has no picture of its own: this phantom is {MACHINERY}")
