"""How figures look and how they are saved: the same bytes for the same numbers, in three formats.

Figures are made through matplotlib's object interface: nothing is registered with pyplot, and its settings hold only
inside `styled` (which is not safe to enter from two threads at once; no matplotlib setting is).
"""

import contextlib
import io
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

import matplotlib
from matplotlib.figure import Figure
from matplotlib.text import Annotation

# Paul Tol's vibrant red and blue: told apart with any colour vision, and in grey.
TRAIN = "#CC3311"
VALIDATION = "#0077BB"
FLOOR = "#555555"
ABSENT = "#E4E4E4"
# Even in lightness for every colour vision; the darkest end still stands out from white paper.
COLOURS = "viridis"

FULL_WIDTH_INCHES = 7.2  # the text width of most journals

_SETTINGS = {
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that figures are the same on every machine
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.5,
    "figure.titlesize": 9.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "lines.solid_capstyle": "round",
    "savefig.dpi": 200,
    "svg.fonttype": "path",
    "svg.hashsalt": "rustk",
    "pdf.fonttype": 42,
}
# Without these, each save would write when and by which version it was made.
_METADATA: dict[str, dict[str, str | None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """The settings that figures are made and saved under."""
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **_SETTINGS, "backend": matplotlib.rcParams["backend"]}):
        yield


@dataclass(frozen=True)
class Drawing:
    """A figure with what stands around it.

    name: the stem of its files. number: the figure of the thesis that is drawn so, as `1.8`, or None.
    alt: what the figure shows, in words, for who can't see it.
    """

    name: str
    number: str | None
    caption: str
    alt: str
    figure: Figure

    def files(self) -> dict[str, bytes]:
        """File name to content, as PNG, SVG and PDF; the same bytes each time."""
        with styled():
            # The layout is the slow part, and the same for all three.
            self.figure.draw_without_rendering()
            self.figure.set_layout_engine("none")
            return {f"{self.name}.{kind}": self._saved(kind) for kind in _METADATA}

    def _saved(self, kind: str) -> bytes:
        sink = io.BytesIO()
        titled = {} if kind == "png" else {"Title": self.caption}  # PNG has no room for letters such as ±
        self.figure.savefig(sink, format=kind, metadata={**_METADATA[kind], **titled})
        return sink.getvalue()


def set_title(figure: Figure, title: str, note: str) -> None:
    """The title above the whole figure, in bold, and the note below it; both wrapped to the figure's width."""
    width = int(figure.get_figwidth() * 13)
    noted = textwrap.wrap(note, width)
    # The layout makes room for the title only: it keeps empty lines for the note, which is hung onto them.
    kept = figure.suptitle("\n".join([*textwrap.wrap(title, width), *(" " for _ in noted)]), x=0.012, ha="left")
    kept.set_fontweight("bold")
    if noted:
        hung = Annotation("\n".join(noted), xy=(0, 0), xycoords=kept, ha="left", va="bottom", annotation_clip=False)
        hung.set_in_layout(False)
        figure.add_artist(hung)


def join_notes(*notes: str) -> str:
    """The notes there are, in one line."""
    return " · ".join(note for note in notes if note)
