"""Do heat maps lie where the scores are? Of a phantom it is known: scores differ near the fracture and nowhere else.

    rustk submit STUDY --dataset phantom ... && rustk final RUN
    python bench/heat_maps.py RUN --store STORE

Prints which share of a map lies within 15 % of the image's side of the fracture's row, of the final model, of its
control (the head that was trained on shuffled scores) and of a level map, and the difference of the first two with an
interval by bootstrap over patients. Only for a run on mRUST's phantom data.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from rustk.datasets.phantom.cohort import patient_stream, plan_cohort
from rustk.datasets.phantom.tibia import _anatomy
from rustk.datasets.reading import open_dataset, read_split
from rustk.store import open_store
from rustk.training.grad_cam import enlarge
from rustk.training.predict import FinalModel

NEAR = 0.15
RESAMPLES = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--store", required=True)
    options = parser.parse_args()
    store = open_store(options.store)
    model = FinalModel(store, options.run)
    data = model.card.data
    dataset = open_dataset(store, data.dataset, data.digest)
    seed = dataset.source["seed"]
    plans = {plan.sample_id: plan for plan in plan_cohort(dataset.instrument, dataset.source["images"], seed)}
    test = read_split(store, dataset, "test")
    explainer = model.explainer()
    rows, agreements = [], []
    for image, sample_id, said in zip(test.images, test.sample_ids, model.predict(test.images), strict=True):
        plan = plans[sample_id]
        scores = {site: score.score for site, score in model.read_scores(said, plan.view).sites.items()}
        fracture = _anatomy(patient_stream(seed, plan.patient_number)).fracture_height
        near = np.abs(np.linspace(-0.5, 0.5, image.shape[0]) - fracture) < NEAR
        for found in explainer.explain(image[None], [scores])[0].values():
            maps = [enlarge(map_, image.shape) for map_ in (found.map, found.control) if map_ is not None]
            if len(maps) == 2 and all(map_.sum() > 0 for map_ in maps):
                rows.append((plan.patient_number, *(map_[near].sum() / map_.sum() for map_ in maps), near.mean()))
            agreements.append(np.nan if found.agreement is None else found.agreement)
    table = np.array(rows)
    lead = table[:, 1] - table[:, 2]
    of_patient = np.array([lead[table[:, 0] == who].mean() for who in np.unique(table[:, 0])])
    drawn = np.random.default_rng(0).choice(of_patient, (RESAMPLES, len(of_patient))).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    shares = table[:, 1:].mean(axis=0)
    print(f"{len(table)} maps of {len(of_patient)} patients, share near the fracture:")
    print(f"  model {shares[0]:.3f}, shuffled scores {shares[1]:.3f}, level {shares[2]:.3f}")
    print(f"  model - shuffled, mean over patients {of_patient.mean():.3f}, 95 % interval {low:.3f} to {high:.3f}")
    quartiles = np.nanpercentile(agreements, [25, 50, 75])
    print("rank correlation of the two maps, quartiles: " + ", ".join(f"{value:.2f}" for value in quartiles))


if __name__ == "__main__":
    main()
