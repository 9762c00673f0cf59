"""1,000 resamples over patients of the AUROC of 60,000 predictions, against scikit-learn resample by resample.

python bench/bootstrap.py [--predictions 60000] [--resamples 1000]
"""

import argparse
import time

import numpy as np
from sklearn.metrics import roc_auc_score

from rustk.metrics.bootstrap import multiplicities, resampled_auroc
from rustk.vocabulary.instrument import load_instrument

_LABELS = len(load_instrument().labels)
_BY_SKLEARN = 3  # resamples, of which the rest is extrapolated


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictions", type=int, default=60_000)
    parser.add_argument("--resamples", type=int, default=1000)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    n, patients = options.predictions, options.predictions * 5 // 12
    truth = rng.random((n, _LABELS)) < 0.12
    scores, clusters = rng.random((n, _LABELS), dtype=np.float32), rng.integers(patients, size=n)

    began = time.perf_counter()
    weights = multiplicities(patients, options.resamples, seed=1)
    values = resampled_auroc(truth, scores, np.zeros(n, dtype=np.intp), clusters, weights)
    ours = time.perf_counter() - began

    began = time.perf_counter()
    for column in range(_BY_SKLEARN):
        counts = weights[clusters, column]
        expected = [roc_auc_score(truth[:, k], scores[:, k], sample_weight=counts) for k in range(_LABELS)]
        np.testing.assert_allclose(values[:, column], expected, atol=1e-6)
    theirs = (time.perf_counter() - began) / _BY_SKLEARN * options.resamples

    print(f"{options.resamples} resamples of {n} predictions of {_LABELS} labels, {patients} patients")
    print(f"rustk          {ours:8.1f} s")
    print(f"scikit-learn   {theirs:8.1f} s (extrapolated from {_BY_SKLEARN} resamples; the same values)")
    print(f"rustk is {theirs / ours:.0f} times as fast")


if __name__ == "__main__":
    main()
