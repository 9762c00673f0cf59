"""One fold from the store to the store: read what was planned, train, write predictions and, last, the history."""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from rustk.datasets.weights import RANDOM
from rustk.planning.study import Study
from rustk.store import Store
from rustk.store.runs import load_plan
from rustk.training import models
from rustk.training.checkpoints import encode_checkpoint, read_checkpoint
from rustk.training.device import container_image, device_name, versions
from rustk.training.features import FeatureCache, backbone_digest, start_of
from rustk.training.loop import COMPLETED, FoldProgress, FoldTask, Trainer, train_fold
from rustk.training.reading import encode_labels, open_dataset, read_split, read_split_index, shards_of
from rustk.training.seeds import derive_seed, fold_seed
from rustk.training.sources import FeatureSource, ImageSource, Source
from rustk.training.weights import load_weights
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, BadStudy, RustkError
from rustk.vocabulary.labels import LABELS
from rustk.vocabulary.schemas import HISTORY, PREDICTIONS, encode_parquet, read_metadata, with_metadata

Event = dict[str, Any]
Report = Callable[[Event], None]


class RunWorker:
    """Trains folds of one run, one after the other, and keeps what they share: data, features and traced networks.

    `report` gets the events of the worker protocol: features, epoch and done. `start_seconds` is how long the process
    took to come here, which its first fold is charged with.
    """

    def __init__(self, store: Store, run: str, report: Report = lambda event: None, start_seconds: float = 0.0) -> None:
        self._store = store
        self.report = report
        self._phases: dict[str, float] = {"start": start_seconds}
        self.plan = load_plan(store, run)
        with self._phase("read"):
            self.dataset = open_dataset(store, self.plan.dataset["name"], self.plan.dataset["digest"])
            index = read_split_index(store, self.dataset, "develop")
            self._labels = encode_labels(index)
            self._sample_ids = index["sample_id"].to_pylist()
            self._fold_of = self._match_folds()
        self._backbone: keras.Model | None = None
        self._source: Source | None = None
        self._features_digest: str | None = None
        self._trainer: tuple[float, Trainer] | None = None  # with the dropout rate that its trace holds

    def run_fold(self, trial: int, fold: int) -> str:
        """Train one fold unless its history is in place; "completed" or "diverged".

        Raises BadStudy for a fold that was not planned, and BadData, BadStudy or StoreFailed where training can't begin
        or its results can't be kept.
        """
        key = names.history_key(self.plan.run, trial, fold)
        if self._store.exists(key):
            found = read_metadata(pq.read_schema(io.BytesIO(self._store.read(key))))
            return self._report_done(trial, fold, found.get("outcome", COMPLETED), found.get("diverged_epoch"))
        if trial not in range(len(self.plan.trials)) or fold not in range(self.plan.study.folds.k):
            raise BadStudy(
                f"run {self.plan.run} has no trial {trial} fold {fold}: it was planned with "
                f"{len(self.plan.trials)} trials of {self.plan.study.folds.k} folds"
            )
        study = self.plan.study.with_hyperparameters(self.plan.trials[trial])
        try:
            progress, trainer, task = self._train(study, trial, fold)
        except tf.errors.ResourceExhaustedError as error:
            raise RustkError(
                f"trial {trial} fold {fold}: {device_name()} has too little memory for batches of "
                f"{study.training.batch_size}: {error.message.splitlines()[0]}"
            ) from error
        self._write(study, trial, fold, progress, trainer, task)
        return self._report_done(trial, fold, progress.outcome, progress.diverged_epoch)

    def prepare(self, study: Study, seed: int, start: float = 0.0) -> Trainer:
        """The trainer of one trial's study, on all develop images, its network and optimizer fresh from `seed`.

        `start` says where among the shards this worker begins, if features are missing.
        """
        source = self._source_for(study, start)
        with self._phase("build"):
            trainer = self._trainer_for(study, source)
            self._draw_anew(study, trainer, seed)
        return trainer

    def extractor_of(self, study: Study) -> keras.Model:
        """The backbone with its pooling, with the weights it has now."""
        return models.build_extractor(self._backbone_of(study), study.model.pooling)

    def _train(self, study: Study, trial: int, fold: int) -> tuple[FoldProgress, Trainer, FoldTask]:
        seed = fold_seed(study.seed, trial, fold)
        trainer = self.prepare(study, seed, start_of(trial, fold, study.folds.k))
        numbers = np.arange(len(trainer.labels), dtype=np.int32)
        task = FoldTask(
            train=numbers[self._fold_of != fold],
            validation=numbers[self._fold_of == fold],
            epochs=study.training.epochs,
            batch_size=study.training.batch_size,
            learning_rate=study.training.learning_rate,
            epsilon=study.training.epsilon,
            flips=study.training.flips,
            seed=seed,
        )
        progress = FoldProgress()
        checkpointed = study.model.trainable
        key = names.checkpoint_key(self.plan.run, trial, fold)
        identity = {"run": self.plan.run, "trial": trial, "fold": fold, "seed": seed, **self.plan.dataset}
        if checkpointed:
            progress = read_checkpoint(self._store, key, trainer, identity) or progress

        def after_epoch(now: FoldProgress) -> None:
            if checkpointed and len(now.rows) < task.epochs:
                self._store.write(key, encode_checkpoint(trainer, now, identity))
            last = now.rows[-1]
            of_fold = {"trial": trial, "fold": fold, "epoch": len(now.rows), "epochs": task.epochs}
            self.report({"event": "epoch", **of_fold, "val_auroc": last["val_auroc"], "loss": last["loss"]})

        return train_fold(trainer, task, progress, after_epoch), trainer, task

    def _match_folds(self) -> np.ndarray:
        """The planned fold of each develop image, in the order of the shards."""
        planned = dict(zip(self.plan.sample_ids, self.plan.fold_of.tolist(), strict=True))
        if set(planned) != set(self._sample_ids):
            odd = sorted(set(planned) ^ set(self._sample_ids))[0]
            raise BadData(
                f"{names.folds_key(self.plan.run)} and the dataset {self.plan.dataset['name']} do not list the same "
                f"develop images: {odd} is in one of them only"
            )
        return np.array([planned[sample_id] for sample_id in self._sample_ids])

    def _source_for(self, study: Study, start: float) -> Source:
        """The data of the run, resident from the first fold on."""
        if self._source is None:
            if study.model.trainable or study.training.features == "off":
                with self._phase("read"):
                    self._source = ImageSource(read_split(self._store, self.dataset, "develop").images)
            else:
                with self._phase("features"):
                    self._source = FeatureSource(self._load_features(study, start))
        return self._source

    def _load_features(self, study: Study, start: float) -> np.ndarray:
        own = models.is_own(study.model.architecture)
        digest = backbone_digest(
            study.model,
            self.dataset["image_shape"],
            self.plan.weights["sha256"],
            study.seed,
            self._backbone_of(study) if own else None,
        )
        self._features_digest = digest
        cache = FeatureCache(
            self._store,
            self.dataset,
            digest,
            lambda: self.extractor_of(study),
        )
        shards = shards_of(self.dataset, "develop")
        return cache.load(
            shards,
            start=start,
            progress=lambda done, total: self.report({"event": "features", "done": done, "total": total}),
        )

    def _backbone_of(self, study: Study) -> keras.Model:
        """The backbone with the weights that every fold begins with, built once. The study's seed draws random ones."""
        if self._backbone is None:
            seed = derive_seed("backbone", study.seed)
            self._backbone = models.build_backbone(study.model, self._image_shape, seed)
            if self.plan.weights["name"] != RANDOM:
                load_weights(
                    self._backbone, self._store, str(self.plan.weights["name"]), str(self.plan.weights["sha256"])
                )
            self._initial_weights = self._backbone.get_weights()
        return self._backbone

    @property
    def _image_shape(self) -> models.ImageShape:
        height, width, channels = self.dataset["image_shape"]
        return height, width, channels

    def _trainer_for(self, study: Study, source: Source) -> Trainer:
        """A traced network for this trial: the last trial's, unless its dropout, a constant of the trace, differs."""
        if self._trainer is None or self._trainer[0] != study.model.dropout:
            extractor = None
            if isinstance(source, FeatureSource):
                width = source.width
            else:
                extractor = self.extractor_of(study)
                width = extractor.output.shape[-1]
            head = models.build_head(width, study.model.head, study.model.dropout, seed=0)
            trainer = Trainer(head, source, self._labels, extractor=extractor, trainable=study.model.trainable)
            self._trainer = (study.model.dropout, trainer)
        return self._trainer[1]

    def _draw_anew(self, study: Study, trainer: Trainer, seed: int) -> None:
        """A fresh network and a fresh optimizer, without tracing anew."""
        models.draw_weights(trainer.head, derive_seed("head", seed))
        trainer.optimizer.restart(study.training.learning_rate, study.training.epsilon)
        if not study.model.trainable or trainer.extractor is None:
            return
        backbone = self._backbone_of(study)
        if self.plan.weights["name"] != RANDOM:
            backbone.set_weights(self._initial_weights)
        else:
            models.redraw_backbone(backbone, study.model, self._image_shape, derive_seed("backbone", seed))

    def _write(
        self, study: Study, trial: int, fold: int, progress: FoldProgress, trainer: Trainer, task: FoldTask
    ) -> None:
        run = self.plan.run
        with self._phase("write"):
            predictions = _predictions_table(progress, [self._sample_ids[number] for number in task.validation])
            self._store.write(names.prediction_key(run, trial, fold), encode_parquet(predictions))
        metadata = {
            "schema": 1,
            "run": run,
            "study": study.name,
            "trial": trial,
            "fold": fold,
            "outcome": progress.outcome,
            "diverged_epoch": progress.diverged_epoch,
            "hyperparameters": {**study.hyperparameters, "epochs": study.training.epochs},
            "in_effect": trainer.in_effect(progress),
            "samples": {"train": len(task.train), "validation": len(task.validation)},
            "seeds": {"study": study.seed, "fold": task.seed},
            "digests": {
                "dataset": self.dataset["digest"],
                "weights": self.plan.weights["sha256"],
                "features": self._features_digest,
                "image": container_image(),
            },
            "features": "cached" if trainer.extractor is None else "off",
            "device": device_name(),
            "versions": versions(),
            "phases_seconds": {**_ZERO_PHASES, **self._phases, **progress.phases_seconds},
        }
        self._phases = {}
        history = pa.Table.from_pylist(progress.rows, schema=with_metadata(HISTORY, metadata))
        # Last, and in one put: from here on the fold is done.
        self._store.write(names.history_key(run, trial, fold), encode_parquet(history))
        self._store.delete(names.checkpoint_key(run, trial, fold))
        self._store.delete(names.failure_key(run, trial, fold))

    def _report_done(self, trial: int, fold: int, outcome: str, diverged_epoch: int | None) -> str:
        event = {"event": "done", "trial": trial, "fold": fold, "outcome": outcome, "diverged_epoch": diverged_epoch}
        self.report(event)
        return outcome

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        """Count the time of a block towards the next fold that is written."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._phases[name] = self._phases.get(name, 0.0) + time.perf_counter() - started


_ZERO_PHASES = dict.fromkeys(("start", "read", "features", "build", "train", "validate", "metrics", "write"), 0.0)


def _predictions_table(progress: FoldProgress, sample_ids: list[str]) -> pa.Table:
    """Every epoch's probabilities of the validation images, epoch by epoch."""
    epochs = len(progress.predictions)
    stacked = np.concatenate([np.zeros((0, len(LABELS)), np.float32), *progress.predictions])
    columns = {
        "epoch": np.repeat(np.arange(1, epochs + 1, dtype=np.int32), len(sample_ids)),
        "sample_id": pa.array(sample_ids * epochs, pa.string()),
        **{label: stacked[:, number] for number, label in enumerate(LABELS)},
    }
    return pa.table(columns, schema=PREDICTIONS)
