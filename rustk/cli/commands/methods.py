"""`rustk methods`: the methods section of a paper on a run, with its references."""

from pathlib import Path
from typing import Annotated

import typer

from rustk.cli.context import StoreOption, settings, store_from
from rustk.cli.run_choice import OneRunArgument, chosen_run
from rustk.cli.steps import Steps


def methods(
    run: OneRunArgument,
    allow_partial: Annotated[
        bool, typer.Option("--allow-partial", help="Of a run that lacks folds; the text says so.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write methods.md and references.bib into this folder.", show_default=False
        ),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Write what a paper's methods section may say of a run: model, data, folds, choice, figures, software, references.

    Citations are Pandoc's ([@key]): pandoc --citeproc --bibliography references.bib methods.md -o methods.docx
    """
    from rustk.cli.output_folder import check_folder, write_files

    opened = store_from(settings(store=store))
    if output is not None:
        check_folder(output, opened.url)
    name = chosen_run(opened, run)
    with Steps() as steps:
        steps.say(f"reading {name}")
        from rustk.report.data.aggregate import aggregate
        from rustk.report.data.results import load_run

        results = load_run(opened, name)
        averaged = aggregate(results, allow_partial=allow_partial)
        steps.say(f"evaluating {name}")
        from rustk.report.evaluation.analysis import analyse
        from rustk.report.evaluation.sealed import load_sealed_test
        from rustk.report.methods.composing import write_methods

        written = write_methods(analyse(averaged), load_sealed_test(opened, name))
    # What the text lacks, whoever pastes it must know.
    for warning in results.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if output is None:
        typer.echo(written.markdown, nl=False)
        typer.echo("\n## References\n")
        for place, reference in enumerate(written.references, start=1):
            typer.echo(f"{place}. [{reference.key}] {reference.text}")
        return
    files = {path.rpartition("/")[2]: data for path, data in written.files().items()}
    write_files(files, output)
    for path in files:
        typer.echo(str(output / path))
