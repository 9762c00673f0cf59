"""A figure's marks and words at their places on a sheet, and how matplotlib draws them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import matplotlib
from matplotlib import ft2font
from matplotlib.artist import Artist
from matplotlib.backend_bases import RendererBase
from matplotlib.colors import to_hex, to_rgb
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from rustk.report.charts.base import Cell, Dot
from rustk.report.charts.base.layout import Box, Point
from rustk.report.data.numbers import with_superscripts

SIZE, SMALL = 8.5, 8.0  # of labels, and of ticks and the legend, in points
# Paul Tol's vibrant red and blue: told apart with any colour vision, and in grey.
TRAIN, VALIDATION = "#CC3311", "#0077BB"
FLOOR = "#555555"
# On a colour of more than this relative luminance, black stands out better than white (WCAG 2.2: equal contrast).
_LIGHT = 0.179


@dataclass(frozen=True)
class Look:
    """How a role looks: line colour and width, dashes in widths, opacity, fill."""

    colour: str = "black"
    width: float = 0.8
    dashes: tuple[float, ...] = ()
    alpha: float = 1.0
    fill: str = ""


LOOKS = {
    "grid": Look("#E6E6E6", 0.6),
    "fold train": Look(TRAIN, 0.7, alpha=0.3),
    "fold val": Look(VALIDATION, 0.7, alpha=0.3),
    "fold": Look("#888888", 0.7),
    "mean train": Look(TRAIN, 2.0),
    "mean val": Look(VALIDATION, 2.0),
    "mean train few": Look(TRAIN, 1.4, alpha=0.55),
    "mean val few": Look(VALIDATION, 1.4, alpha=0.55),
    "best": Look(VALIDATION, 1.2, (1.2, 2.0)),
    "floor": Look(FLOOR, 1.1, (6, 3)),
    "diverged": Look("black", 0.8, (2, 2)),
    "diagonal": Look("#888888", 0.8, (4, 3)),
    "bar": Look("#A9CCE3", 0.9),
    "mark": Look("white", 0.8, fill=VALIDATION),
    "trial": Look("white", 0.5, fill=VALIDATION),
    "partial": Look("white", 0.5, fill="#999999"),
    "ring": Look("black", 1.1),
    "unranked": Look("#999999", 1.0),
    "dropped": Look("#999999", 0.8),
    "race-dropped": Look("#888888", 0.8, alpha=0.7),
    "race-kept": Look(VALIDATION, 1.3),
    "race-best": Look("black", 2.2),
    "outline": Look("black", 2.0),
    "axis-line": Look("#777777", 0.8),
    "trace": Look("black", 0.9),
    "trace-untold": Look("#999999", 0.8, (3, 2)),
    "trace-dropped": Look("#AAAAAA", 0.7, alpha=0.6),
    "trace-best": Look("black", 2.2),
}


@dataclass(frozen=True)
class Words:
    """A text that was placed, y downwards: its base line begins, is centred or ends at (x, y)."""

    x: float
    y: float
    text: str
    size: float
    anchor: str = "start"
    upright: bool = False
    colour: str = "black"

    def box(self) -> Box:
        """What it covers on the sheet."""
        width, up, down = width_of(self.text, self.size), self.size * 0.76, self.size * 0.22
        start = {"start": 0.0, "middle": -width / 2, "end": -width}[self.anchor]
        if self.upright:
            return Box(self.x - up, self.y - start - width, self.x + down, self.y - start)
        return Box(self.x + start, self.y - up, self.x + start + width, self.y + down)


class Sheet(Artist):
    """A figure's marks and words at their places, in points, y downwards; an artist of matplotlib's that draws them."""

    def __init__(self) -> None:
        super().__init__()
        self.height = 0.0
        self.words: list[Words] = []
        self.shapes: list[tuple[Path, Look]] = []
        self.colours = matplotlib.colormaps["viridis"]

    def add(self, points: Sequence[Point], look: Look, *, closed: bool = False) -> None:
        """A line through the points, or the area between them."""
        self.shapes.append((_path(points, closed), look))

    def line(
        self, points: Sequence[Point], role: str, key: str = "", share: float | None = None, tip: str = ""
    ) -> None:
        look = LOOKS[role]
        if share is not None:
            look = replace(look, colour=self.shade(share))
        if len(points) == 1:
            x, y = points[0]
            self._dot(x, y, "o", 1.2 + look.width, Look("none", 0, alpha=look.alpha, fill=look.colour))
            return
        self.add(points, look)

    def dot(self, x: float, y: float, dot: Dot) -> None:
        look = LOOKS[dot.role]
        if dot.share is not None:
            look = Look(look.colour, look.width, fill=self.shade(dot.share))
        self._dot(x, y, dot.shape, dot.size, look)

    def cell(self, x: float, y: float, width: float, height: float, cell: Cell) -> None:
        colour = "#E4E4E4" if cell.share is None else self.shade(cell.share)
        corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
        self.add(corners, Look("white", 1.0, fill=colour), closed=True)
        if cell.best:
            self.add(corners, LOOKS["outline"], closed=True)
        ink = "black" if cell.share is None or _luminance(colour) > _LIGHT else "white"
        middle = y + height / 2 + (0 if cell.below else 3)
        self.words.append(
            Words(x + width / 2, middle, cell.text, 8 if cell.share is not None else 6.5, "middle", colour=ink)
        )
        if cell.below:
            self.words.append(Words(x + width / 2, middle + 9, cell.below, 6.2, "middle", colour=ink))

    def text(self, x: float, y: float, text: str, role: str, anchor: str = "middle") -> None:
        size = SMALL if role in ("tick", "over") else SIZE
        if role == "over":
            ground = Words(x, y, with_superscripts(text), size, anchor).box()
            corners = [(ground.left, ground.top), (ground.right, ground.top)]
            corners += [(ground.right, ground.bottom), (ground.left, ground.bottom)]
            self.add(corners, Look("none", 0, alpha=0.8, fill="white"), closed=True)
        self.words.append(Words(x, y, with_superscripts(text), size, anchor, upright=role == "upright"))

    def shade(self, share: float) -> str:
        """The colour of a share of the scale."""
        return to_hex(self.colours(min(max(share, 0.0), 1.0)))

    def _dot(self, x: float, y: float, shape: str, r: float, look: Look) -> None:
        if shape == "o":
            circle = Path.unit_circle().transformed(Affine2D().scale(r).translate(x, y))
            self.shapes.append((circle, look))
        elif shape == "x":
            for turn in (r, -r):
                self.add([(x - r, y - turn), (x + r, y + turn)], look)
        else:
            corners: dict[str, list[Point]] = {
                "D": [(0, -1), (1, 0), (0, 1), (-1, 0)],
                "v": [(-1, -0.9), (1, -0.9), (0, 1)],
            }
            square: list[Point] = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
            points = [(x + r * dx, y + r * dy) for dx, dy in corners.get(shape, square)]
            self.add(points, look, closed=True)

    def draw(self, renderer: RendererBase) -> None:
        """Draw everything; matplotlib calls it."""
        unit = float(renderer.points_to_pixels(1.0))  # type: ignore[arg-type]
        place = Affine2D().scale(unit, -unit).translate(0, self.height * unit)
        for path, look in self.shapes:
            gc = renderer.new_gc()
            gc.set_antialiased(True)
            gc.set_joinstyle("miter" if path.codes is not None else "round")
            gc.set_capstyle("butt" if look.dashes else "round")
            gc.set_alpha(look.alpha)
            drawn = look.colour != "none" and look.width > 0
            gc.set_linewidth(look.width if drawn else 0)
            gc.set_foreground(look.colour if drawn else look.fill)
            if look.dashes:
                gc.set_dashes(0, list(look.dashes))
            renderer.draw_path(gc, path, place, to_rgb(look.fill) if look.fill else None)
            gc.restore()
        flipped = renderer.flipy()
        for words in self.words:
            gc = renderer.new_gc()
            gc.set_foreground(words.colour)
            start = {"start": 0.0, "middle": 0.5, "end": 1.0}[words.anchor]
            shift = start * width_of(words.text, words.size)
            x, y = (words.x, words.y + shift) if words.upright else (words.x - shift, words.y)
            y = y if flipped else self.height - y
            renderer.draw_text(gc, x * unit, y * unit, words.text, _font(words.size), 90 if words.upright else 0)
            gc.restore()


@cache
def width_of(text: str, size: float) -> float:
    """Of a text on one line, in points."""
    face = _face()
    face.set_size(size, 72)
    face.set_text(text, 0.0, flags=ft2font.LoadFlags.NO_HINTING)
    return float(face.get_width_height()[0] / 64)


@cache
def _face() -> ft2font.FT2Font:
    return ft2font.FT2Font(findfont(_font(10)))


@cache
def _font(size: float) -> FontProperties:
    return FontProperties(family="DejaVu Sans", size=size)


def _path(points: Sequence[Point], closed: bool) -> Path:
    if not closed:
        return Path(points)
    return Path([*points, points[0]], [Path.MOVETO, *[Path.LINETO] * (len(points) - 1), Path.CLOSEPOLY])


def _luminance(colour: str) -> float:
    """Relative luminance, 0 to 1 (WCAG 2.2)."""
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in to_rgb(colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
