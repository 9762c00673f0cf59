"""A scoring instrument as data: its views, the sites each shows, the scores of a site, the total.

Everything that depends on what is scored follows from an `Instrument`: columns, labels, the width of a head, figures
and their words. An image shows one view and carries a score for some of the sites. Its *encoding* is one value for each
view (none where the instrument has a single view) and one for each score of each site, zeros and ones; a site without a
score is all zeros. It is made when records are read, and never stored.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from rustk.vocabulary.checking import Strict, clip, did_you_mean, validated
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.names import NAME_RULE, is_name
from rustk.vocabulary.reading import parse_yaml, read_text
from rustk.vocabulary.resources import resource_dir
from rustk.vocabulary.user_paths import user_path

DEFAULT_INSTRUMENT = "mrust"
FROM_DATA: Literal["from data"] = "from data"

# Columns that stand beside a site's in an index or beside a label's in predictions.
_TAKEN = frozenset(
    [
        "sample_id",
        "split",
        "patient",
        "visit",
        "view",
        "shard",
        "position",
        "image",
        "image_sha256",
        "image_phash",
        "trial",
        "fold",
        "epoch",
        "total",
    ]
)
_WORD = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_MOST_LABELS = 1000

Score = Annotated[int, Field(strict=True, ge=0, le=100)]


class Site(Strict):
    """What is scored. `views`: those that show it, or `from data`: those in which the data score it at least once."""

    name: str
    scores: tuple[Score, ...] = Field(min_length=2, max_length=101)
    views: Literal["from data"] | tuple[str, ...] = FROM_DATA

    @field_validator("scores")
    @classmethod
    def _ascending(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if list(value) != sorted(set(value)):
            raise ValueError("expected whole numbers in ascending order, each once")
        return value

    @field_validator("views", mode="before")
    @classmethod
    def _list_or_from_data(cls, value: object) -> object:
        if isinstance(value, list | tuple) and all(isinstance(view, str) for view in value):
            return tuple(value)
        if value != FROM_DATA:
            raise ValueError(f"expected a list of views such as [ap], or `{FROM_DATA}`")
        return value


class Total(Strict):
    """The sum of a visit's sites; `title` is what a report calls it."""

    title: str = Field("total", min_length=1, max_length=60)


class Threshold(Strict):
    """A total (or, with `site`, a site's score) from which on something holds: at 13 of mRUST, union."""

    at: int = Field(strict=True, ge=0, le=10_000)
    means: str = Field(min_length=1, max_length=80)
    site: str | None = None


class Words(Strict):
    """What a report calls a site, in the singular and in the plural."""

    site: str = Field("site", min_length=1, max_length=40)
    sites: str = Field("sites", min_length=1, max_length=40)


class Instrument(Strict):
    """A scoring instrument. Raises pydantic's ValidationError for one that contradicts itself."""

    name: str
    title: str = Field(min_length=1, max_length=200)
    source: str = Field("", max_length=1000, description="where the instrument is defined, as a reference")
    views: tuple[str, ...] = Field(min_length=1, max_length=20)
    sites: tuple[Site, ...] = Field(min_length=1, max_length=100)
    unscored: bool = Field(True, description="whether an image may leave a site that its view shows unscored")
    total: Total | None = None
    thresholds: tuple[Threshold, ...] = ()
    words: Words = Words()

    @field_validator("name")
    @classmethod
    def _is_name(cls, value: str) -> str:
        if not is_name(value):
            raise ValueError(f"expected {NAME_RULE}")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "Instrument":
        site_names = [site.name for site in self.sites]
        for field, names in (("views", self.views), ("sites", site_names)):
            for name in names:
                if not _WORD.fullmatch(name):
                    raise ValueError(
                        f"{field}: {clip(name)}: expected lower-case letters, digits, _ and -, a letter first, at "
                        "most 40"
                    )
                if list(names).count(name) > 1:
                    raise ValueError(f"{field}: {name} is given twice: expected it once")
        for site in self.sites:
            if site.name in _TAKEN:
                raise ValueError(f"sites: {site.name} is the name of a column that rustk writes: choose another")
            if site.views != FROM_DATA:
                if not site.views:
                    raise ValueError(f"sites.{site.name}.views: expected at least one view, or `{FROM_DATA}`")
                for view in site.views:
                    if view not in self.views:
                        raise ValueError(f"sites.{site.name}.views: {clip(view)}: {did_you_mean(view, self.views)}")
                    if list(site.views).count(view) > 1:
                        raise ValueError(f"sites.{site.name}.views: {view} is given twice: expected it once")
        if len(self.labels) > _MOST_LABELS:
            raise ValueError(f"sites: {len(self.labels)} labels in all: expected at most {_MOST_LABELS}")
        columns = [*_TAKEN, *site_names, *self.labels]
        if repeated := sorted({name for name in columns if columns.count(name) > 1}):
            raise ValueError(f"sites: two columns would be called {repeated[0]}: choose other names")
        for number, threshold in enumerate(self.thresholds):
            self._check_threshold(threshold)
            if any((one.site, one.at) == (threshold.site, threshold.at) for one in self.thresholds[:number]):
                of = f" of {threshold.site}" if threshold.site else ""
                raise ValueError(f"thresholds: at {threshold.at}{of} is given twice: expected it once")
        return self

    def _check_threshold(self, threshold: Threshold) -> None:
        if threshold.site is None:
            if self.total is None:
                raise ValueError(f"thresholds: at {threshold.at}: there is no total: name a site")
            low, high = self.total_range
        else:
            names = [site.name for site in self.sites]
            if threshold.site not in names:
                raise ValueError(f"thresholds: site {clip(threshold.site)}: {did_you_mean(threshold.site, names)}")
            scores = self.site(threshold.site).scores
            low, high = scores[0], scores[-1]
        if not low < threshold.at <= high:
            raise ValueError(f"thresholds: at {threshold.at}: expected more than {low} and at most {high}")

    @property
    def site_names(self) -> tuple[str, ...]:
        """The sites in the order of the encoding."""
        return tuple(site.name for site in self.sites)

    def site(self, name: str) -> Site:
        """The site of this name. Raises KeyError."""
        for site in self.sites:
            if site.name == name:
                return site
        raise KeyError(name)

    @cached_property
    def view_labels(self) -> tuple[str, ...]:
        """One label for each view; none where there is a single view, which says nothing."""
        return tuple(f"view_{view}" for view in self.views) if len(self.views) > 1 else ()

    @cached_property
    def score_labels(self) -> tuple[str, ...]:
        """One label for each score of each site, site by site: medial_1, medial_2, ..."""
        return tuple(f"{site.name}_{score}" for site in self.sites for score in site.scores)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Every label, in the order of the encoding: the views', then the scores'."""
        return self.view_labels + self.score_labels

    @cached_property
    def score_columns(self) -> slice:
        """Where the scores' labels stand among `labels`."""
        return slice(len(self.view_labels), len(self.labels))

    @cached_property
    def site_columns(self) -> tuple[slice, ...]:
        """Where each site's labels stand among `labels`, in the order of `sites`."""
        ends = accumulate((len(site.scores) for site in self.sites), initial=len(self.view_labels))
        return tuple(slice(start, end) for start, end in pairwise(ends))

    @cached_property
    def total_range(self) -> tuple[int, int]:
        """The least and the greatest sum of a score of every site."""
        return sum(site.scores[0] for site in self.sites), sum(site.scores[-1] for site in self.sites)

    def shows(self, view: str, site: str) -> bool:
        """Whether a view may show a site; where that is left to the data, every view may."""
        views = self.site(site).views
        return views == FROM_DATA or view in views

    def check_scores(self, view: str, scores: Mapping[str, int | None]) -> None:
        """Raise ValueError for a view, site or score that does not exist, or a score that this view can't have."""
        if view not in self.views:
            raise ValueError(f"view {clip(view)}: expected {_either(self.views)}")
        for name, score in scores.items():
            if name not in self.site_names:
                raise ValueError(f"{self.words.site} {clip(name)}: expected {_either(self.site_names)}")
            if score is None:
                continue
            site = self.site(name)
            if score not in site.scores:
                raise ValueError(f"{name} score {clip(score)}: expected {describe_scores(site.scores)} or nothing")
            if not self.shows(view, name):
                raise ValueError(f"{name} score {score}: the view {view} does not show it: expected nothing")
        if not self.unscored:
            for site in self.sites:
                if site.views != FROM_DATA and view in site.views and scores.get(site.name) is None:
                    raise ValueError(f"{site.name} has no score: expected {describe_scores(site.scores)}")

    def encode(self, view: str, scores: Mapping[str, int | None]) -> tuple[int, ...]:
        """One image's view and scores as zeros and ones, in the order of `labels`.

        `scores` maps a site to its score, or to None (or nothing) where it is unscored.
        Raises ValueError for a view, site or score that does not exist.
        """
        self.check_scores(view, scores)
        on = {f"view_{view}"} | {f"{site}_{score}" for site, score in scores.items() if score is not None}
        return tuple(int(label in on) for label in self.labels)

    def decode(self, values: Sequence[int]) -> tuple[str, dict[str, int | None]]:
        """The inverse of `encode`. Raises ValueError for values that no image can have."""
        if len(values) != len(self.labels):
            raise ValueError(f"{len(values)} values: expected {len(self.labels)}")
        seen = [view for view, value in zip(self.views, values, strict=False) if value] if self.view_labels else []
        if self.view_labels and len(seen) != 1:
            raise ValueError(f"{len(seen)} views are set: expected one of {', '.join(self.view_labels)}")
        scores: dict[str, int | None] = {}
        for site, columns in zip(self.sites, self.site_columns, strict=True):
            on = [score for score, value in zip(site.scores, values[columns], strict=True) if value]
            if len(on) > 1:
                which = " and ".join(map(str, on[:2]))
                raise ValueError(f"{self.words.site} {site.name} has {len(on)} scores ({which}): expected at most one")
            scores[site.name] = on[0] if on else None
        view = seen[0] if seen else self.views[0]
        self.check_scores(view, scores)
        return view, scores

    def encoding(self) -> dict[str, Any]:
        """What decides the encoding: equal encodings give equal labels, whatever the titles say."""
        sites = [
            [site.name, list(site.scores), site.views if site.views == FROM_DATA else list(site.views)]
            for site in self.sites
        ]
        return {"views": list(self.views), "sites": sites, "unscored": self.unscored}


def describe_scores(scores: Sequence[int]) -> str:
    """`1 to 4` for consecutive scores, else `1, 3 or 5`."""
    if list(scores) == list(range(scores[0], scores[-1] + 1)):
        return f"{scores[0]} to {scores[-1]}"
    return _either([str(score) for score in scores])


def instrument_names() -> tuple[str, ...]:
    """The instruments that ship with rustk."""
    return tuple(sorted(path.stem for path in (resource_dir("jobs") / "instruments").glob("*.yaml")))


def load_instrument(name_or_path: str = DEFAULT_INSTRUMENT) -> Instrument:
    """A shipped instrument by name, or one of the user's own by the path of a YAML file. Raises BadStudy."""
    if not name_or_path.endswith((".yaml", ".yml")):
        if name_or_path not in instrument_names():
            hint = did_you_mean(name_or_path, instrument_names())
            raise BadStudy(f"there is no instrument {clip(name_or_path)}: {hint} (or the path of a .yaml file)")
        path, source = resource_dir("jobs") / "instruments" / f"{name_or_path}.yaml", f"{name_or_path}.yaml"
    else:
        path, source = user_path(name_or_path, "an instrument in YAML"), name_or_path
    text = read_text(path, "an instrument in YAML", source=source)
    found = validated(Instrument, parse_yaml(text, source), source)
    is_own = source == name_or_path
    if is_own and found.name in instrument_names() and found.encoding() != load_instrument(found.name).encoding():
        raise BadStudy(
            f"{source}: name = {clip(found.name)}: rustk has another instrument of this name: choose another name"
        )
    return found


def _either(words: Sequence[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 2 else words)
