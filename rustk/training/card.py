"""The card of a final model: what it is, what it was made from, how it did, and what it is not for."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rustk.datasets.reading import encode_labels
from rustk.metrics.thresholded import epoch_metrics
from rustk.planning.plan import Plan
from rustk.planning.study import Study
from rustk.store.card import CardData, CardFigure, CardTest, Chosen, ModelCard
from rustk.store.documents import DatasetDocument, NamedWeights
from rustk.training.device import container_image, device_name, versions
from rustk.vocabulary.instrument import Instrument


def describe_model(
    plan: Plan,
    study: Study,
    dataset: DatasetDocument,
    develop: pa.Table,
    *,
    chosen: Chosen,
    seed: int,
    in_effect: Mapping[str, Any],
    model_sha256: str,
    shuffled_head_sha256: str | None,
) -> ModelCard:
    """The card before the test. `develop`: the rows of the index that the model was trained on."""
    return ModelCard(
        run=plan.run,
        study=study.name,
        instrument=plan.instrument,
        chosen=chosen,
        hyperparameters={**plan.hyperparameters_of(chosen.trial), "epochs": chosen.epochs},
        in_effect=dict(in_effect),
        model=study.model.model_dump(mode="json"),
        model_sha256=model_sha256,
        shuffled_head_sha256=shuffled_head_sha256,
        weights=NamedWeights(name=study.model.weights, sha256=plan.weights_sha256),
        data=CardData(
            dataset=dataset.name,
            digest=dataset.digest,
            image_shape=dataset.image_shape,
            preparation=dataset.preparation,
            counts=dataset.counts,
            patients=dataset.patients,
        ),
        sites_by_view=sites_by_view(plan.instrument, develop),
        seeds={"study": study.seed, "final": seed},
        image=container_image(),
        device=device_name(),
        versions=versions(),
        limits=limits_of(plan.instrument, drawn_and_frozen=plan.weights_sha256 is None and not study.model.trainable),
    )


def limits_of(instrument: Instrument, *, drawn_and_frozen: bool) -> tuple[str, ...]:
    """What a model is not for. drawn_and_frozen: its backbone has weights that nothing trained."""
    sites = instrument.words.sites
    alone = f"It scores one radiograph at a time, and only the {sites} that its view shows."
    limits = (
        "Not a medical device, and not for clinical use: nobody has shown that decisions made with it help patients.",
        "Its figures hold for images and patients like those of the dataset, prepared in the same way, and for no "
        "others.",
        alone if instrument.view_labels else "It scores one radiograph at a time.",
        "Its probabilities were not recalibrated; see the calibration curves of the run's report.",
        "A heat map tells where in an image an answer comes from, as coarsely as the backbone's feature map is; not "
        "why, nor whether the answer is right. One like that of shuffled scores tells nothing of scores.",
    )
    if drawn_and_frozen:
        return (*limits, "Its backbone has random weights: it shows that the software works, and nothing else.")
    return limits


def sites_by_view(instrument: Instrument, index: pa.Table) -> dict[str, tuple[str, ...]]:
    """Which sites are ever scored on images of a view: the data say it, not anatomy."""
    views = np.array(index["view"].to_pylist(), object)
    scored = {
        site: np.array([score is not None for score in index[site].to_pylist()], bool) for site in instrument.site_names
    }
    return {
        view: tuple(site for site in instrument.site_names if scored[site][views == view].any())
        for view in instrument.views
    }


def describe_test(
    instrument: Instrument, index: pa.Table, probabilities: npt.NDArray[np.float32], loss: float, seed: int
) -> CardTest:
    """The figures of the test split: those of a fold's epoch, and those of the report with intervals over patients.

    index: the split's rows in the order of `probabilities` [images, labels]. loss: the objective's, over them.
    """
    # pandas takes a second to import, and training does without.
    from rustk.report.data.cohort import split_cohort
    from rustk.report.evaluation.evaluate import evaluate, resamples_of

    cohort = split_cohort(index.to_pandas(), index["split"][0].as_py(), instrument)
    evaluation = evaluate(cohort, probabilities, resamples_of(cohort, seed))
    return CardTest(
        images=evaluation.images,
        patients=evaluation.patients,
        visits=evaluation.visits,
        epoch={"loss": loss, **epoch_metrics(encode_labels(index, instrument), probabilities)},
        figures={
            key: CardFigure(
                title=figure.title,
                value=_number(figure.interval.value),
                low=_number(figure.interval.low),
                high=_number(figure.interval.high),
                confidence=figure.interval.confidence,
                better=figure.better,
                chance=figure.chance,
                undefined=figure.undefined,
                note=figure.note,
            )
            for key, figure in evaluation.figures.items()
        },
    )


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return float(value) if np.isfinite(value) else None
