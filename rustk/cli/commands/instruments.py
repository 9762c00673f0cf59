"""`rustk instruments`: the scoring instruments that ship with rustk, and what one of them is."""

from typing import TYPE_CHECKING, Annotated

import typer

from rustk.cli.context import JsonOption

if TYPE_CHECKING:
    from rustk.vocabulary.instrument import Instrument


def instruments(
    instrument: Annotated[
        str | None, typer.Argument(help="One of them, or the path of a .yaml file.", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the scoring instruments that ship with rustk, or show one whole."""
    import json as json_module

    from rustk.vocabulary.instrument import instrument_names, load_instrument

    if instrument is not None:
        one = load_instrument(instrument)
        typer.echo(one.model_dump_json(indent=2) if json else _describe(one))
        return
    found = [load_instrument(name) for name in instrument_names()]
    if json:
        typer.echo(json_module.dumps([one.model_dump(mode="json") for one in found], indent=2))
        return
    typer.echo("\n\n".join(_summarise(one) for one in found))


def _summarise(one: "Instrument") -> str:
    """Three lines: name and title, what is scored, what is summed."""
    views = f"view{'s' if len(one.views) > 1 else ''} {', '.join(one.views)}"
    count = len(one.sites)
    sites = f"{count} {one.words.sites if count > 1 else one.words.site}"
    return f"{one.name}  {one.title}\n  {views}; {sites}, scores {_scales(one)}\n  {_total(one)}"


def _describe(one: "Instrument") -> str:
    import textwrap

    from rustk.vocabulary.instrument import FROM_DATA, describe_scores

    lines = [f"{one.name}  {one.title}"]
    if one.source:
        lines += textwrap.wrap(f"source: {one.source}", 80, subsequent_indent="  ")
    lines += [f"views: {', '.join(one.views)}", f"{one.words.sites}:"]
    width = max(len(site.name) for site in one.sites)
    for site in one.sites:
        shown = "views: from the data" if site.views == FROM_DATA else f"views: {', '.join(site.views)}"
        lines.append(f"  {site.name:<{width}}  {describe_scores(site.scores)}  ({shown})")
    may = "may" if one.unscored else "may not"
    lines += [f"an image {may} leave unscored what its view shows", _total(one)]
    for threshold in one.thresholds:
        of = threshold.site if threshold.site else "the total"
        lines.append(f"from {of} = {threshold.at} on: {threshold.means}")
    lines.append(f"{len(one.labels)} labels: {', '.join(one.labels)}")
    return "\n".join(line for long in lines for line in textwrap.wrap(long, 80, subsequent_indent="  "))


def _scales(one: "Instrument") -> str:
    """`1 to 4`, or one scale after the other where they differ."""
    from rustk.vocabulary.instrument import describe_scores

    return "; ".join(dict.fromkeys(describe_scores(site.scores) for site in one.sites))


def _total(one: "Instrument") -> str:
    low, high = one.total_range
    return "no total" if one.total is None else f"{one.total.title}: {low} to {high}"
