"""What a study is: the schema of the YAML files in jobs/, and which of its fields decide a run's id."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, SerializeAsAny, ValidationError, field_validator, model_validator

from rustk.planning.search.base import MOST_TRIALS, Hyperparameters, SearchSpec, short_name
from rustk.vocabulary.checking import Strict, clip, did_you_mean, first_fault, validated
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.kinds import kinds, load_kind
from rustk.vocabulary.names import is_name

__all__ = ["MOST_FOLDS", "MOST_TRIALS", "Folds", "Model", "Study", "Training", "run_id", "study_from_fields"]

# Raise it when the same study must give other numbers than before: it is a part of every run's id.
RESULT_VERSION = 2

MOST_FOLDS = 1000

# Hyperparameters a search may vary, by the last part of their path (the name of their column in trials.parquet).
SEARCHABLE = {
    "learning_rate": "training.learning_rate",
    "epsilon": "training.epsilon",
    "batch_size": "training.batch_size",
    "dropout": "model.dropout",
}
_WHOLE = frozenset({"batch_size"})


class Model(Strict):
    """A backbone, global pooling (or flattening), a head of dense layers, and what the objective makes of its end."""

    architecture: str = Field(
        "inception_v3", max_length=200, description="a backbone of rustk's, or package.module:function of your own"
    )
    weights: str = Field(
        "imagenet", description="random, or the name of weights in the store: imagenet, radimagenet..."
    )
    trainable: bool = Field(False, description="whether the backbone is trained, or frozen")
    pooling: Literal["max", "flatten"] = Field("max", description="what makes features of the backbone's last map")
    head: tuple[Annotated[int, Field(strict=True, ge=1, le=65_536)], ...] = Field(
        (1024, 512, 256), max_length=20, description="the widths of the head's dense layers"
    )
    dropout: float = Field(0.0, strict=True, ge=0.0, lt=1.0, description="after each dense layer of the head")
    objective: str = Field("onehot", description="what the head gives and what the loss is")

    @field_validator("architecture")
    @classmethod
    def _known(cls, value: str) -> str:
        backbones = kinds("training/backbones")
        if value not in backbones and not is_import_path(value):
            raise ValueError(f"{did_you_mean(value, backbones)} (or package.module:function of your own)")
        return value

    @field_validator("objective")
    @classmethod
    def _known_objective(cls, value: str) -> str:
        if value not in kinds("training/objectives"):
            raise ValueError(did_you_mean(value, kinds("training/objectives")))
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


class Training(Strict):
    """Adam on the objective's loss."""

    epochs: int = Field(20, strict=True, ge=1, le=10_000, description="how often all training images are seen")
    batch_size: int = Field(128, strict=True, ge=1, le=1_000_000, description="images a step")
    learning_rate: float = Field(1e-3, strict=True, gt=0.0, le=1e6, description="of Adam")
    epsilon: float = Field(1e-7, strict=True, gt=0.0, le=1e6, description="of Adam")
    flips: tuple[Literal["horizontal", "vertical"], ...] = Field(
        ("horizontal", "vertical"), description="each drawn for half of the training images"
    )
    features: Literal["cached", "off"] = Field("cached", description="of a frozen backbone; off trains through it")

    @field_validator("flips")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("expected each flip at most once")
        return value


class Folds(Strict):
    """`patient` keeps a patient's images in one fold; `shard` puts image i into fold i mod k, as the thesis did."""

    scheme: Literal["patient", "shard"] = Field("patient", description="what is kept together")
    k: int = Field(6, strict=True, ge=2, le=MOST_FOLDS, description="how many folds")
    seed: int = Field(0, strict=True, ge=0, lt=2**32, description="of the patient scheme's shuffle")


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
            raise ValueError("expected at most 63 lower-case letters, digits and dashes")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        if self.search is not None:
            self._check_search(self.search)
        return self

    def _check_search(self, search: SearchSpec) -> None:
        for path in search.paths:
            if path not in SEARCHABLE.values():
                raise ValueError(f"search.parameters: {clip(path)}; {did_you_mean(path, SEARCHABLE.values())}")
            section, _, name = path.partition(".")
            model: Strict = getattr(self, section)
            fields = model.model_dump()
            for value in search.extremes(path):
                if name in _WHOLE and not float(value).is_integer():
                    raise ValueError(f"search.parameters.{path}: {value:g}: expected whole numbers (type: int)")
                try:
                    type(model).model_validate({**fields, name: typed(name, value)})
                except ValidationError as error:
                    raise ValueError(f"search.parameters.{first_fault(error, type(model), section)}") from None

    @property
    def hyperparameters(self) -> Hyperparameters:
        """What this study trains with where no search varies it, by short name."""
        return {name: getattr(getattr(self, path.split(".")[0]), name) for name, path in SEARCHABLE.items()}

    def with_hyperparameters(self, values: Mapping[str, float | int]) -> "Study":
        """The study of one trial: these hyperparameters (short names) put in, and no search. Raises BadStudy."""
        fields = self.model_dump(mode="python", exclude={"search"})
        for name, value in values.items():
            if name not in SEARCHABLE:
                raise BadStudy(f"hyperparameter {clip(name)}; {did_you_mean(name, SEARCHABLE)}")
            section, _, field = SEARCHABLE[name].partition(".")
            fields[section][field] = value
        return study_from_fields(fields, f"study {self.name}")

    def taking(self, values: Mapping[str, float | int]) -> "Study":
        """This study with an earlier run's hyperparameters (short names) wherever its own search does not vary them."""
        searched = {short_name(path) for path in self.search.paths} if self.search else set()
        taken = self.with_hyperparameters({name: value for name, value in values.items() if name not in searched})
        return taken.model_copy(update={"search": self.search})

    def trials(self) -> list[Hyperparameters]:
        """The searched hyperparameters of each trial, by short name. Without a search: one trial, varying nothing."""
        if self.search is None:
            return [{}]
        return [{name: typed(name, value) for name, value in trial.items()} for trial in self.search.draw(self.seed)]

    def decisive(self) -> dict[str, Any]:
        """The fields that decide the numbers: all but the prose, and of the search what it says decides."""
        fields = self.model_dump(mode="json", exclude={"title", "description", "numbers"})
        if self.search is not None:
            fields["search"] = self.search.decisive()
        return fields


def typed(name: str, value: float | int) -> float | int:
    """A searched value in the type of its field."""
    return int(value) if name in _WHOLE else float(value)


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


def is_import_path(text: str) -> bool:
    """Whether `text` names a function as package.module:function."""
    module, separator, function = text.partition(":")
    return bool(separator) and all(part.isidentifier() for part in [*module.split("."), function])


def _search_from(fields: Any, source: str) -> SearchSpec:
    if not isinstance(fields, Mapping):
        raise BadStudy(f"{source}: search = {clip(fields)}: expected the fields kind and parameters")
    kind = fields.get("kind")
    if not isinstance(kind, str):
        raise BadStudy(f"{source}: search.kind = {clip(kind)}: expected one of {', '.join(kinds('planning/search'))}")
    module = load_kind("planning/search", kind, f"{source}: search.kind")
    spec: SearchSpec = validated(module.Search, fields, source, at="search")
    return spec
