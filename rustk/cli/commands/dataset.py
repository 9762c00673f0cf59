"""`rustk dataset`: what datasets a store has, what they hold, whether they are whole, and making one of real images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rustk.cli.completion import complete_dataset, complete_instrument
from rustk.cli.context import JsonOption, StoreOption, settings, store_from

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from rustk.datasets.building import BuildPlan
    from rustk.datasets.records import Sample
    from rustk.datasets.summary import DatasetSummary

app = typer.Typer(help="Datasets: build, show, list and verify.", no_args_is_help=True)

NameArgument = Annotated[
    str | None,
    typer.Argument(help="Needed when the store has several.", show_default=False, autocompletion=complete_dataset),
]


@app.command()
def build(
    folder: Annotated[Path, typer.Argument(help="With the DICOM, PNG or JPEG files, in any folders below it.")],
    labels: Annotated[Path, typer.Option(help="The table of labels, as CSV.", show_default=False)],
    name: Annotated[str, typer.Option(help="What to call the dataset.", show_default=False)],
    mapping: Annotated[
        Path | None, typer.Option(help="What the table calls columns, views, ..., as YAML.", show_default=False)
    ] = None,
    instrument: Annotated[
        str,
        typer.Option(
            help="What the scores are of: a name, or the path of a .yaml file.", autocompletion=complete_instrument
        ),
    ] = "mrust",
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
    import os
    import shutil

    from rustk import __version__
    from rustk.cli.image_progress import image_progress
    from rustk.datasets.building import BuildOptions, check_asked, check_buildable, plan_build
    from rustk.datasets.key_file import check_key_file, key_file_beside
    from rustk.datasets.mapping import LabelMapping, read_mapping
    from rustk.datasets.preparing import check_preparation, default_work_dir, describe_preparation
    from rustk.datasets.pseudonyms import check_salt_is_no_other, default_salt_file, read_salt
    from rustk.datasets.records import check_dataset_name, write_dataset
    from rustk.store.documents import encode_document
    from rustk.store.outside import check_apart, check_outside
    from rustk.vocabulary.instrument import load_instrument

    check_dataset_name(name)
    method = check_preparation(preparation, size)
    used = load_instrument(instrument)
    opened = store_from(settings(store=store))
    if key_file is not None:
        check_key_file(key_file, opened.url)
    workers = min(os.cpu_count() or 1, 256) if processes is None else processes
    # Before a first salt is drawn.
    check_asked(folder, seed=seed, processes=workers, test_fraction=test_fraction)
    if "://" not in opened.url:
        check_apart(Path(opened.url), folder, "store")
    if work_dir is not None:
        check_apart(work_dir, folder, "--work-dir")
        check_outside(work_dir, opened.url, "--work-dir")
    check_outside(salt_file or default_salt_file(), opened.url, "the salt")
    if salt_file is not None:
        # What others have is no secret.
        check_apart(salt_file, folder, "--salt-file")
        check_salt_is_no_other(salt_file, {"--labels": labels, "--mapping": mapping})
    opened.check_writable()
    work = work_dir or default_work_dir(folder)
    options = BuildOptions(
        folder=folder,
        table=labels,
        mapping=LabelMapping() if mapping is None else read_mapping(mapping, used),
        instrument=used,
        size=size,
        preparation=method,
        test_fraction=test_fraction,
        seed=seed,
        salt=read_salt(salt_file),
        work_dir=work,
        processes=workers,
    )
    with image_progress("reading") as progress:
        plan = plan_build(options, progress)
    for fault in plan.faults:
        typer.echo(fault.line(str(labels)), err=True)
    check_buildable(plan, labels, skip_bad=skip_bad)
    for warning in plan.warnings:
        typer.echo(f"warning: {warning}", err=True)

    with key_file_beside(key_file, plan.samples), image_progress("writing") as progress:
        described = write_dataset(
            opened,
            name,
            _samples(plan),
            instrument=used,
            counts={split: sum(sample.split == split for sample in plan.samples) for split in ("develop", "test")},
            image_shape=(size, size, 1),
            preparation=describe_preparation(size, method),
            skipped=[fault.record() for fault in plan.faults],
            source={"kind": "files", "rows": plan.row_count, "split": dict(plan.split_by), "rustk": __version__},
            replace=replace,
            progress=progress,
        )
    if work_dir is None:
        # Patients' images don't stay in a cache that nobody thinks of.
        shutil.rmtree(work)
    if json:
        typer.echo(encode_document(described).decode(), nl=False)
        return
    counts, skipped = described.counts, len({fault.row for fault in plan.faults})
    left_out = f", {skipped} row{'s' if skipped != 1 else ''} skipped" if skipped else ""
    typer.echo(
        f"dataset {name} is in {opened.url}: {counts['develop']} images to develop on, {counts['test']} in the sealed "
        f"test{left_out}, scored by {used.name}, digest {described.digest[:12]}"
    )


@app.command()
def show(name: NameArgument = None, store: StoreOption = None, json: JsonOption = False) -> None:
    """Show what a dataset holds: instrument, splits, patients, and scores per view and site."""
    import json as json_module

    from rustk.datasets.summary import summarise
    from rustk.store.datasets import check_unchanged, choose_dataset, read_dataset, read_index

    opened = store_from(settings(store=store))
    dataset = read_dataset(opened, choose_dataset(opened, name))
    check_unchanged(dataset)
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
        listed = [
            dataset.model_dump(mode="json", include={"name", "digest", "image_shape", "counts", "patients", "source"})
            | {"instrument": dataset.instrument.name}
            for dataset in found
        ]
        typer.echo(json_module.dumps(listed, indent=2))
        return
    if not found:
        typer.echo(f"{opened.url} has no dataset: make one with `rustk dataset build` or `rustk phantom`")
        return
    from rich.console import Console

    table = _table("dataset", "instrument", "develop", "test", "size", "source", "digest", numbers=(2, 3))
    for dataset in found:
        table.add_row(
            dataset.name,
            dataset.instrument.name,
            str(dataset.counts.get("develop", "?")),
            str(dataset.counts.get("test", "?")),
            "x".join(map(str, dataset.image_shape[:2])),
            str(dataset.source.get("kind", "?")),
            dataset.digest[:12],
        )
    Console().print(table)


@app.command()
def verify(name: NameArgument = None, store: StoreOption = None) -> None:
    """Read a whole dataset and check every digest, count and label of it."""
    from rustk.cli.image_progress import image_progress
    from rustk.datasets.verification import verify_dataset
    from rustk.store.datasets import choose_dataset, read_dataset
    from rustk.vocabulary.errors import BadData

    opened = store_from(settings(store=store))
    dataset = read_dataset(opened, choose_dataset(opened, name))
    with image_progress("verifying shards") as progress:
        faults = verify_dataset(opened, dataset, progress)
    for fault in faults:
        typer.echo(fault, err=True)
    if faults:
        places = "1 place" if len(faults) == 1 else f"{len(faults)} places"
        raise BadData(f"dataset {dataset.name} in {opened.url} is damaged in {places}: build it again")
    records = sum(shard.records for shard in dataset.shards)
    typer.echo(
        f"dataset {dataset.name} in {opened.url} is whole: {len(dataset.shards)} shards, {records} records, "
        f"digest {dataset.digest[:12]}"
    )


def _samples(plan: "BuildPlan") -> "Iterator[Sample]":
    from rustk.datasets.records import Sample

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
        table.add_column(heading, justify="right" if place in numbers else "left", overflow="fold")
    return table


def _print_summary(summary: "DatasetSummary") -> None:
    from rich.console import Console

    console = Console(highlight=False)
    height, width = summary.image_shape[:2]
    size_mb = summary.size_bytes / 1e6
    console.print(f"[bold]{summary.name}[/bold]  {height}x{width}, {summary.shards} shards, {size_mb:.1f} MB")
    console.print(f"instrument: {summary.instrument}, {summary.title}", soft_wrap=True, markup=False)
    console.print(f"digest {summary.digest}", soft_wrap=True)
    console.print(f"preparation: {_facts(summary.preparation)}", soft_wrap=True, markup=False)
    console.print(f"source: {_facts(summary.source)}", soft_wrap=True, markup=False)
    if summary.skipped:
        faults = "1 fault was" if summary.skipped == 1 else f"{summary.skipped} faults were"
        console.print(f"{faults} skipped: dataset.json lists the rows")
    if summary.patients_in_both_splits:
        count = summary.patients_in_both_splits
        console.print(f"[bold red]{count} patient{'s stand' if count > 1 else ' stands'} in both splits[/bold red]")

    views = list(summary.splits[0].views)
    splits = _table(
        "split",
        "images",
        "patients",
        *views,
        "images per patient",
        "visits",
        numbers=tuple(range(1, 3 + len(views))),
    )
    for split in summary.splits:
        splits.add_row(
            split.split,
            str(split.images),
            "unknown" if split.patients is None else str(split.patients),
            *(str(split.views[view]) for view in views),
            ", ".join(f"{size}: {count}" for size, count in split.images_per_patient.items()),
            ", ".join(f"{visit}: {count}" for visit, count in split.visits.items()),
        )
    console.print(splits)
    # Scales may differ from site to site: a column for every score of any.
    columns = sorted({score for site in summary.sites for score in site.scores})
    scores = _table(
        "split",
        "view",
        summary.site_word,
        "images",
        "unscored",
        *map(str, columns),
        numbers=tuple(range(3, 5 + len(columns))),
        title="Scores",
    )
    for site in summary.sites:
        scores.add_row(
            site.split,
            site.view,
            site.site,
            str(site.images),
            str(site.unscored),
            *(str(site.scores.get(score, "")) for score in columns),
        )
    console.print(scores)


def _facts(facts: dict[str, Any]) -> str:
    return ", ".join(f"{key} {_facts(value) if isinstance(value, dict) else value}" for key, value in facts.items())
