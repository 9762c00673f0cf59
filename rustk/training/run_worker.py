"""What trains for one run: its data, its features and its traced networks, shared by all that this process trains.

A fold (fold.py) and the final model (final.py) differ in what they train on and where it goes; all else is here.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from rustk.datasets.reading import encode_labels, open_dataset, read_split, shards_of
from rustk.planning.sections import ALTERATIONS
from rustk.planning.study import Study
from rustk.store import Store
from rustk.store.datasets import read_index
from rustk.store.runs import load_plan
from rustk.training import models
from rustk.training.augmentation import augmentation_of
from rustk.training.backbones import find_backbone
from rustk.training.checkpoints import encode_checkpoint, read_checkpoint
from rustk.training.device import device_name
from rustk.training.features import FeatureCache, backbone_digest
from rustk.training.initial_weights import draw_weights
from rustk.training.loop import Extractor, Progress, Trainer, TrainingTask, train
from rustk.training.objectives import find_objective
from rustk.training.seeds import derive_seed
from rustk.training.sources import FeatureSource, ImageSource, Source
from rustk.training.weights import load_weights
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, BadStudy, RustkError

Event = dict[str, Any]
Report = Callable[[Event], None]

_ZERO_PHASES = dict.fromkeys(("start", "read", "features", "build", "train", "validate", "metrics", "write"), 0.0)


@dataclass(frozen=True)
class Training:
    """One training of a run: as what study says, on which develop images, and where it is kept between epochs.

    train, validation: numbers of develop images, int32. identity: what tells this training from any other, for its
    checkpoint. start: where among the shards to begin where features are missing, in [0, 1). event: what its events
    say.
    """

    study: Study
    seed: int
    epochs: int
    train: npt.NDArray[np.int32]
    validation: npt.NDArray[np.int32]
    checkpoint_key: str
    identity: dict[str, Any]
    event: Event
    start: float = 0.0


@dataclass(frozen=True)
class Trained:
    """What a training came to; the trainer's weights are its last epoch's until the next one begins."""

    trainer: Trainer
    progress: Progress
    architecture: str  # of the backbone that made the features, or that is in the network

    @property
    def in_effect(self) -> dict[str, Any]:
        return {**self.trainer.in_effect(self.progress), "architecture": self.architecture}


# Values of a study that a traced network holds as constants, or was built with.
Traced = tuple[Any, ...]


def traced_of(study: Study) -> Traced:
    """What a trial must share with another one to train on in its network."""
    model, training = study.model, study.training
    of_model = (model.architecture, model.pooling, model.head, model.dropout, model.objective)
    altered = tuple(getattr(training, name) for name in ALTERATIONS)
    return (*of_model, training.label_smoothing, training.class_weights == "none", *altered)


def made_by(study: Study) -> dict[str, str]:
    """What makes a trial's features, besides what all trials of a run share."""
    return {"architecture": study.model.architecture, "pooling": study.model.pooling}


def task_of(training: Training) -> TrainingTask:
    """What the training loop is asked for."""
    study = training.study
    return TrainingTask(
        train=training.train,
        validation=training.validation,
        epochs=training.epochs,
        batch_size=study.training.batch_size,
        learning_rate=study.training.learning_rate,
        epsilon=study.training.epsilon,
        flips=study.training.flips,
        seed=training.seed,
        head_epochs=study.training.head_epochs,
        backbone_rate=study.training.backbone_rate,
        class_weights=study.training.class_weights,
    )


class RunWorker:
    """Trains for one run, one training after the other.

    `report` gets the events of the worker protocol: features, epoch and done. `start_seconds` is how long the process
    took to come here, which its first fold is charged with. Raises BadData for data that are not what was planned.
    """

    def __init__(self, store: Store, run: str, report: Report = lambda event: None, start_seconds: float = 0.0) -> None:
        self.store = store
        self.report = report
        self._phases: dict[str, float] = {"start": start_seconds}
        self.plan = load_plan(store, run)
        self.instrument = self.plan.instrument
        with self.phase("read"):
            self.dataset = open_dataset(store, self.plan.dataset, self.plan.dataset_digest)
            if self.dataset.instrument.encoding() != self.instrument.encoding():
                raise BadData(
                    f"{names.run_study_key(run)}: instrument {self.instrument.name} is not that of dataset "
                    f"{self.dataset.name}: submit a new run"
                )
            self.index = read_index(store, self.dataset, "develop")
            self._labels = encode_labels(self.index, self.instrument)
            self.sample_ids: list[str] = self.index["sample_id"].to_pylist()
            self.fold_of = self._match_folds()
        self.backbone = find_backbone(self.plan.study.model.architecture)
        self.objective = find_objective(self.plan.study.model.objective, self.instrument)
        self.features_digest: str | None = None
        self._network: keras.Model | None = None
        self._source: Source | None = None
        self._head_features: FeatureSource | None = None
        self._trainer: tuple[Traced, Trainer] | None = None

    def train(self, training: Training) -> Trained:
        """Train to the last epoch, or to the first whose loss is not finite, from a checkpoint where there is one.

        Raises BadData, BadStudy or StoreFailed where training can't begin, or can't go on.
        """
        study = training.study
        trainer = self._prepare(study, training.seed, training.start)
        task = task_of(training)
        key, identity = training.checkpoint_key, self._identify(training)
        checkpointed = bool(study.model.trainable)
        progress = read_checkpoint(self.store, key, trainer, identity) if checkpointed else None

        def after_epoch(now: Progress) -> None:
            if checkpointed and len(now.rows) < task.epochs:
                self.store.write(key, encode_checkpoint(trainer, now, identity))
            measured: Event = {name: now.rows[-1][name] for name in ("val_auroc", "loss") if name in now.rows[-1]}
            epoch = {"epoch": len(now.rows), "epochs": task.epochs}
            self.report({"event": "epoch", **training.event, **epoch, **measured})

        try:
            with self.backbone.blamed():
                progress = train(trainer, task, progress or Progress(), after_epoch)
        except tf.errors.UnimplementedError as error:
            if not study.training.xla:
                raise
            raise BadStudy(
                "training.xla = true: XLA can't compile this training so that it repeats itself: "
                f"{_reason_of(error)}: expected false"
            ) from error
        except tf.errors.ResourceExhaustedError as error:
            raise RustkError(
                f"{device_name()} has too little memory for batches of {study.training.batch_size}: "
                f"{error.message.splitlines()[0]}"
            ) from error
        source = self._source
        architecture = (
            source.made_by["architecture"] if isinstance(source, FeatureSource) else self.backbone.architecture
        )
        return Trained(trainer, progress, architecture)

    def extractor_of(self, study: Study) -> keras.Model:
        """The backbone with its pooling, with the weights it has now."""
        network = self._network_of(study)
        with models.computing_in(study.training.precision):
            return models.build_extractor(network, study.model.pooling)

    def _trained_extractor_of(self, study: Study) -> Extractor:
        """The same, with what of it the study trains marked so."""
        extractor = self.extractor_of(study)
        trainable = study.model.trainable
        extractor.trainable = bool(trainable)
        if isinstance(trainable, bool):
            return Extractor(extractor)
        self.backbone.freeze_all_but(self._network_of(study), trainable)
        return Extractor(extractor, fine_tuned=True)

    def _features_of_head_epochs(self, study: Study) -> FeatureSource | None:
        """What the epochs that train the head alone are trained on; None where they go through the backbone, since it
        is drawn anew for each training, or images are altered."""
        training = study.training
        drawn, possible = self.plan.weights_sha256 is None, max(self.plan.study.possible("training.head_epochs"))
        if not study.model.trainable or not possible or drawn or training.features == "off" or training.alters_images:
            return None
        if self._head_features is None:
            self._network_of(study).set_weights(self._initial_weights)
            with self.phase("features"):
                self._head_features = FeatureSource(self._load_features(study, 0.0), made_by(study))
        return self._head_features

    def take_phases(self, progress: Progress) -> dict[str, float]:
        """Seconds by phase since these were asked for last, and those of a training."""
        phases = {**_ZERO_PHASES, **self._phases, **progress.phases_seconds}
        self._phases = {}
        return phases

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time of a block towards the next fold that is written."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._phases[name] = self._phases.get(name, 0.0) + time.perf_counter() - started

    def _identify(self, training: Training) -> dict[str, Any]:
        of_data = {"dataset": self.dataset.name, "digest": self.dataset.digest}
        return {"run": self.plan.run, "seed": training.seed, **of_data, **training.identity}

    def _match_folds(self) -> npt.NDArray[np.intp]:
        """The planned fold of each develop image, in the order of the shards."""
        planned = dict(zip(self.plan.sample_ids, self.plan.fold_of.tolist(), strict=True))
        if set(planned) != set(self.sample_ids):
            odd = sorted(set(planned) ^ set(self.sample_ids))[0]
            raise BadData(
                f"{names.folds_key(self.plan.run)} and the dataset {self.plan.dataset} do not list the same "
                f"develop images: {odd} is in one of them only"
            )
        return np.array([planned[sample_id] for sample_id in self.sample_ids])

    def _prepare(self, study: Study, seed: int, start: float) -> Trainer:
        """The trainer of one trial's study, on all develop images, its network and optimizer fresh from `seed`."""
        self._turn_to(study)
        source = self._source_for(study, start)
        with self.phase("build"):
            trainer = self._trainer_for(study, source)
            draw_weights(trainer.head, derive_seed("head", seed))
            trainer.restart(study.training.learning_rate, study.training.epsilon, study.training.backbone_rate)
            if study.model.trainable:
                network = self._network_of(study)
                if self.plan.weights_sha256 is not None:
                    network.set_weights(self._initial_weights)
                else:
                    self.backbone.draw(network, derive_seed("backbone", seed), study.model.weights)
        return trainer

    def _turn_to(self, study: Study) -> None:
        """Let go of what the trial before was trained with, as far as this one differs in it."""
        model = study.model
        if self.backbone.architecture != model.architecture:
            self.backbone = find_backbone(model.architecture)
            self._network = self._trainer = None
        if isinstance(self._source, FeatureSource) and self._source.made_by != made_by(study):
            self._source = self._trainer = None
        if self._head_features is not None and self._head_features.made_by != made_by(study):
            self._head_features = self._trainer = None
        self.objective = find_objective(model.objective, self.instrument)

    def _source_for(self, study: Study, start: float) -> Source:
        """The data of a trial, resident as long as the next ones train on the same."""
        if self._source is None:
            if study.model.trainable or study.training.features == "off":
                with self.phase("read"):
                    self._source = ImageSource(read_split(self.store, self.dataset, "develop").images)
            else:
                with self.phase("features"):
                    self._source = FeatureSource(self._load_features(study, start), made_by(study))
        return self._source

    def _load_features(self, study: Study, start: float) -> npt.NDArray[np.float32]:
        # A backbone whose name says it all is not built where its features are there.
        network = None if self.backbone.name_decides else self._network_of(study)
        digest = backbone_digest(
            study.model,
            self.dataset.image_shape,
            self.plan.weights_sha256,
            study.seed,
            None if network is None else self.backbone.describe(network),
            () if network is None else network.get_weights(),
            study.training.precision,
        )
        self.features_digest = digest
        cache = FeatureCache(self.store, self.dataset, digest, lambda: self.extractor_of(study))
        with self.backbone.blamed():
            return cache.load(
                shards_of(self.dataset, "develop"),
                start=start,
                progress=lambda done, total: self.report({"event": "features", "done": done, "total": total}),
            )

    def _network_of(self, study: Study) -> keras.Model:
        """The backbone, built once, with the weights that every training begins with; the study's seed draws them."""
        if self._network is None:
            self.backbone.check(study.model, self.dataset.image_shape)
            with models.computing_in(study.training.precision):
                network = self.backbone.build(self.dataset.image_shape)
            if self.plan.weights_sha256 is not None:
                load_weights(network, self.store, study.model.weights, self.plan.weights_sha256)
            else:
                self.backbone.draw(network, derive_seed("backbone", study.seed), study.model.weights)
            self._initial_weights = network.get_weights()
            self._network = network
        return self._network

    def _trainer_for(self, study: Study, source: Source) -> Trainer:
        """A traced network for this trial: the last trial's, unless it differs in what the trace holds."""
        traced = traced_of(study)
        if self._trainer is None or self._trainer[0] != traced:
            extractor = None
            if isinstance(source, FeatureSource):
                width = source.width
            else:
                extractor = self._trained_extractor_of(study)
                width = extractor.network.output.shape[-1]
            with models.computing_in(study.training.precision):
                head = models.build_head(width, study.model.head, study.model.dropout, self.objective.outputs, seed=0)
            trainer = Trainer(
                head,
                source,
                self._labels,
                self.objective,
                extractor=extractor,
                features=self._features_of_head_epochs(study),
                augmentation=augmentation_of(study.training),
                smoothing=study.training.label_smoothing,
                weighs_classes=study.training.class_weights != "none",
                xla=study.training.xla,
            )
            self._trainer = (traced, trainer)
        return self._trainer[1]


def _reason_of(error: tf.errors.OpError) -> str:
    """The line of TensorFlow's message that says something."""
    lines = [line.strip() for line in str(error.message).splitlines() if line.strip()]
    return next((line for line in lines if "XLA" in line), lines[0] if lines else "no reason given").rstrip(".")
