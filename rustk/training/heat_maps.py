"""Heat maps as a picture: the image, one panel a site, the control's below, and what the colours mean."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from rustk.training.grad_cam import Map, SiteMap, enlarge

_PANEL_INCHES = 2.5
_DOTS_PER_INCH = 90
_STRONGEST = 0.72  # opacity of the greatest value: the bone below it is still to be seen


@dataclass(frozen=True)
class Heading:
    """What stands above a picture, and above the panel of each site."""

    image: str
    sites: Mapping[str, str]


def draw(image: npt.NDArray[np.uint8], maps: Mapping[str, SiteMap], heading: Heading) -> bytes:
    """A PNG of one image, grey uint8 [height, width], and the maps of its sites, each scaled to its own greatest
    value. The file holds no date and no name of a file."""
    controlled = any(found.control is not None for found in maps.values())
    rows, columns = 2 if controlled else 1, 1 + len(maps)
    # Images need not be square; a panel is as high as its image is, and text stands above it.
    height = _PANEL_INCHES * image.shape[0] / image.shape[1]
    figure = Figure(
        (_PANEL_INCHES * columns + 1.0, (height + 0.55) * rows + 0.45), dpi=_DOTS_PER_INCH, layout="constrained"
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    colours = _colours()
    _show(axes[0, 0], image, None, colours, heading.image)
    if controlled:
        axes[1, 0].set_axis_off()
        text = (
            "On the right: the same of a head\ntrained on shuffled scores. A map\nlike it shows the image, not what\n"
            "was learnt of scores."
        )
        axes[1, 0].text(0.02, 0.5, text, fontsize=9, va="center", transform=axes[1, 0].transAxes)
    for column, (site, found) in enumerate(maps.items(), start=1):
        _show(axes[0, column], image, found.map, colours, heading.sites[site])
        if controlled:
            told = "" if found.agreement is None else f"\nrank correlation with the above {found.agreement:+.2f}"
            _show(axes[1, column], image, found.control, colours, f"shuffled scores: {site} {found.score}{told}")
    shown = axes[0, 1].images[-1] if maps else None
    if shown is not None:
        bar = figure.colorbar(shown, ax=axes[:, -1].tolist(), fraction=0.05, ticks=[0, 1])
        bar.ax.set_yticklabels(["none", "most"])
        bar.set_label("speaks for the score (Grad-CAM)", fontsize=9)
    figure.supxlabel("Scaled map by map: colours of two maps can't be compared. Not for clinical use.", fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None}, pil_kwargs={"optimize": True})
    return buffer.getvalue()


def _show(axes: object, image: npt.NDArray[np.uint8], found: Map | None, colours: ListedColormap, title: str) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=255)  # type: ignore[attr-defined]
    if found is not None:
        axes.imshow(enlarge(found, image.shape), cmap=colours, vmin=0, vmax=1)  # type: ignore[attr-defined]
    axes.set_title(title, fontsize=9)  # type: ignore[attr-defined]
    axes.set_axis_off()  # type: ignore[attr-defined]


def _colours() -> ListedColormap:
    """From nothing at all to opaque: where nothing speaks for a score, the image is as it is."""
    import matplotlib

    table = matplotlib.colormaps["inferno"](np.linspace(0.25, 1, 256))
    table[:, 3] = np.linspace(0, _STRONGEST, 256)
    return ListedColormap(table)
