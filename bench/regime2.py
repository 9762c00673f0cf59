"""Regime II at full size: rustk against the thesis's way, a plain fit on cached features, and what the machine can do.

    python bench/regime2.py               # the whole grid: half an hour or more on 2 cores
    python bench/regime2.py --trials 1    # one trial of 32, extrapolated: most of it fills the feature cache
    python bench/regime2.py --steps       # only the training steps: each objective's, and without the fused Adam

Everything is measured in one run and printed with its unit. What was measured on a sample and extrapolated says so.
"""

import argparse
import itertools
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from rustk.backends.local.pool import run_folds
from rustk.backends.local.worker import serve_command
from rustk.datasets.phantom.cohort import plan_cohort
from rustk.datasets.phantom.drawing import generate
from rustk.datasets.records import Sample, write_dataset
from rustk.planning.plan import make_plan
from rustk.planning.study import study_from_fields
from rustk.store import Store, open_store
from rustk.store.datasets import read_dataset, read_index
from rustk.store.runs import publish_plan
from rustk.training import models
from rustk.training.loop import Trainer, TrainingTask
from rustk.training.objectives import find_objective
from rustk.training.optimizer import FusedAdam
from rustk.training.sources import FeatureSource
from rustk.vocabulary.instrument import load_instrument
from rustk.vocabulary.kinds import kinds

DEVELOP, SIDE = 2490, 299
TRIALS, FOLDS, EPOCHS, BATCH = 32, 6, 20, 1600
HEAD = (1024, 512, 256)
FEATURES = 2048
INSTRUMENT = load_instrument("mrust")
LABELS = len(INSTRUMENT.labels)


def main() -> None:
    options = _parse()
    if options.steps:
        _compare_steps(options.images)
        return
    workers = options.workers
    print(f"{workers} worker processes of 1 thread each; {options.images} images of {options.side}x{options.side}")
    rates = _in_processes(workers, "matmul"), _in_processes(workers, "forward", options.side)
    matmul, forward = sum(rates[0]), sum(rates[1])
    print(f"matrix products    {matmul / 1e9:8.1f} GFLOP/s, all workers at once")
    print(f"backbone forwards  {forward:8.2f} images/s, all workers at once (frozen InceptionV3, batches of 32)")

    train = options.images - options.images // FOLDS
    validation = options.images // FOLDS
    epochs_of_folds = TRIALS * FOLDS * EPOCHS
    head_flops = epochs_of_folds * (train * _train_flops() + validation * _forward_flops())
    head_limit = head_flops / matmul
    listing_2 = epochs_of_folds * options.images / forward + head_limit
    limit = 4 * options.images / forward + head_limit
    fit_fold = _measure_fit(train, validation, options.fit_epochs)
    plain_fit = 4 * options.images / forward + TRIALS * FOLDS * fit_fold / workers
    features_seconds, folds_seconds = _measure_rustk(options)
    rustk = features_seconds + folds_seconds

    cut = options.trials * FOLDS < TRIALS * FOLDS or options.folds < FOLDS
    print(f"\nRegime II: {TRIALS} trials x {FOLDS} folds x {EPOCHS} epochs     seconds   of the limit")
    for name, seconds, how in (
        ("Listing 2's way: forward every image every epoch", listing_2, "extrapolated from the forwards above"),
        ("plain fit on cached features", plain_fit, f"extrapolated from {options.fit_epochs} epochs in one process"),
        ("rustk", rustk, "measured" if not cut else f"from {options.trials} trial(s) x {options.folds} fold(s)"),
        ("limit: 4 forwards an image, and the head's products", limit, "computed from the rates above"),
    ):
        print(f"{name:52s} {seconds:10.0f}   {limit / seconds:8.1%}   ({how})")
    print(
        f"\nrustk reaches {limit / rustk:.0%} of the limit; it is {listing_2 / rustk:.0f} times as fast as Listing 2's"
    )
    print(
        f"way (the limit: {listing_2 / limit:.0f} times), and {plain_fit / rustk:.1f} times as fast as the plain fit."
    )
    print(f"Of rustk's time: features {features_seconds:.0f} s (their limit {4 * options.images / forward:.0f} s),")
    print(f"folds {folds_seconds:.0f} s (their limit {head_limit:.0f} s).")


def _forward_flops() -> float:
    widths = (FEATURES, *HEAD, LABELS)
    return sum(2 * a * b for a, b in itertools.pairwise(widths))


def _train_flops() -> float:
    """Forward, gradients of weights, and gradients of inputs but for the first layer's, which nobody needs."""
    return 3 * _forward_flops() - 2 * FEATURES * HEAD[0]


def _in_processes(workers: int, what: str, *arguments: int) -> list[float]:
    """The same measurement in as many processes at once as there are workers: they share caches and memory."""
    command = [sys.executable, __file__, "--rate", what, *map(str, arguments)]
    with ThreadPoolExecutor(workers) as pool:
        runs = pool.map(lambda _: subprocess.run(command, capture_output=True, check=True, text=True), range(workers))
        return [float(run.stdout.splitlines()[-1]) for run in runs]


def _print_rate(what: str, side: int) -> None:
    if what == "matmul":
        a, b = (
            tf.random.stateless_normal((BATCH, FEATURES), (1, 2)),
            tf.random.stateless_normal((FEATURES, 1024), (3, 4)),
        )
        product = tf.function(lambda: tf.matmul(a, b))
        work = 2 * BATCH * FEATURES * 1024
    else:
        backbone = keras.applications.InceptionV3(include_top=False, weights=None, input_shape=(side, side, 3))
        images = tf.random.stateless_uniform((32, side, side, 3), (1, 2), -1, 1)
        product = tf.function(lambda: backbone(images, training=False))
        work = 32
    product()
    rounds, started = 0, time.perf_counter()
    while time.perf_counter() - started < 10 or rounds < 2:
        product().numpy()
        rounds += 1
    print(work * rounds / (time.perf_counter() - started))


def _measure_fit(train: int, validation: int, epochs: int) -> float:
    """Seconds of one fold by a fresh model, compile and fit on cached features, in one process."""
    generator = np.random.default_rng(0)
    features = generator.random((train + validation, FEATURES), np.float32)
    labels = (generator.random((train + validation, LABELS)) < 0.3).astype(np.float32)
    started = time.perf_counter()
    logits = models.build_head(FEATURES, HEAD, 0.2, find_objective("onehot", INSTRUMENT).outputs, seed=0)
    head = keras.Model(logits.input, keras.layers.Activation("sigmoid")(logits.output))
    auroc = keras.metrics.AUC(multi_label=True, num_labels=LABELS)
    f1 = keras.metrics.F1Score(average="macro", threshold=0.5)
    metrics = [auroc, keras.metrics.Precision(), keras.metrics.Recall(), f1]
    head.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy", metrics=metrics)
    data = (features[:train], labels[:train]), (features[train:], labels[train:])
    head.fit(*data[0], batch_size=BATCH, epochs=1, validation_data=data[1], verbose=0)
    first = time.perf_counter()
    head.fit(*data[0], batch_size=BATCH, epochs=epochs, validation_data=data[1], verbose=0)
    an_epoch = (time.perf_counter() - first) / epochs
    return first - started + (EPOCHS - 1) * an_epoch


class KerasAdam(FusedAdam):
    """Keras's own update, with the epsilon that can change."""

    def apply_fused(self, gradients: Sequence[tf.Tensor], weights: Sequence[Any]) -> None:
        self.epsilon = self._epsilon_variable
        self.apply(gradients, weights)


def _compare_steps(images: int, rounds: int = 8) -> None:
    """CPU seconds of an epoch by objective and optimizer, in turn, as ratios to onehot with the fused kernel.

    The medians of `rounds` epochs each; what else the machine does weighs little on CPU time.
    """
    generator = np.random.default_rng(0)
    source = FeatureSource(generator.random((images, 4, FEATURES), np.float32))
    labels = np.zeros((images, LABELS), np.float32)
    for row, number in zip(labels, generator.integers(0, 8, images), strict=True):
        row[[number % 2, 2 + number]] = 1
    everything = np.arange(images, dtype=np.int32)
    task = TrainingTask(everything, everything[:0], rounds, BATCH, 1e-3, 1e-7, ("horizontal", "vertical"), 0)
    trainers = {}
    for name in kinds("training/objectives"):
        objective = find_objective(name, INSTRUMENT)
        head = models.build_head(FEATURES, HEAD, 0.2, objective.outputs, seed=0)
        trainers[name] = Trainer(head, source, labels, objective)
    objective = find_objective("onehot", INSTRUMENT)
    head = models.build_head(FEATURES, HEAD, 0.2, objective.outputs, seed=0)
    trainers["onehot, Keras's update"] = Trainer(head, source, labels, objective, adam=KerasAdam)
    seconds: dict[str, list[float]] = {name: [] for name in trainers}
    for epoch in range(rounds + 1):
        for name, trainer in trainers.items():
            if epoch == 0:
                trainer.restart(1e-3, 1e-7)
            started = time.process_time()
            trainer.train_epoch(task, epoch + 1)
            if epoch:  # the first one traces
                seconds[name].append(time.process_time() - started)
    medians = {name: float(np.median(times)) for name, times in seconds.items()}
    for name, median in medians.items():
        print(f"{name:28s} {median:7.3f} CPU s an epoch   {median / medians['onehot']:6.3f} of onehot's")


def _measure_rustk(options: argparse.Namespace) -> tuple[float, float]:
    """Seconds until the features are there, and seconds of all 192 folds after that, with all workers at work.

    Where only a cut of the grid is trained, what a worker takes to start is taken out before its folds are multiplied.
    """
    with tempfile.TemporaryDirectory(prefix="rustk-bench-") as folder:
        store = open_store(str(Path(folder) / "store"))
        _make_dataset(store, options)
        one_each = [(0, fold) for fold in range(min(options.workers, FOLDS))]
        # The first run, of one epoch, fills the cache; the second finds it full.
        filled = _run(store, _plan(store, "fill", 1, 1), one_each, options.workers, folder)
        warm = _run(store, _plan(store, "warm", 1, 1), one_each, options.workers, folder)
        tasks = [(trial, fold) for trial in range(options.trials) for fold in range(options.folds)]
        trained = _run(store, _plan(store, "grid", TRIALS, EPOCHS), tasks, options.workers, folder)
        if len(tasks) == TRIALS * FOLDS:
            return filled - warm, trained
        # Workers train side by side: the epochs that one of them has behind it.
        epochs = EPOCHS * math.ceil(len(tasks) / options.workers)
        an_epoch = (trained - warm) / (epochs - 1)
        return filled - warm, warm - an_epoch + an_epoch * EPOCHS * TRIALS * FOLDS / options.workers


def _make_dataset(store: Store, options: argparse.Namespace) -> None:
    plans = [plan for plan in plan_cohort(INSTRUMENT, round(options.images * 1.25), 0) if plan.split == "develop"]
    plans = plans[: options.images]
    drawn = generate(plans, INSTRUMENT, size=options.side, processes=options.workers)
    samples = (
        Sample(d.plan.sample_id, "develop", d.plan.patient, d.plan.visit, d.plan.view, d.plan.scores, d.png)
        for d in drawn
    )
    write_dataset(
        store,
        "bench",
        samples,
        instrument=INSTRUMENT,
        counts={"develop": len(plans)},
        image_shape=(options.side, options.side, 1),
    )


def _plan(store: Store, name: str, trials: int, epochs: int) -> str:
    grid = {"training.learning_rate": [0.1, 0.01, 0.001, 0.0001], "training.epsilon": [10.0**-n for n in range(1, 9)]}
    study = study_from_fields(
        {
            "name": "regime2",
            "model": {"weights": "calibrated-random", "head": HEAD, "dropout": 0.2},
            "training": {"epochs": epochs, "batch_size": BATCH},
            "folds": {"scheme": "shard", "k": FOLDS},
            "search": {"kind": "grid", "parameters": grid} if trials > 1 else None,
        },
        "bench",
    )
    dataset = read_dataset(store, "bench")
    plan = make_plan(
        study,
        read_index(store, dataset),
        dataset=dataset.name,
        dataset_digest=dataset.digest,
        instrument=INSTRUMENT,
        weights_sha256=None,
        name=name,
    )
    publish_plan(store, plan)
    return name


def _run(store: Store, run: str, tasks: list[tuple[int, int]], workers: int, folder: str) -> float:
    """Seconds that these folds take, from the start of the first worker to the end of the last."""
    started = time.perf_counter()
    failures = run_folds(
        serve_command(store.url, run),
        tasks,
        workers=workers,
        retries=0,
        log_dir=Path(folder),
        on_event=lambda event: None,
    )
    if failures:
        raise SystemExit(f"a fold failed: {failures[0]}")
    return time.perf_counter() - started


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--trials", type=int, default=TRIALS, help="how many of the 32 trials to train")
    parser.add_argument("--folds", type=int, default=FOLDS, help="how many folds of each")
    parser.add_argument("--images", type=int, default=DEVELOP)
    parser.add_argument("--side", type=int, default=SIDE)
    parser.add_argument("--steps", action="store_true", help="compare training steps, and nothing else")
    parser.add_argument("--fit-epochs", type=int, default=5, help="epochs of the plain fit that are measured")
    return parser.parse_args()


if __name__ == "__main__":
    # What a worker has; the plain fit, too, is to run in as many processes of one thread.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    if sys.argv[1:2] == ["--rate"]:
        _print_rate(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else SIDE)
    else:
        main()
