"""`rustk dataset`: what datasets a store has, what they hold, whether they are whole, and making one of real images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rustk.cli.context import JsonOption, StoreOption, settings, store_from

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from rustk.datasets.building import BuildPlan
    from rustk.datasets.summary import DatasetSummary
    from rustk.training.records import Sample

app = typer.Typer(help="Datasets: build, show, list and verify.", no_args_is_help=True)

NameArgument = Annotated[str | None, typer.Argument(help="Needed when the store has several.", show_default=False)]


@app.command()
def build(
    folder: Annotated[Path, typer.Argument(help="With the DICOM, PNG or JPEG files, in any folders below it.")],
    labels: Annotated[Path, typer.Option(help="The table of labels, as CSV.", show_default=False)],
    name: Annotated[str, typer.Option(help="What to call the dataset.", show_default=False)],
    mapping: Annotated[
        Path | None, typer.Option(help="What the table calls columns, views, ..., as YAML.", show_default=False)
    ] = None,
    size: Annotated[int, typer.Option(help="Side of the square images, in pixels.")] = 299,
    preparation: Annotated[str, typer.Option(help="stretch to a square, or letterbox: keep the aspect.")] = "stretch",
    test_fraction: Annotated[
        float | None,
        typer.Option(help="Share of the images in the sealed test.", show_default="0.15 without a split column"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Which patients go to the sealed test.")] = 0,
    salt_file: Annotated[
        Path | None,
        typer.Option(help="The secret that hides patients' names.", show_default="one of this user, made at first use"),
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave rows with faults out, on record.")] = False,
    key_file: Annotated[
        Path | None,
        typer.Option(help="Also write, on this machine, which sample came from which file.", show_default=False),
    ] = None,
    work_dir: Annotated[
        Path | None,
        typer.Option(help="Keep prepared images here.", show_default="in the cache, until the dataset is written"),
    ] = None,
    processes: Annotated[int | None, typer.Option(help="Processes that read.", show_default="one a core")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace another dataset of this name.")] = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Build a dataset of radiographs and their scores; lists every fault, and writes nothing while there are any."""
    import json as json_module
    import os
    import shutil

    from rustk import __version__
    from rustk.cli.image_progress import image_progress
    from rustk.datasets.building import BuildOptions, check_buildable, plan_build
    from rustk.datasets.key_file import check_key_file, write_key_file
    from rustk.datasets.mapping import LabelMapping, read_mapping
    from rustk.datasets.preparing import check_preparation, default_work_dir, describe_preparation
    from rustk.datasets.pseudonyms import read_salt
    from rustk.vocabulary.errors import BadStudy
    from rustk.vocabulary.names import is_name

    if not is_name(name):
        raise BadStudy(f"--name {name!r}: expected lower-case letters, digits and dashes, at most 63")
    method = check_preparation(preparation, size)
    opened = store_from(settings(store=store))
    if key_file is not None:
        check_key_file(key_file, opened.url)
    work = work_dir or default_work_dir(folder)
    options = BuildOptions(
        folder=folder,
        table=labels,
        mapping=LabelMapping() if mapping is None else read_mapping(mapping),
        size=size,
        preparation=method,
        test_fraction=test_fraction,
        seed=seed,
        salt=read_salt(salt_file),
        work_dir=work,
        processes=os.cpu_count() or 1 if processes is None else processes,
    )
    with image_progress("reading") as progress:
        plan = plan_build(options, progress)
    for fault in plan.faults:
        typer.echo(fault.line(str(labels)), err=True)
    check_buildable(plan, labels, skip_bad=skip_bad)
    for warning in plan.warnings:
        typer.echo(f"warning: {warning}", err=True)

    from rustk.training.records import write_dataset

    with image_progress("writing") as progress:
        described = write_dataset(
            opened,
            name,
            _samples(plan),
            counts={split: sum(sample.split == split for sample in plan.samples) for split in ("develop", "test")},
            image_shape=(size, size, 1),
            preparation=describe_preparation(size, method),
            skipped=[fault.record() for fault in plan.faults],
            source={"kind": "files", "rows": plan.row_count, "split": dict(plan.split_by), "rustk": __version__},
            replace=replace,
            progress=progress,
        )
    if key_file is not None:
        write_key_file(key_file, plan.samples)
    if work_dir is None:
        # Patients' images don't stay in a cache that nobody thinks of.
        shutil.rmtree(work)
    if json:
        typer.echo(json_module.dumps(described, indent=2))
        return
    counts, skipped = described["counts"], len({fault.row for fault in plan.faults})
    typer.echo(
        f"dataset {name} is in {opened.url}: {counts['develop']} images to develop on, {counts['test']} in the sealed "
        f"test{f', {skipped} rows skipped' if skipped else ''}, digest {described['digest'][:12]}"
    )


@app.command()
def show(name: NameArgument = None, store: StoreOption = None, json: JsonOption = False) -> None:
    """Show what a dataset holds: splits, patients, and scores per view and cortex."""
    import json as json_module

    from rustk.datasets.summary import summarise
    from rustk.store.datasets import choose_dataset, read_dataset, read_index

    opened = store_from(settings(store=store))
    dataset = read_dataset(opened, choose_dataset(opened, name))
    summary = summarise(dataset, read_index(opened, dataset).to_pandas())
    if json:
        typer.echo(json_module.dumps(summary.as_dict(), indent=2))
        return
    _print_summary(summary)


@app.command("list")
def list_(store: StoreOption = None, json: JsonOption = False) -> None:
    """List the datasets of the store."""
    import json as json_module

    from rustk.store.datasets import list_datasets, read_dataset

    opened = store_from(settings(store=store))
    found = [read_dataset(opened, name) for name in list_datasets(opened)]
    if json:
        keys = ("name", "digest", "image_shape", "counts", "patients", "source")
        typer.echo(json_module.dumps([{key: dataset.get(key) for key in keys} for dataset in found], indent=2))
        return
    if not found:
        typer.echo(f"{opened.url} has no dataset: make one with `rustk dataset build` or `rustk phantom`")
        return
    from rich.console import Console

    table = _table("dataset", "develop", "test", "size", "source", "digest", numbers=(1, 2))
    for dataset in found:
        counts = dataset.get("counts") or {}
        table.add_row(
            dataset["name"],
            str(counts.get("develop", "?")),
            str(counts.get("test", "?")),
            "x".join(map(str, dataset["image_shape"][:2])),
            str((dataset.get("source") or {}).get("kind", "?")),
            dataset["digest"][:12],
        )
    Console().print(table)


@app.command()
def verify(name: NameArgument = None, store: StoreOption = None) -> None:
    """Read a whole dataset and check every digest, count and label of it."""
    from rustk.cli.image_progress import image_progress
    from rustk.datasets.verification import verify_dataset
    from rustk.store.datasets import choose_dataset, read_dataset
    from rustk.training.records import dataset_digest
    from rustk.vocabulary.errors import BadData

    opened = store_from(settings(store=store))
    dataset = read_dataset(opened, choose_dataset(opened, name))
    with image_progress("verifying shards") as progress:
        faults = verify_dataset(opened, dataset, progress)
    digest = dataset_digest(dataset["image_shape"], dataset["shards"], dataset["index_sha256"])
    if digest != dataset["digest"]:
        faults.append(f"dataset.json has the digest {dataset['digest'][:12]}...: its content has {digest[:12]}...")
    for fault in faults:
        typer.echo(fault, err=True)
    if faults:
        raise BadData(f"dataset {dataset['name']} in {opened.url} is damaged in {len(faults)} places: build it again")
    records = sum(shard["records"] for shard in dataset["shards"])
    typer.echo(
        f"dataset {dataset['name']} in {opened.url} is whole: {len(dataset['shards'])} shards, {records} records, "
        f"digest {digest[:12]}"
    )


def _samples(plan: "BuildPlan") -> "Iterator[Sample]":
    from rustk.training.records import Sample

    for sample in plan.samples:
        yield Sample(
            sample_id=sample.sample_id,
            split=sample.split,
            patient=sample.patient,
            visit=sample.visit,
            view=sample.view,
            scores=sample.scores,
            png=sample.png_path.read_bytes(),
            phash=sample.phash,
        )


def _table(*headings: str, numbers: tuple[int, ...] = (), title: str | None = None) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place in numbers else "left")
    return table


def _print_summary(summary: "DatasetSummary") -> None:
    from rich.console import Console

    from rustk.vocabulary.labels import SCORES

    console = Console(highlight=False)
    height, width = summary.image_shape[:2]
    size_mb = summary.size_bytes / 1e6
    console.print(f"[bold]{summary.name}[/bold]  {height}x{width}, {summary.shards} shards, {size_mb:.1f} MB")
    console.print(f"digest {summary.digest}", soft_wrap=True)
    console.print(f"preparation: {_facts(summary.preparation)}", soft_wrap=True)
    console.print(f"source: {_facts(summary.source)}", soft_wrap=True)
    if summary.skipped:
        console.print(f"{summary.skipped} faults were skipped: dataset.json lists their rows")
    if summary.patients_in_both_splits:
        console.print(f"[bold red]{summary.patients_in_both_splits} patients stand in both splits[/bold red]")

    splits = _table(
        "split", "images", "patients", "ap", "lateral", "images per patient", "visits", numbers=(1, 2, 3, 4)
    )
    for split in summary.splits:
        splits.add_row(
            split.split,
            str(split.images),
            "unknown" if split.patients is None else str(split.patients),
            str(split.views["ap"]),
            str(split.views["lateral"]),
            ", ".join(f"{size}: {count}" for size, count in split.images_per_patient.items()),
            ", ".join(f"{visit}: {count}" for visit, count in split.visits.items()),
        )
    console.print(splits)
    scores = _table(
        "split", "view", "cortex", "images", "unscored", *map(str, SCORES), numbers=(3, 4, 5, 6, 7, 8), title="Scores"
    )
    for cortex in summary.cortices:
        scores.add_row(
            cortex.split,
            cortex.view,
            cortex.cortex,
            str(cortex.images),
            str(cortex.unscored),
            *(str(cortex.scores[score]) for score in SCORES),
        )
    console.print(scores)


def _facts(facts: dict[str, Any]) -> str:
    return ", ".join(f"{key} {_facts(value) if isinstance(value, dict) else value}" for key, value in facts.items())
