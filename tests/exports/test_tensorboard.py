"""Event files, read with TensorFlow's own class."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rustk.datasets.tfrecord import count_intact, iter_framed
from rustk.exports.content import run_content
from rustk.exports.tensorboard import FILE, export_tensorboard
from rustk.report.data.results import load_run
from rustk.store import Store
from tests.exports.conftest import SMALL


def test_only_what_changed_is_written_again(write: Callable[..., Store], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    first = run_content(load_run(write(missing=((1, 1),)), SMALL.run))
    assert export_tensorboard(first, tmp_path / "out", lambda done, total: seen.append((done, total))) == 3
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert export_tensorboard(first, tmp_path / "out", lambda *_: None) == 0
    grown = run_content(load_run(write(), SMALL.run))
    assert export_tensorboard(grown, tmp_path / "out", lambda *_: None) == 1
    files = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("events*"))
    assert files == [f"{SMALL.run}/trial={t:04d}/fold={f}/{FILE}" for t in (0, 1) for f in (0, 1)]


@pytest.mark.tensorflow
def test_tensorflow_reads_what_was_written(write: Callable[..., Store], tmp_path: Path) -> None:
    from tensorflow.core.util.event_pb2 import Event

    content = run_content(load_run(write(), SMALL.run))
    export_tensorboard(content, tmp_path, lambda *_: None)
    data = (tmp_path / SMALL.run / "trial=0001/fold=0" / FILE).read_bytes()
    version, *events = [Event.FromString(record) for record in iter_framed(data)]
    assert version.file_version == "brain.Event:2"
    assert count_intact(data) == (4, True)
    fold = content.trials[1].folds[0]
    assert [event.step for event in events] == [epoch.number for epoch in fold.epochs] == [1, 2, 3]
    for event, epoch in zip(events, fold.epochs, strict=True):
        read = {value.tag: value.simple_value for value in event.summary.value}
        assert read == pytest.approx(epoch.metrics, rel=1e-6)
        assert event.wall_time == epoch.ended.timestamp()
