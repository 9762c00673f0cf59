"""Event files for TensorBoard, written without TensorFlow: a folder a fold, a scalar a metric and epoch.

An event file is a TFRecord file of tensorflow.Event messages (tensorflow/core/util/event.proto): the version first,
then one event a step.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from rustk.exports.content import FoldContent, RunContent
from rustk.vocabulary.errors import StoreFailed
from rustk.vocabulary.names import fold_path

_VERSION = "brain.Event:2"
FILE = "events.out.tfevents.0.rustk"


def export_tensorboard(content: RunContent, folder: Path, tell: Callable[[int, int], None]) -> int:
    """Write RUN/trial=NNNN/fold=N below `folder`; how many files are new or changed. The same run gives the same bytes.

    tell: called with (done, total) after each fold. Raises StoreFailed where the folder can't be written.
    """
    folds = [fold for trial in content.trials for fold in trial.folds]
    written = 0
    for done, fold in enumerate(folds, start=1):
        path = folder / content.results.run / fold_path(fold.trial, fold.fold) / FILE
        data = encode_events(fold)
        try:
            if not path.exists() or path.read_bytes() != data:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                written += 1
        except OSError as error:
            raise StoreFailed(f"could not write {path}: {error.strerror or error}") from None
        tell(done, len(folds))
    return written


def encode_events(fold: FoldContent) -> bytes:
    """One fold's event file."""
    from rustk.datasets.tfrecord import frame

    event_class = _event_class()
    records = [event_class(wall_time=fold.began.timestamp(), file_version=_VERSION)]
    for epoch in fold.epochs:
        event = event_class(wall_time=epoch.ended.timestamp(), step=epoch.number)
        for name, value in epoch.metrics.items():
            event.summary.value.add(tag=name, simple_value=value)
        records.append(event)
    return b"".join(frame(record.SerializeToString(deterministic=True)) for record in records)


@cache
def _event_class() -> Any:
    """tensorflow.Event's class with the fields that are written, from descriptors in a pool of its own."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field = descriptor_pb2.FieldDescriptorProto
    one, many = field.LABEL_OPTIONAL, field.LABEL_REPEATED
    file = descriptor_pb2.FileDescriptorProto(name="event.proto", package="tensorflow", syntax="proto3")
    summary = file.message_type.add(name="Summary")
    value = summary.nested_type.add(name="Value")
    value.field.add(name="tag", number=1, type=field.TYPE_STRING, label=one)
    value.field.add(name="simple_value", number=2, type=field.TYPE_FLOAT, label=one)
    summary.field.add(
        name="value", number=1, type=field.TYPE_MESSAGE, type_name=".tensorflow.Summary.Value", label=many
    )
    event = file.message_type.add(name="Event")
    event.field.add(name="wall_time", number=1, type=field.TYPE_DOUBLE, label=one)
    event.field.add(name="step", number=2, type=field.TYPE_INT64, label=one)
    event.field.add(name="file_version", number=3, type=field.TYPE_STRING, label=one)
    event.field.add(name="summary", number=5, type=field.TYPE_MESSAGE, type_name=".tensorflow.Summary", label=one)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Event"))
