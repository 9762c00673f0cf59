"""Examples of the sealed test: a few of its images with what the final model says of them, and its heat maps.

They are pictures of patients. They are made only where somebody asks for them, from the model and the test predictions
that are in the store: a model that was tested is not tested again, and the seal counts no further look.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rustk.datasets.reading import open_dataset, read_split
from rustk.store import Store
from rustk.store.card import Example, Examples, ExampleSite
from rustk.store.datasets import read_index
from rustk.store.documents import write_document
from rustk.training.grad_cam import SiteMap
from rustk.training.predict import FinalModel
from rustk.training.scores import ImageScores
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData
from rustk.vocabulary.parquet import read_parquet

Kind = Literal["right", "wrong", "uncertain"]

EACH = 3
_KINDS: tuple[Kind, ...] = ("right", "wrong", "uncertain")


@dataclass(frozen=True)
class Candidate:
    """A test image of which at least one score is known. truth: by site; None where it is unscored."""

    sample_id: str
    patient: str | None
    scores: ImageScores
    truth: dict[str, int | None]

    @property
    def error(self) -> float:
        """How far the scores are off, the mean over the sites that have one, in points."""
        return float(np.mean([abs(self.scores.sites[site].score - true) for site, true in self._known]))

    @property
    def sureness(self) -> float:
        """The probability of the given scores, the mean over the same sites."""
        sites = self.scores.sites
        return float(np.mean([sites[site].probabilities[sites[site].score] for site, _ in self._known]))

    @property
    def _known(self) -> list[tuple[str, int]]:
        return [(site, true) for site, true in self.truth.items() if true is not None]


def choose_examples(candidates: Sequence[Candidate], each: int = EACH) -> list[tuple[Kind, Candidate]]:
    """Right, wrong and uncertain ones, by the rule that `rule_of` words; a patient is shown once, and an image too."""
    orders = {
        "right": sorted((c for c in candidates if c.error == 0), key=lambda c: (-c.sureness, c.sample_id)),
        "wrong": sorted((c for c in candidates if c.error > 0), key=lambda c: (-c.error, -c.sureness, c.sample_id)),
        "uncertain": sorted(candidates, key=lambda c: (c.sureness, c.sample_id)),
    }
    chosen: list[tuple[Kind, Candidate]] = []
    shown: set[str] = set()
    for kind in _KINDS:
        found = 0
        for candidate in orders[kind]:
            who = candidate.patient or candidate.sample_id
            if found < each and who not in shown:
                shown.add(who)
                chosen.append((kind, candidate))
                found += 1
    return chosen


def rule_of(sites: str, each: int = EACH) -> str:
    """How examples are chosen, in words. sites: what the instrument calls them."""
    return (
        f"Chosen by rule, no patient twice, at most {each} of each kind. Right: all scored {sites} right, the surest "
        "first. Wrong: the furthest off, of equals the surest first. Uncertain: of the rest the least sure, right or "
        "wrong. How sure the model is of an image: the probability that it gives its own scores, the mean over the "
        f"scored {sites}."
    )


def make_examples(store: Store, run: str) -> Examples:
    """Choose, explain and draw examples of a run's final model, and write them beside it, the list of them last.

    Raises BadStudy where there is no final model, and BadData where store and model do not belong together.
    """
    # Matplotlib takes a while to import, and most final models are made without.
    from rustk.training.heat_maps import Heading, draw

    model = FinalModel(store, run)
    card = model.card
    dataset = open_dataset(store, card.data.dataset, card.data.digest)
    candidates = _candidates(store, run, model)
    chosen = choose_examples(candidates)
    test = read_split(store, dataset, "test")
    place = {sample_id: number for number, sample_id in enumerate(test.sample_ids)}
    delete_examples(store, run)
    explainer = model.explainer()
    examples = []
    for number, (kind, candidate) in enumerate(chosen, start=1):
        image = test.images[place[candidate.sample_id]]
        scores = {site: score.score for site, score in candidate.scores.sites.items()}
        maps = explainer.explain(image[None], [scores])[0]
        picture = draw(image, maps, Heading(f"{kind}, {candidate.scores.view}", _titles(candidate)))
        file = f"{number:02d}-{kind}.png"
        store.write(names.example_picture_key(run, file), picture)
        examples.append(_describe(kind, candidate, maps, file, picture))
    made = Examples(
        run=run,
        model_sha256=card.model_sha256,
        rule=rule_of(card.instrument.words.sites),
        examples=tuple(examples),
    )
    write_document(store, names.examples_key(run), made)
    return made


def delete_examples(store: Store, run: str) -> None:
    """Remove the pictures of a run, the list of them first."""
    store.delete(names.examples_key(run))
    for entry in store.list(names.examples_prefix(run)):
        store.delete(entry.key)


def _candidates(store: Store, run: str, model: FinalModel) -> list[Candidate]:
    card = model.card
    key = names.test_prediction_key(run)
    table = read_parquet(store.read(key), key).to_pydict()
    if missing := [name for name in ("sample_id", *card.instrument.labels) if name not in table]:
        raise BadData(f"{key} has no column {missing[0]}: make the final model again")
    said = {
        sample_id: np.array([table[label][row] for label in card.instrument.labels], np.float32)
        for row, sample_id in enumerate(table["sample_id"])
    }
    index = read_index(store, open_dataset(store, card.data.dataset, card.data.digest), "test")
    found = []
    for row in index.to_pylist():
        if row["sample_id"] not in said:
            raise BadData(f"{key} has nothing on the test image {row['sample_id']}: make the final model again")
        scores = model.read_scores(said[row["sample_id"]], row["view"])
        truth = {site: row[site] for site in scores.sites}
        if any(true is not None for true in truth.values()):
            found.append(Candidate(row["sample_id"], row["patient"], scores, truth))
    return found


def _titles(candidate: Candidate) -> dict[str, str]:
    """What stands above the map of each site."""
    titles = {}
    for site, score in candidate.scores.sites.items():
        true = candidate.truth[site]
        known = "unscored" if true is None else f"true {true}"
        titles[site] = f"{site}: {score.score} ({score.probabilities[score.score]:.0%}), {known}"
    return titles


def _describe(kind: Kind, candidate: Candidate, maps: dict[str, SiteMap], file: str, picture: bytes) -> Example:
    sites = tuple(
        ExampleSite(
            site=site,
            truth=candidate.truth[site],
            score=score.score,
            probabilities=tuple(score.probabilities.values()),
            agreement=maps[site].agreement,
        )
        for site, score in candidate.scores.sites.items()
    )
    sha256 = hashlib.sha256(picture).hexdigest()
    return Example(
        kind=kind, sample_id=candidate.sample_id, view=candidate.scores.view, file=file, sha256=sha256, sites=sites
    )
