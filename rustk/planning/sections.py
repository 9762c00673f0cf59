"""The sections of a study that say what a fold trains with, and how folds are cut: their fields, types and defaults."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from rustk.vocabulary.checking import Strict, did_you_mean
from rustk.vocabulary.kinds import kinds
from rustk.vocabulary.names import NAME_RULE, is_name

MOST_FOLDS = 1000
_MOST_BLOCKS = 1000
# What is smaller is 0, or nearly so, in the 32 bits that a model is trained in.
_LEAST_RATE = 1e-37

RANDOM = "random"
# Random weights made to be frozen: features that a head can learn from (rustk/training/calibrated_random.py).
CALIBRATED_RANDOM = "calibrated-random"
# What `model.weights` may be without a file in the store: each training draws them.
WEIGHTLESS = (RANDOM, CALIBRATED_RANDOM)

# Fields of `training` that alter images as no cached feature shows.
ALTERATIONS = ("rotation_degrees", "shift", "contrast")


class Model(Strict):
    """A backbone, global pooling (or flattening), a head of dense layers, and what the objective makes of its end."""

    architecture: str = Field(
        "inception_v3", max_length=200, description="a backbone of rustk's, or package.module:function of your own"
    )
    weights: str = Field(
        "imagenet",
        description="random, calibrated-random (for a frozen InceptionV3), or the name of weights in the store",
    )
    trainable: bool | Annotated[int, Field(strict=True, ge=1, le=_MOST_BLOCKS)] = Field(
        False, description="whether the backbone is trained, or frozen; a number: its last so many blocks are trained"
    )
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

    @field_validator("trainable", mode="before")
    @classmethod
    def _whether_or_how_much(cls, value: object) -> object:
        if not isinstance(value, bool) and not (isinstance(value, int) and 1 <= value <= _MOST_BLOCKS):
            raise ValueError(
                f"expected true, false, or how many of the backbone's last blocks are trained, 1 to {_MOST_BLOCKS}"
            )
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
            raise ValueError(f"expected a name of {NAME_RULE} (see `rustk weights list`)")
        return value


class Training(Strict):
    """Adam on the objective's loss."""

    epochs: int = Field(20, strict=True, ge=1, le=10_000, description="how often all training images are seen")
    batch_size: int = Field(128, strict=True, ge=1, le=1_000_000, description="images a step")
    learning_rate: float = Field(1e-3, strict=True, ge=_LEAST_RATE, le=1e6, description="of Adam")
    epsilon: float = Field(1e-7, strict=True, ge=_LEAST_RATE, le=1e6, description="of Adam")
    flips: tuple[Literal["horizontal", "vertical"], ...] = Field(
        ("horizontal", "vertical"), description="each drawn for half of the training images"
    )
    features: Literal["cached", "off"] = Field("cached", description="of a frozen backbone; off trains through it")
    head_epochs: int = Field(
        0, strict=True, ge=0, le=10_000, description="of the epochs, in how many the head alone is trained at first"
    )
    backbone_rate: float = Field(
        1.0, strict=True, gt=0.0, le=1.0, description="the backbone's learning rate as a share of learning_rate"
    )
    rotation_degrees: float = Field(
        0.0, strict=True, ge=0.0, le=180.0, description="how far training images are turned at most, either way"
    )
    shift: float = Field(
        0.0, strict=True, ge=0.0, le=0.5, description="how far they are moved at most, as a share of their sides"
    )
    contrast: float = Field(
        0.0, strict=True, ge=0.0, lt=1.0, description="how much their contrast changes at most, as a share of it"
    )
    label_smoothing: float = Field(
        0.0, strict=True, ge=0.0, lt=1.0, description="which share of a target is spread over all its values"
    )
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="balanced: a score weighs the more, the rarer it is among the training images"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="bfloat16: of what layers compute, weights staying float32; for GPUs"
    )
    xla: bool = Field(False, strict=True, description="whether XLA compiles the training steps; for GPUs")

    @field_validator("flips")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("expected each flip at most once")
        return value

    @property
    def alters_images(self) -> bool:
        """Whether training images are altered in other ways than by flips."""
        return any(getattr(self, name) > 0 for name in ALTERATIONS)


class Folds(Strict):
    """`patient` keeps a patient's images in one fold; `shard` puts image i into fold i mod k, as the thesis did."""

    scheme: Literal["patient", "shard"] = Field("patient", description="what is kept together")
    k: int = Field(6, strict=True, ge=2, le=MOST_FOLDS, description="how many folds")
    seed: int = Field(0, strict=True, ge=0, lt=2**32, description="of the patient scheme's shuffle")


def is_import_path(text: str) -> bool:
    """Whether `text` names a function as package.module:function."""
    module, separator, function = text.partition(":")
    return bool(separator) and all(part.isidentifier() for part in [*module.split("."), function])
