"""Examples of the sealed test on the page: pictures with heat maps, embedded, and what the model says of each."""

import base64
from typing import Any

from rustk.report.data.numbers import ABSENT
from rustk.report.evaluation.examples import Pictures
from rustk.store.card import Example, ExampleSite
from rustk.vocabulary.instrument import Instrument


def example_blocks(pictures: Pictures, instrument: Instrument) -> list[dict[str, Any]]:
    """A block for each example for the template, in the order in which they were chosen."""
    return [
        {
            "kind": example.kind,
            "name": f"{example.view}, image {example.sample_id}",
            "alt": _alt(example),
            "source": f"data:image/png;base64,{base64.b64encode(picture).decode()}",
            "sites": [_site_row(site, instrument) for site in example.sites],
        }
        for example, picture in pictures.shown
    ]


def _alt(example: Example) -> str:
    """What the picture shows, for who can't see it; the numbers stand in the table below it."""
    sites = ", ".join(site.site for site in example.sites)
    return f"Radiograph {example.sample_id}, with heat maps of where the scores come from: {sites}"


def _site_row(found: ExampleSite, instrument: Instrument) -> dict[str, str]:
    scores = instrument.site(found.site).scores
    shares = zip(scores, found.probabilities, strict=True)
    return {
        "site": found.site,
        "truth": "unscored" if found.truth is None else str(found.truth),
        "score": str(found.score),
        "probabilities": ", ".join(f"{score}: {share:.2f}" for score, share in shares),
        "agreement": ABSENT if found.agreement is None else f"{found.agreement:+.2f}",
    }
