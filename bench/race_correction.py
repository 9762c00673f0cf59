"""How much of the optimism of "race the trials, take the best" BBC-CV takes away, where the truth is known.

    python bench/race_correction.py [studies] [resamples]

Trials have a true figure each; a patient's contribution to it varies with sd 1 a trial, and the figure of a fold is the
mean over its 40 patients, so that a trial's figure over 6 folds varies with sd 0.065. Studies of 32 trials are raced by
halving, at least 4 kept, and corrected: not at all, by BBC-CV among the trials that are left, by BBC-CV that repeats
the race as far as there are predictions (what rustk does), and by one that had every trial's predictions (which a race
does not have). Printed is by how much each overstates the chosen trial, the mean over studies and its standard error.
"""

import sys

import numpy as np

from rustk.planning.races.halving import Race

TRIALS, FOLDS, PER_FOLD = 32, 6, 40
RULE = Race(keep=0.5, least=4)
SPREADS = (0.0, 0.05, 0.15)
WAYS = ("uncorrected", "among those left", "race repeated", "every prediction")


def fold_figures(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[trials, folds, R] of scores [trials, patients] under weights [patients, R]."""
    parts = [slice(fold * PER_FOLD, (fold + 1) * PER_FOLD) for fold in range(FOLDS)]
    return np.stack([scores[:, part] @ weights[part] / weights[part].sum(axis=0) for part in parts], axis=1)


def race(figures: np.ndarray, trained: np.ndarray) -> tuple[list[int], np.ndarray]:
    """(the trials kept to the end, folds trained of each) of figures [trials, folds]; a trial ends with its folds."""
    alive, rounds = list(range(len(figures))), np.full(len(figures), FOLDS)
    for seen in range(1, FOLDS):
        means = {trial: float(figures[trial, :seen].mean()) for trial in alive}
        kept = [trial for trial in RULE.keeps(alive, (), means) if trained[trial] > seen]
        rounds[[trial for trial in alive if trial not in kept]] = seen
        alive = kept
    return alive, rounds


def overstated(rng: np.random.Generator, spread: float, resamples: int) -> list[float]:
    truth = rng.normal(0, spread, TRIALS)
    patients = FOLDS * PER_FOLD
    scores = truth[:, None] + rng.normal(size=patients) + rng.normal(size=(TRIALS, patients))
    every = np.full(TRIALS, FOLDS)
    figures = fold_figures(scores, np.ones((patients, 1)))[:, :, 0]
    left, trained = race(figures, every)
    best = max(left, key=lambda trial: figures[trial].mean())
    weights = rng.multinomial(patients, np.full(patients, 1 / patients), resamples).T.astype(float)
    inside, outside = fold_figures(scores, weights), fold_figures(scores, (weights == 0).astype(float))
    judged = np.empty((3, resamples))
    for column in range(resamples):
        choices = (left, race(inside[:, :, column], trained)[0] or left, race(inside[:, :, column], every)[0])
        for way, trials in enumerate(choices):
            winner = max(trials, key=lambda trial: inside[trial, :, column].mean())
            judged[way, column] = outside[winner, :, column].mean()
    return [float(figures[best].mean() - truth[best]), *(judged.mean(axis=1) - truth[best])]


def main(studies: int = 100, resamples: int = 100) -> None:
    rng = np.random.default_rng(0)
    print(f"{'trials differ by (sd)':22}" + "".join(f"{way:>20}" for way in WAYS))
    for spread in SPREADS:
        found = np.array([overstated(rng, spread, resamples) for _ in range(studies)])
        told = zip(found.mean(axis=0), found.std(axis=0) / studies**0.5, strict=True)
        print(f"{spread:<22}" + "".join(f"{f'{mean:+.3f} ± {error:.3f}':>20}" for mean, error in told))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
