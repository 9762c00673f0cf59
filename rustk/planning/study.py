"""What a study is: the schema of the YAML files in jobs/, and which of its fields decide a run's id."""

import hashlib
import json
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

from pydantic import Field, SerializeAsAny, ValidationError, field_validator, model_validator

from rustk.planning.races.base import RaceSpec
from rustk.planning.search.base import MOST_TRIALS, Hyperparameters, SearchSpec, short_name
from rustk.planning.searchable import BY_PATH, NOT_SEARCHED, SEARCHABLE, Scalar, SearchableField
from rustk.planning.sections import ALTERATIONS, MOST_FOLDS, Folds, Model, Training, is_import_path
from rustk.vocabulary.checking import Strict, clip, did_you_mean, first_fault, validated
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.kinds import kinds, load_kind
from rustk.vocabulary.names import NAME_RULE, is_name
from rustk.vocabulary.wording import written

__all__ = [
    "MOST_FOLDS",
    "MOST_TRIALS",
    "Folds",
    "Model",
    "Study",
    "Training",
    "is_import_path",
    "run_id",
    "study_from_fields",
]

# With two folds, all that a race decides hangs on one of them.
_FEWEST_RACED_FOLDS = 3

# The report's tables that a paper may number; its figures are the kinds of chart.
NUMBERED_TABLES = ("comparison", "best-trials", "all-trials", "metrics", "folds", "final-hyperparameters", "race")

# Raise it when the same study must give other numbers than before: it is a part of every run's id.
RESULT_VERSION = 2

_MOST_CHECKED_WHOLE = 100
_SHOWN = 8
_SAME = 1e-6
# What every history and card names, searched or not.
_ALWAYS_NAMED = ("learning_rate", "epsilon", "batch_size", "dropout")

# Fields that a later version added, by path. At its default each means what studies without it meant, so that it takes
# no part in a run's id then.
_JOINED_LATER: tuple[str, ...] = (
    "training.head_epochs",
    "training.backbone_rate",
    *(f"training.{name}" for name in ALTERATIONS),
    "training.label_smoothing",
    "training.class_weights",
    "training.precision",
    "training.xla",
)


class Study(Strict):
    """A resolved study: every field has its value."""

    name: str = Field(description="what runs of it are called, unless --name says otherwise")
    title: str = Field("", max_length=300, description="what a report calls it")
    description: str = Field("", max_length=5000, description="a sentence for `rustk studies`")
    numbers: dict[str, str] = Field(
        default_factory=dict, max_length=50, description="which table or figure of a paper one of the report's is"
    )
    model: Model = Model()
    training: Training = Training()
    folds: Folds = Folds()
    search: SerializeAsAny[SearchSpec] | None = Field(None, description="which fields vary, by the kind that it names")
    metric: Literal["val_auroc"] = Field("val_auroc", description="the figure of merit")
    seed: int = Field(0, strict=True, ge=0, lt=2**63, description="of everything that is drawn")

    @field_validator("name")
    @classmethod
    def _is_name(cls, value: str) -> str:
        if not is_name(value):
            raise ValueError(f"expected {NAME_RULE}")
        return value

    @field_validator("numbers")
    @classmethod
    def _of_the_report(cls, value: dict[str, str]) -> dict[str, str]:
        charts = (name.replace("_", "-") for name in kinds("report/charts"))
        known = list(dict.fromkeys([*NUMBERED_TABLES, *charts]))  # a race has a table and a chart
        for name in value:
            if name not in known:
                raise ValueError(f"there is no table or figure {clip(name)}: {did_you_mean(name, known)}")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        self._check_training()
        if self.folds.scheme == "shard" and self.folds.seed:
            raise ValueError(
                f"folds.seed = {self.folds.seed}: it has no effect with folds.scheme = shard: leave it out"
            )
        if self.search is not None:
            self._check_search(self.search)
        return self

    def _check_training(self) -> None:
        """That what a field of the training says can take effect with this model."""
        training, searched = self.training, self.search.paths if self.search is not None else ()
        for name, idle in (("backbone_rate", 1.0), ("head_epochs", 0)):
            value, path = getattr(training, name), f"training.{name}"
            if not self.model.trainable and (value != idle or path in searched):
                raise ValueError(
                    f"{path} = {value}: it has no effect on a frozen backbone: expected model.trainable to be true, or "
                    "how many of its last blocks are trained"
                )
        if training.head_epochs >= training.epochs:
            raise ValueError(
                f"training.head_epochs = {training.head_epochs}: they are the first of training.epochs = "
                f"{training.epochs}: expected fewer than that"
            )
        for name in ALTERATIONS:
            value, path = getattr(training, name), f"training.{name}"
            if not self.model.trainable and training.features == "cached" and (value or path in searched):
                raise ValueError(
                    f"{path} = {value}: it has no effect on cached features: expected training.features = off, or a "
                    "backbone that is trained"
                )

    def _check_search(self, search: SearchSpec) -> None:
        if search.race is not None and self.folds.k < _FEWEST_RACED_FOLDS:
            raise ValueError(
                f"search.race = {search.race.kind}: with folds.k = {self.folds.k} it would decide once, by a single "
                f"fold, and spare half of the folds at most: expected folds.k of at least {_FEWEST_RACED_FOLDS}, or no "
                "race"
            )
        for path in search.paths:
            if path not in BY_PATH:
                why = NOT_SEARCHED.get(path)
                told = (
                    f"{path} can't be searched: {why}"
                    if why
                    else f"there is no field {clip(path)}; {did_you_mean(path, BY_PATH)}"
                )
                raise ValueError(f"search.parameters: {told}")
            self._check_values(BY_PATH[path], search)
        if "model.dropout" in search.paths and () in self.possible("model.head"):
            raise ValueError(
                "search.parameters.model.dropout: it has no effect where model.head is []: leave out one of the two"
            )

    def _check_values(self, field: SearchableField, search: SearchSpec) -> None:
        section = field.path.partition(".")[0]
        model: Strict = getattr(self, section)
        fields = model.model_dump()
        drawn_from = search.range_of(field.path)
        if field.type is int and drawn_from is not None and drawn_from.type == "float":
            raise ValueError(
                f"search.parameters.{field.path}.type = float: expected int, since its values are whole numbers"
            )
        values = list(search.extremes(field.path))
        for value in values:
            if not field.takes(value):
                shown = written(value) if isinstance(value, float) else clip(value)
                listed = "" if field.takes_range else ", each listed"
                raise ValueError(f"search.parameters.{field.path}: {shown}: expected {field.expected}{listed}")
            try:
                # A list's text loses what its members were; what is wrong with one is told as it was written.
                checked = tuple(value) if field.is_list else field.decode(field.encode(value))
                type(model).model_validate({**fields, field.name: checked})
            except ValidationError as error:
                raise ValueError(f"search.parameters.{first_fault(error, type(model), section)}") from None
        encoded = [field.encode(value) for value in values]
        if not field.takes_range and len(set(encoded)) < len(encoded):
            raise ValueError(f"search.parameters.{field.path}: a value appears twice: {clip(encoded)}")
        # Rules of the whole study hold for the least and the greatest value, or for all of a few.
        for value in (min(encoded), max(encoded)) if field.takes_range else encoded[:_MOST_CHECKED_WHOLE]:
            self._check_whole(field, value)

    def _check_whole(self, field: SearchableField, value: Scalar) -> None:
        fields = self.model_dump(exclude={"search"})
        fields[field.path.partition(".")[0]][field.name] = field.decode(value)
        try:
            type(self).model_validate(fields)
        except ValidationError as error:
            raise ValueError(f"search.parameters.{first_fault(error, type(self))}") from None

    def possible(self, path: str) -> list[Any]:
        """The values that a field of model or training may have in this study's trials; of a range, its two ends."""
        if self.search is not None and path in self.search.paths:
            return list(self.search.extremes(path))
        return [self._own(path)]

    def searched_check(self, path: str) -> Callable[[object], None]:
        """What raises ValueError, saying what was expected, for a value that no trial of the search has at `path`.

        Values are as trials.parquet has them; the search's own are looked up once.
        """
        assert self.search is not None
        field, drawn_from = BY_PATH[path], self.search.range_of(path)
        allowed = [field.encode(one) for one in self.search.extremes(path)]
        exact = frozenset(allowed)

        # A boolean is a number to Python; a number that was written elsewhere may differ in its last digits.
        def check(value: object) -> None:
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if field.takes_range and drawn_from is not None:
                low, high = float(min(exact)), float(max(exact))
                if not (is_number and low * (1 - _SAME) <= float(value) <= high * (1 + _SAME)):  # type: ignore[arg-type]
                    raise ValueError(f"expected {written(low)} to {written(high)}")
                return
            if value not in exact and not (is_number and any(_is_close(one, float(value)) for one in allowed)):  # type: ignore[arg-type]
                listed = ", ".join(written(one) for one in allowed[:_SHOWN])
                raise ValueError(f"expected one of {listed}{', ...' if len(allowed) > _SHOWN else ''}")

        return check

    def _own(self, path: str) -> Any:
        section, _, name = path.partition(".")
        return getattr(getattr(self, section), name)

    @property
    def hyperparameters(self) -> Hyperparameters:
        """What this study trains with where no search varies it: Adam's numbers and dropout, by short name."""
        return {name: self.hyperparameter(name) for name in _ALWAYS_NAMED}

    def hyperparameter(self, name: str) -> Scalar:
        """The study's own value of any hyperparameter, by short name, as trials.parquet has it."""
        return SEARCHABLE[name].encode(self._own(SEARCHABLE[name].path))

    def with_hyperparameters(self, values: Mapping[str, Scalar]) -> "Study":
        """The study of one trial: these hyperparameters (short names) put in, and no search. Raises BadStudy."""
        fields = self.model_dump(mode="python", exclude={"search"})
        for name, value in values.items():
            if name not in SEARCHABLE:
                raise BadStudy(f"there is no hyperparameter {clip(name)}; {did_you_mean(name, SEARCHABLE)}")
            section = SEARCHABLE[name].path.partition(".")[0]
            fields[section][name] = SEARCHABLE[name].decode(value)
        return study_from_fields(fields, f"study {self.name}")

    def taking(self, values: Mapping[str, Scalar], own: Collection[str] = ()) -> "Study":
        """This study with an earlier run's hyperparameters (short names) wherever its own search does not vary them.

        own: those that stay as this study has them.
        """
        kept = {*own, *(short_name(path) for path in (self.search.paths if self.search else ()))}
        taken = self.with_hyperparameters({name: value for name, value in values.items() if name not in kept})
        return taken.model_copy(update={"search": self.search})

    def trials(self) -> list[Hyperparameters]:
        """The searched hyperparameters of each trial, by short name. Without a search: one trial, varying nothing."""
        if self.search is None:
            return [{}]
        return [
            {name: SEARCHABLE[name].encode(value) for name, value in trial.items()}
            for trial in self.search.draw(self.seed)
        ]

    def decisive(self) -> dict[str, Any]:
        """The fields that decide the numbers: all but the prose, and of the search what it says decides."""
        fields = self.model_dump(mode="json", exclude={"title", "description", "numbers"})
        if self.search is not None:
            fields["search"] = self.search.decisive()
            if self.search.race is None:
                fields["search"].pop("race", None)
            elif not self.search.adaptive:
                # Who is dropped depends on all who were in the race: more trials are another one.
                fields["search"] = self.search.model_dump(mode="json")
        for path in _JOINED_LATER:
            section, _, name = path.partition(".")
            part: Strict = getattr(self, section)
            if getattr(part, name) == type(part).model_fields[name].get_default(call_default_factory=True):
                fields[section].pop(name)
        return fields


def _is_close(allowed: Scalar, value: float) -> bool:
    return isinstance(allowed, int | float) and math.isclose(allowed, value, rel_tol=_SAME)


def study_fields(study: Study) -> dict[str, Any]:
    """The study as it stands in study.json."""
    return study.model_dump(mode="json")


def study_from_fields(fields: Mapping[str, Any], source: str) -> Study:
    """The study of these fields. Raises BadStudy with the first fault in one line, after `source`."""
    fields = dict(fields)
    search = fields.get("search")
    if search is not None and not isinstance(search, SearchSpec):
        fields["search"] = _search_from(search, source)
    return validated(Study, fields, source)


def run_id(study: Study, dataset_digest: str, weights_sha256: str | None) -> str:
    """study name + 8 hex digits of a hash over everything that decides the result."""
    decisive = {
        "study": study.decisive(),
        "dataset": dataset_digest,
        "weights": weights_sha256,
        "result_version": RESULT_VERSION,
    }
    digest = hashlib.sha256(json.dumps(decisive, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    return f"{study.name[:54].rstrip('-')}-{digest[:8]}"


def _search_from(fields: Any, source: str) -> SearchSpec:
    if not isinstance(fields, Mapping):
        raise BadStudy(f"{source}: search = {clip(fields)}: expected the fields kind and parameters")
    kind = fields.get("kind")
    if not isinstance(kind, str):
        raise BadStudy(f"{source}: search.kind = {clip(kind)}: expected one of {', '.join(kinds('planning/search'))}")
    module = load_kind("planning/search", kind, f"{source}: search.kind")
    if fields.get("race") is not None:
        fields = {**fields, "race": _race_from(fields["race"], source)}
    spec: SearchSpec = validated(module.Search, fields, source, at="search")
    return spec


def _race_from(fields: Any, source: str) -> RaceSpec:
    """The rule of a race, from its section or its name alone."""
    if isinstance(fields, RaceSpec):
        return fields
    if isinstance(fields, str):
        fields = {"kind": fields}
    rules = ", ".join(kinds("planning/races"))
    if not isinstance(fields, Mapping):
        raise BadStudy(f"{source}: search.race = {clip(fields)}: expected a section, or one of {rules}")
    kind = fields.get("kind")
    if not isinstance(kind, str):
        raise BadStudy(f"{source}: search.race.kind = {clip(kind)}: expected one of {rules}")
    module = load_kind("planning/races", kind, f"{source}: search.race")
    rule: RaceSpec = validated(module.Race, fields, source, at="search.race")
    return rule
