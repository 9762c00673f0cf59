"""Instruments of the tests: one that exists nowhere else, and the shipped ones that differ most."""

from rustk.vocabulary.instrument import Instrument, Site, Threshold, Total, Words, load_instrument

MRUST = load_instrument("mrust")
# One site, one view: no view labels.
SINGLE = load_instrument("kellgren-lawrence")
# Three views, scales of different lengths and starts, one of them with a gap, a site that only the data place.
ODD = Instrument(
    name="odd",
    title="An instrument of the tests",
    source="nobody's",
    views=("a", "b", "c"),
    sites=(
        Site(name="rim", scores=(0, 1, 2), views=("a", "b")),
        Site(name="core", scores=(1, 2, 3, 5)),
        Site(name="seam", scores=(0, 1), views=("c",)),
    ),
    total=Total(title="odd total"),
    thresholds=(Threshold(at=4, means="sound"), Threshold(at=1, means="sealed", site="seam")),
    words=Words(site="place", sites="places"),
)
