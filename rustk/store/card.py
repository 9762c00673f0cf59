"""What a store holds of a final model, typed: its card, and the examples that its report shows."""

from typing import Literal

from pydantic import AwareDatetime, Field, field_validator, model_validator

from rustk.store.documents import Document, Facts, ImageShape, NamedWeights, Part, Sha256, check_image_size
from rustk.vocabulary.checking import clip, did_you_mean
from rustk.vocabulary.instrument import Instrument
from rustk.vocabulary.names import is_folder


class Chosen(Part):
    """What a final model is trained with, and what said so.

    val_auroc: the mean over folds that it was chosen for; None where somebody chose it otherwise.
    """

    trial: int
    epochs: int
    by: str
    val_auroc: float | None = None


class CardData(Part):
    """The dataset that a final model was trained on. preparation: as dataset.json has it."""

    dataset: str
    digest: str
    image_shape: ImageShape
    preparation: Facts = Field(default_factory=dict)
    counts: dict[str, int] = Field(default_factory=dict)
    patients: dict[str, int | None] = Field(default_factory=dict)


class CardFigure(Part):
    """One figure of the sealed test with its interval; None where it is undefined."""

    title: str
    value: float | None
    low: float | None
    high: float | None
    confidence: float
    better: str
    chance: float | None = None
    undefined: int = 0
    note: str = ""


class CardTest(Part):
    """How a final model did on the sealed test split. epoch: the metrics that a fold's epoch has."""

    images: int
    patients: int
    visits: int
    epoch: dict[str, float]
    figures: dict[str, CardFigure]


class CardSeal(Part):
    """The look that a test was: its number, when, why it was taken again, and how many there were by then."""

    opening: int
    opened: AwareDatetime
    why: str | None = None
    openings: int


class ModelCard(Document):
    """model/card.json: what a final model is, what it was made from, how it did, and what it is not for.

    sites_by_view: which sites the images of a view carry scores for. shuffled_head_sha256: of the control of its heat
    maps; None where there is none. Written once before the test, without `test` and `seal`, in memory only, and stored
    with them.
    """

    run: str
    study: str
    instrument: Instrument
    chosen: Chosen
    hyperparameters: Facts
    in_effect: Facts
    model: Facts
    model_sha256: Sha256
    shuffled_head_sha256: Sha256 | None = None
    weights: NamedWeights
    data: CardData
    sites_by_view: dict[str, tuple[str, ...]]
    seeds: dict[str, int]
    image: str | None = None
    device: str
    versions: dict[str, str]
    limits: tuple[str, ...]
    test: CardTest | None = None
    seal: CardSeal | None = None

    @model_validator(mode="after")
    def _of_its_instrument(self) -> "ModelCard":
        for view, sites in self.sites_by_view.items():
            for site in sites:
                if site not in self.instrument.site_names:
                    raise ValueError(
                        f"sites_by_view.{view}: {clip(site)}: {did_you_mean(site, self.instrument.site_names)}"
                    )
        check_image_size(self.data.preparation, self.data.image_shape, "data.")
        return self


class ExampleSite(Part):
    """One site of an example. truth: its score in the data. probabilities: of the site's scores, in their order.

    agreement: Spearman's rank correlation of the heat map and its control; None where there is none.
    """

    site: str
    truth: int | None
    score: int
    probabilities: tuple[float, ...]
    agreement: float | None = None


class Example(Part):
    """A picture of one test image with its heat maps. file: its name beside examples.json, a PNG."""

    kind: Literal["right", "wrong", "uncertain"]
    sample_id: str
    view: str
    file: str
    sha256: Sha256
    sites: tuple[ExampleSite, ...]

    @field_validator("file")
    @classmethod
    def _beside(cls, value: str) -> str:
        if not is_folder(value):
            raise ValueError("expected the name of a file beside examples.json")
        return value


class Examples(Document):
    """model/examples/examples.json: which test images are shown as examples of the final model, and why these.

    rule: how they were chosen, in words.
    """

    run: str
    model_sha256: Sha256
    rule: str
    examples: tuple[Example, ...]
