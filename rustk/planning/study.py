"""What a study is: the schema of the YAML files in jobs/, and which of its fields decide a run's id."""

import difflib
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.names import is_name

# Raise it when the same study must give other numbers than before: it is a part of every run's id.
RESULT_VERSION = 1

# Hyperparameters a search may vary, by the last part of their path (the name of their column in trials.parquet).
SEARCHABLE = {
    "learning_rate": "training.learning_rate",
    "epsilon": "training.epsilon",
    "batch_size": "training.batch_size",
    "dropout": "model.dropout",
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Model(_Strict):
    """A backbone, global pooling (or flattening), a head of dense layers, and 18 sigmoids."""

    architecture: str = Field("inception_v3", description="inception_v3, lenet, or package.module:function of your own")
    weights: str = Field(
        "imagenet", description="random, or the name of weights in the store: imagenet, radimagenet..."
    )
    trainable: bool = Field(False, description="whether the backbone is trained, or frozen")
    pooling: Literal["max", "flatten"] = "max"
    head: tuple[Annotated[int, Field(ge=1)], ...] = (1024, 512, 256)
    dropout: float = Field(0.0, ge=0.0, lt=1.0, description="after each dense layer of the head")

    @field_validator("architecture")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in ("inception_v3", "lenet") and not _is_import_path(value):
            raise ValueError("expected inception_v3, lenet, or package.module:function")
        return value

    @field_validator("weights")
    @classmethod
    def _named(cls, value: str) -> str:
        if value.endswith((".h5", ".keras")):
            raise ValueError(
                "expected a name: workers read weights from the store: `rustk weights add NAME FILE` puts a file there"
            )
        if not is_name(value):
            raise ValueError("expected a name of lower-case letters, digits and dashes (see `rustk weights list`)")
        return value


class Training(_Strict):
    """Adam on binary cross-entropy."""

    epochs: int = Field(20, ge=1, le=10_000)
    batch_size: int = Field(128, ge=1)
    learning_rate: float = Field(1e-3, gt=0.0)
    epsilon: float = Field(1e-7, gt=0.0)
    flips: tuple[Literal["horizontal", "vertical"], ...] = ("horizontal", "vertical")
    features: Literal["cached", "off"] = Field("cached", description="of a frozen backbone; off trains through it")

    @field_validator("flips")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("expected each flip at most once")
        return value


class Folds(_Strict):
    """`patient` keeps a patient's images in one fold; `shard` puts image i into fold i mod k, as the thesis did."""

    scheme: Literal["patient", "shard"] = "patient"
    k: int = Field(6, ge=2, le=1000)
    seed: int = Field(0, ge=0, description="of the patient scheme's shuffle")


class Range(_Strict):
    """A uniform distribution: over the integers low..high, both ends in, or over the reals [low, high)."""

    low: float
    high: float
    type: Literal["int", "float"] = "float"

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest value that can be drawn."""
        return self.low, self.high if self.type == "int" else math.nextafter(self.high, self.low)

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if not self.low < self.high:
            raise ValueError(f"low {self.low:g} must be below high {self.high:g}")
        if self.type == "int" and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError(f"low {self.low:g} and high {self.high:g} must be whole numbers for type int")
        return self


class GridSearch(_Strict):
    kind: Literal["grid"]
    parameters: dict[str, Annotated[tuple[float | int, ...], Field(min_length=1)]] = Field(min_length=1)


class RandomSearch(_Strict):
    kind: Literal["random"]
    trials: int = Field(ge=1, le=100_000)
    parameters: dict[str, Range] = Field(min_length=1)


class Study(_Strict):
    """A resolved study: every field has its value."""

    name: str
    title: str = ""
    description: str = ""
    model: Model = Model()
    training: Training = Training()
    folds: Folds = Folds()
    search: Annotated[GridSearch | RandomSearch, Field(discriminator="kind")] | None = None
    metric: Literal["val_auroc"] = "val_auroc"
    seed: int = Field(0, ge=0, lt=2**63)

    @field_validator("name")
    @classmethod
    def _is_name(cls, value: str) -> str:
        if not is_name(value):
            raise ValueError("expected at most 63 lower-case letters, digits and dashes")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        if self.model.architecture == "lenet" and self.model.weights != "random":
            raise ValueError("lenet has no pretrained weights: set model.weights to random")
        if self.search is not None:
            self._check_search(self.search)
        return self

    def _check_search(self, search: GridSearch | RandomSearch) -> None:
        for path, values in search.parameters.items():
            if path not in SEARCHABLE.values():
                raise ValueError(f"search.parameters: {_not_known(path, SEARCHABLE.values())}")
            name = path.rpartition(".")[2]
            ends = values.ends if isinstance(values, Range) else values
            if isinstance(values, Range) and name == "batch_size" and values.type != "int":
                raise ValueError("search.parameters.training.batch_size: a batch size is whole: set type: int")
            for value in ends:
                whole = int(value) if name == "batch_size" and float(value).is_integer() else value
                try:
                    self.with_hyperparameters({name: whole})
                except BadStudy as error:
                    raise ValueError(f"search.parameters.{path}: {error}") from None
            if isinstance(values, tuple) and len(set(values)) < len(values):
                raise ValueError(f"search.parameters.{path}: a value stands there twice: {list(values)}")

    @property
    def hyperparameters(self) -> dict[str, float | int]:
        """What this study trains with where no search varies it, by short name."""
        return {
            "learning_rate": self.training.learning_rate,
            "epsilon": self.training.epsilon,
            "batch_size": self.training.batch_size,
            "dropout": self.model.dropout,
        }

    def with_hyperparameters(self, values: Mapping[str, float | int]) -> "Study":
        """The study of one trial: these hyperparameters (short names) put in, and no search. Raises BadStudy."""
        fields = self.model_dump(mode="python")
        fields["search"] = None
        for name, value in values.items():
            if name not in SEARCHABLE:
                raise BadStudy(f"hyperparameter {_not_known(name, SEARCHABLE)}")
            section, _, field = SEARCHABLE[name].partition(".")
            fields[section][field] = value
        return validated(fields, f"study {self.name}")

    def taking(self, values: Mapping[str, float | int]) -> "Study":
        """This study with an earlier run's hyperparameters (short names) wherever its own search does not vary them."""
        searched = {path.rpartition(".")[2] for path in self.search.parameters} if self.search else set()
        taken = self.with_hyperparameters({name: value for name, value in values.items() if name not in searched})
        return taken.model_copy(update={"search": self.search})

    def decisive(self) -> dict[str, Any]:
        """The fields that decide the numbers: all but the prose, and but how many random trials are drawn,
        since more trials extend a run without changing the earlier ones."""
        fields = self.model_dump(mode="json", exclude={"title", "description"})
        if isinstance(self.search, RandomSearch):
            del fields["search"]["trials"]
        return fields


def study_fields(study: Study) -> dict[str, Any]:
    """The study as it stands in study.json."""
    return study.model_dump(mode="json")


def study_from_fields(fields: Mapping[str, Any], source: str) -> Study:
    """The inverse of `study_fields`. Raises BadStudy."""
    return validated(dict(fields), source)


def run_id(study: Study, dataset_digest: str, weights_sha256: str | None) -> str:
    """study name + 8 hex digits of a hash over everything that decides the result."""
    decisive = {
        "study": study.decisive(),
        "dataset": dataset_digest,
        "weights": weights_sha256,
        "result_version": RESULT_VERSION,
    }
    digest = hashlib.sha256(json.dumps(decisive, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    return f"{study.name[:54]}-{digest[:8]}"


def validated(fields: dict[str, Any], source: str) -> Study:
    """The study of these fields. Raises BadStudy with the first fault in one line, after `source`."""
    try:
        return Study.model_validate(fields)
    except ValidationError as error:
        raise BadStudy(f"{source}: {_explain(error)}") from None


def _explain(error: ValidationError) -> str:
    """The first fault in one line, with the field's path, its value, and what was expected."""
    first = error.errors()[0]
    location = [part for part in first["loc"] if part not in ("grid", "random")]
    path = ".".join(str(part) for part in location)
    if first["type"] == "extra_forbidden":
        *parents, name = (str(part) for part in location)
        raw = [str(part) for part in first["loc"][:-1]]
        return f"there is no field {_not_known(name, _fields_of(raw), '.'.join((*parents, name)))}"
    if first["type"] == "missing":
        return f"{path}: missing"
    message = first["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    value = first.get("input")
    shown = f" = {value!r}" if path and isinstance(value, str | int | float | bool | type(None)) else ""
    return f"{path}{shown}: {message}" if path else message


def _fields_of(path: Sequence[str]) -> list[str]:
    """The valid field names of the section at `path` (as pydantic gives it: with the kind of search in it)."""
    kinds: dict[str, type[BaseModel]] = {"grid": GridSearch, "random": RandomSearch}
    models: list[type[BaseModel]] = [Study]
    for part in path:
        if part in kinds:
            models = [kinds[part]]
            continue
        inner = [model.model_fields[part].annotation for model in models if part in model.model_fields]
        # A part that is no field's name is a key of a mapping: its models are those found already.
        models = [found for annotation in inner for found in _models_in(annotation)] or models
    return [name for model in models for name in model.model_fields]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]


def _not_known(name: str, valid: Any, shown: str | None = None) -> str:
    choices = list(valid)
    near = difflib.get_close_matches(name, choices, n=1)
    hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(choices)}"
    return f"{shown or name!r}; {hint}"


def _is_import_path(text: str) -> bool:
    module, separator, function = text.partition(":")
    return bool(separator) and all(part.isidentifier() for part in [*module.split("."), function])
