"""The documents of the store, typed: what study.json, dataset.json and the small records hold (a model's: card.py).

Each is a model with a schema version; `read_document` is their one reader and `write_document` their one writer. A
reader passes over fields that it does not know, so that a later version may add some, and refuses what is of the wrong
kind, too large or too deep, naming the file and the field.
"""

import functools
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from rustk.planning.searchable import Scalar
from rustk.planning.sections import WEIGHTLESS, Folds, Model, Training
from rustk.planning.study import MOST_FOLDS, MOST_TRIALS, Study, study_from_fields
from rustk.store.base import Store
from rustk.store.remedies import advised
from rustk.vocabulary.checking import SHA256_PATTERN, clip, first_fault
from rustk.vocabulary.errors import BadData, KeyMissing
from rustk.vocabulary.instrument import Instrument, load_instrument
from rustk.vocabulary.names import is_folder
from rustk.vocabulary.reading import parse_json

D = TypeVar("D", bound="Document")

Count = Annotated[int, Field(ge=0, le=2**53)]
Sha256 = Annotated[str, Field(pattern=SHA256_PATTERN)]
ImageShape = tuple[
    Annotated[int, Field(ge=1, le=16384)], Annotated[int, Field(ge=1, le=16384)], Annotated[int, Field(ge=1, le=4)]
]
# What somebody else's library said of itself: kept and shown, never computed with.
Facts = dict[str, Any]


class Part(BaseModel):
    """A part of a document."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False, populate_by_name=True)


class Document(Part):
    """A document of its own file."""

    schema_version: Literal[1] = Field(1, alias="schema")


def parse_document(model: type[D], data: bytes, source: str) -> D:
    """The document in these bytes. Raises BadData that begins with `source` and names the field."""
    parse_json(data, source)  # pydantic's reader takes the last of two fields of one name
    try:
        return model.model_validate_json(data, strict=True)
    except ValidationError as error:
        raise BadData(f"{source}: {first_fault(error, model)}") from None
    except (RecursionError, ValueError) as error:
        raise BadData(f"{source}: can't be read: {error}") from None


def encode_document(document: Document) -> bytes:
    """The document as indented JSON, a line end last."""
    return (document.model_dump_json(by_alias=True, indent=1) + "\n").encode()


def read_document(store: Store, key: str, model: type[D]) -> D:
    """The document under `key`. Raises KeyMissing, and BadData, with what to do, for one that is damaged, or in whose
    place something else lies."""
    with advised(key):
        try:
            return parse_document(model, store.read(key), key)
        except KeyMissing as error:
            if error.obstacle:
                raise BadData(str(error)) from None
            raise


def write_document(store: Store, key: str, document: Document) -> None:
    """Write a document under `key`, replacing any that is there."""
    store.write(key, encode_document(document))


def now() -> datetime:
    """This moment, to the second, in UTC: as times stand in documents."""
    return datetime.now(UTC).replace(microsecond=0)


class Shard(Part):
    """One file of records. `key` is the file's name beside dataset.json."""

    key: str
    split: Literal["develop", "test"]
    records: Count
    bytes: Count
    sha256: Sha256

    @field_validator("key")
    @classmethod
    def _beside(cls, value: str) -> str:
        if not is_folder(value):
            raise ValueError("expected the name of a file beside dataset.json")
        return value


class DatasetDocument(Document):
    """dataset.json: what a dataset is; written last, so that its presence means that the dataset is whole.

    image_shape: height, width, channels. counts and patients: by split, patients None where they are not known.
    A dataset that names no instrument is scored by mRUST.
    """

    name: str
    instrument: Instrument = Field(default_factory=load_instrument)
    image_shape: ImageShape
    shards: tuple[Shard, ...]
    counts: dict[str, Count] = {}
    patients: dict[str, Count | None] = {}
    index_sha256: Sha256
    preparation: Facts = {}
    skipped: tuple[Facts, ...] = ()
    source: Facts = {}
    digest: Sha256

    @field_validator("name")
    @classmethod
    def _is_folder(cls, value: str) -> str:
        if not is_folder(value):
            raise ValueError("expected the name of the folder that the dataset lies in")
        return value

    @model_validator(mode="after")
    def _of_one_size(self) -> "DatasetDocument":
        check_image_size(self.preparation, self.image_shape)
        return self


def check_image_size(preparation: Facts, image_shape: ImageShape, at: str = "") -> None:
    """Raise ValueError where images were prepared to another side than they have. at: the section of the two."""
    side = preparation.get("size", image_shape[0])
    if side != image_shape[0]:
        raise ValueError(f"{at}preparation.size = {clip(side)}: expected {image_shape[0]}, as {at}image_shape has it")


class NamedDigest(Part):
    """A dataset that a run was planned on."""

    name: str
    digest: Sha256 | None = None

    @field_validator("name")
    @classmethod
    def _is_folder(cls, value: str) -> str:
        if not is_folder(value):
            raise ValueError("expected the name of a dataset")
        return value


class NamedWeights(Part):
    """The backbone's weights; `sha256` None: random ones."""

    name: str
    sha256: Sha256 | None = None


class Planned(Part):
    """How much a run was planned to be; epochs None: not said."""

    trials: Annotated[int, Field(ge=1, le=MOST_TRIALS)]
    folds: Annotated[int, Field(ge=1, le=MOST_FOLDS)]
    epochs: Annotated[int, Field(ge=1)] | None = None


_SECTIONS: dict[str, type[BaseModel]] = {"model": Model, "training": Training, "folds": Folds}


@functools.cache
def _checker(section: type[BaseModel], name: str) -> TypeAdapter[Any]:
    """Of the values of one field, by its type and bounds."""
    field = section.model_fields[name]
    annotation: Any = field.annotation
    return TypeAdapter(Annotated[annotation, *field.metadata] if field.metadata else annotation)


class StudyPart(BaseModel):
    """The study of a run as study.json has it. What others published may hold little more than a name."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())

    name: str = Field(min_length=1, max_length=200)
    title: str = ""
    description: str = ""
    metric: Literal["val_auroc"] = "val_auroc"
    model: Facts = {}
    training: Facts = {}
    folds: Facts = {}
    search: Facts | None = None

    @field_validator("model", "training", "folds")
    @classmethod
    def _of_their_types(cls, value: Facts, info: ValidationInfo) -> Facts:
        """Fields that this version knows have values that it could read: reports are written from them."""
        section = _SECTIONS[str(info.field_name)]
        for name in [name for name in section.model_fields if name in value]:
            try:
                # Without the section's own rules: another version may know other kinds.
                _checker(section, name).validate_python(value[name])
            except ValidationError as error:
                raise ValueError(first_fault(error, section, name)) from None
        return value


class RunDocument(Document):
    """study.json: the resolved study of a run, and on what it runs; written last of the plan.

    taken_from: with `--from`, the run, its trial and the hyperparameters taken from it. instrument: of the dataset.
    planned_at: when the run was first planned, UTC.
    """

    run: str | None = None
    study: StudyPart
    dataset: NamedDigest | None = None
    weights: NamedWeights | None = None
    instrument: Instrument | None = None
    planned: Planned
    planned_at: AwareDatetime | None = None
    versions: Facts = {}
    taken_from: Facts | None = None

    @model_validator(mode="after")
    def _of_its_weights(self) -> "RunDocument":
        """The weights stand in two places, by name: with random ones the report says that it is no result."""
        named, weights = self.study.model.get("weights"), self.weights
        if named is not None and weights is not None:
            if named != weights.name:
                raise ValueError(f"weights.name = {clip(weights.name)}: expected {clip(named)}, as study.model.weights")
            if named in WEIGHTLESS and weights.sha256 is not None:
                raise ValueError(f"weights.sha256 = {clip(weights.sha256)}: expected null, for {named} has no file")
        return self

    @property
    def title(self) -> str:
        """The study's title, or its name where it has none."""
        return self.study.title or self.study.name

    def resolved_study(self, source: str) -> Study:
        """The study, every field checked. Raises BadStudy for one that this version of rustk did not plan."""
        return study_from_fields(self.study.model_dump(mode="json"), source)


class HistoryMetadata(Document):
    """What a history's file says of its fold, as JSON under the key `rustk` of its metadata (docs/store.md).

    Histories that others published may have none of it.
    """

    run: str | None = None
    study: str | None = None
    trial: int | None = None
    fold: int | None = None
    outcome: Literal["completed", "diverged"] | None = None
    diverged_epoch: Annotated[int, Field(ge=1)] | None = None
    hyperparameters: dict[str, Scalar] = {}
    in_effect: dict[str, Scalar | None] = {}
    samples: dict[str, Count] = {}
    seeds: dict[str, int] = {}
    digests: dict[str, str | None] = {}
    features: str | None = None
    device: str | None = None
    versions: dict[str, str] = {}
    phases_seconds: dict[str, float] = {}
    ended_at: AwareDatetime | None = None


class Failure(Document):
    """Why a worker gave a fold up."""

    trial: int
    fold: int
    exit_code: int
    message: str
    failed_at: AwareDatetime | None = None


Trial = Annotated[int, Field(ge=0, lt=MOST_TRIALS)]
Figure = Annotated[float, Field(allow_inf_nan=False)]


class DroppedTrial(Part):
    """A trial that a round ended: its figure of merit on the folds so far, the best one's, and why in words."""

    trial: Trial
    figure: Figure | None
    best: Trial
    best_figure: Figure
    why: str


class Round(Document):
    """rounds/0001.json: what a search decided after a round, and on which histories; put once, if absent.

    trials: those that were in it. whole: earlier ones, trained on every fold, that they were compared with. folds:
    those it trained of each of `trials`. rule: the study's race; None: no race. figures: what decided, in the rule's
    own terms. kept, dropped: of `trials`. asked: hyperparameters of the trials that the search adds, numbered on from
    the last. histories and predictions: by fold, the digest of the values that were read. A round that only asks, since
    all trials of the one before were dropped, has no trials and no folds.
    """

    number: Annotated[int, Field(ge=1)]
    trials: tuple[Trial, ...]
    whole: tuple[Trial, ...] = ()
    folds: tuple[Annotated[int, Field(ge=0, lt=MOST_FOLDS)], ...]
    rule: Facts | None = None
    figures: dict[int, Figure | None]
    kept: tuple[Trial, ...]
    dropped: tuple[DroppedTrial, ...] = ()
    asked: tuple[dict[str, bool | int | float | str], ...] = ()
    histories: dict[str, Sha256]
    predictions: dict[str, Sha256] = {}
    decided_at: AwareDatetime | None = None
    versions: Facts = {}

    @model_validator(mode="after")
    def _adds_up(self) -> "Round":
        if len(set(self.trials)) < len(self.trials):
            raise ValueError("trials: expected every trial once")
        if sorted([*self.kept, *(one.trial for one in self.dropped)]) != sorted(set(self.trials)):
            raise ValueError("kept: with those dropped, expected every trial of the round exactly once")
        if self.figures.keys() != {*self.trials, *self.whole}:
            raise ValueError("figures: expected one for each trial that was compared")
        return self


class Submission(Document):
    """When a run was submitted, by which rustk, to what. details: the backend's own (namespace, image, ...)."""

    submitted_at: AwareDatetime
    rustk: str
    backend: str
    folds: int  # that this submission set out to train
    details: Facts = {}


class WeightsEntry(Document):
    """One file of backbone weights: how it is called, what it is for, and what it must hash to."""

    name: str
    architecture: str
    file: str  # its name where it came from
    suffix: Literal[".h5", ".keras"]
    bytes: Count
    sha256: Sha256


class Opening(Document):
    """One look at a test split: the `number`-th of its dataset, from 1. why: it was opened again.

    dataset: under which name; as it is read, that of the folder it lies in.
    """

    dataset: str | None = None
    number: Annotated[int, Field(ge=1)]
    run: str
    trial: int
    epochs: int
    dataset_digest: str
    opened: AwareDatetime
    why: str | None = None
