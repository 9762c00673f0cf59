"""Backbones of the user's own: whatever their code does wrong is told with its file and line, and never tried again."""

import textwrap
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from rustk.planning.study import Model
from rustk.store import open_store
from rustk.training.backbones import find_backbone
from rustk.training.fold import run_fold
from rustk.training.own_backbone import check_here, check_in_a_process
from rustk.training.run_worker import RunWorker
from rustk.training.weights import add_weights
from rustk.vocabulary.errors import EXIT_BAD_STUDY, BadStudy
from tests.training.small_networks import small_backbone
from tests.training.small_runs import make_dataset, plan_run, read_history

pytestmark = pytest.mark.tensorflow

SHAPE = (16, 20, 1)
OWN = "small_networks:small_backbone"

# What stands in a user's module, by its name, and what the message must say besides "model.architecture = ...".
FAULTS = {
    "raises_at_import": ("x = 1\n1 / 0\ndef build(image_shape, seed): ...", r"\.py, line 2: ZeroDivisionError"),
    "raises": ("def build(image_shape, seed):\n    return {}['x']", r"\.py, line 2: KeyError: 'x'"),
    "no_seed": ("def build(image_shape): ...", r"\.py, line 1: TypeError: .*seed.*it takes \(image_shape\)"),
    "one_more": ("\ndef build(image_shape, seed, width): ...", r"\.py, line 2: TypeError: .*width"),
    "no_function": (
        "build = 5",
        r"\.py, line 1: build = 5: expected a function of image_shape and seed",
    ),
    "missing": ("other = 5", "has no function build"),
    "bad_syntax": ("def build(image_shape, seed)\n    return", r"\.py, line 1: SyntaxError"),
    "exits": ("import sys\ndef build(image_shape, seed):\n    sys.exit(3)", r"\.py, line 3: SystemExit: 3"),
    "raises_another_kind": (
        "class Odd(BaseException): ...\ndef build(image_shape, seed):\n    raise Odd('x')",
        r"\.py, line 3: Odd: x",
    ),
    "exits_at_import": ("raise SystemExit", r"\.py, line 1: SystemExit"),
    "lacks": ("import no_such_package_here", r"\.py, line 1: ModuleNotFoundError: No module named 'no_such_package"),
    "text": ("def build(image_shape, seed):\n    return 'x'", r"\.py, line 1: expected .*16, 20, 3.*type str"),
    "nothing": ("def build(image_shape, seed): pass", "not a value of type NoneType"),
    "class": ("class build:\n    def __init__(self, image_shape, seed): ...", "not a value of type build"),
    "two_inputs": (
        """
        import keras
        def build(image_shape, seed):
            a, b = keras.Input(image_shape), keras.Input(image_shape)
            return keras.Model([a, b], keras.layers.Add()([a, b]))
        """,
        r"line 2: .*one input and one output.*; it has 2 and 1",
    ),
    "two_outputs": (
        "import keras\ndef build(image_shape, seed):\n    a = keras.Input(image_shape)\n"
        "    return keras.Model(a, [a, a])",
        "it has 1 and 2",
    ),
    "subclassed": (
        "import keras\nclass M(keras.Model): ...\ndef build(image_shape, seed):\n    return M()",
        "made by Keras's functional API; it has 0 and 0",
    ),
    "vector": (
        """
        import keras
        def build(image_shape, seed):
            inputs = keras.Input(image_shape)
            return keras.Model(inputs, keras.layers.GlobalMaxPooling2D()(inputs))
        """,
        r"to a feature map .*, it maps \[None, 16, 20, 3\] to \[None, 3\]",
    ),
    "other_size": (
        "import keras\ndef build(image_shape, seed):\n    a = keras.Input((8, 8, 3))\n    return keras.Model(a, a)",
        r"it maps \[None, 8, 8, 3\]",
    ),
    "another_each_time": (
        """
        import keras
        calls = []
        def build(image_shape, seed):
            calls.append(seed)
            inputs = keras.Input(image_shape)
            return keras.Model(inputs, keras.layers.Conv2D(len(calls), 1)(inputs))
        """,
        r"\.py, line 3: its second call made another network, with weights of other shapes: expected the same layers",
    ),
    "bad_shapes": (
        "import keras\ndef build(image_shape, seed):\n    return keras.layers.Conv2D(3, 99)(keras.Input(image_shape))",
        r"\.py, line 3: ValueError",
    ),
}


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_of_the_users_code_is_theirs(name: str, modules: Path) -> None:
    text, message = FAULTS[name]
    (modules / f"own_{name}.py").write_text(textwrap.dedent(text).lstrip("\n") if "\n   " in text[:20] else text)
    backbone = find_backbone(f"own_{name}:build")
    with pytest.raises(BadStudy, match=message) as caught:
        backbone.draw(backbone.build(SHAPE), 1)
    assert str(caught.value).startswith(f"model.architecture = own_{name}:build: ")
    assert caught.value.exit_code == EXIT_BAD_STUDY


def test_a_module_that_is_not_here_is_no_fault_before_a_run_and_one_in_it() -> None:
    assert check_here("no_such_module_here:build", 16, 20) == "not here"
    with pytest.raises(BadStudy, match="can't be imported: No module named 'no_such_module_here'; its module must be"):
        find_backbone("no_such_module_here:build").build(SHAPE)


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        ("plain.py:build", r"plain is a module, and no package that plain\.py could lie in: expected plain:build"),
        ("plain.sub:build", r"plain is a module, and no package that plain\.sub could lie in: expected plain:build"),
        ("plain.sub.deeper:build", r"no package that plain\.sub could lie in: expected plain:build"),
    ],
)
def test_a_module_that_can_be_nowhere_is_a_fault_before_a_run(architecture: str, said: str, modules: Path) -> None:
    (modules / "plain.py").write_text("def build(image_shape, seed): ...")
    with pytest.raises(BadStudy, match=said):
        check_here(architecture, 16, 20)
    with pytest.raises(BadStudy, match=said):
        check_in_a_process(architecture, SHAPE)


def test_a_file_in_place_of_a_module_is_named_before_anything_runs() -> None:
    model = Model(architecture="nowhere.py:build", weights="random")
    with pytest.raises(
        BadStudy, match=r"nowhere\.py:build: `\.py` is no part of a module's name: expected nowhere:build"
    ):
        find_backbone(model.architecture).check(model, SHAPE)


def test_it_is_checked_in_a_process_of_its_own(modules: Path) -> None:
    (modules / "fits.py").write_text(
        "import keras\ndef build(image_shape, seed):\n    a = keras.Input(image_shape)\n    return keras.Model(a, a)"
    )
    (modules / "fails.py").write_text("def build(image_shape, seed):\n    raise ValueError('on\\ntwo lines')")
    assert check_in_a_process("fits:build", SHAPE)
    with pytest.raises(BadStudy, match=r"fails\.py, line 2: ValueError: on two lines$"):
        check_in_a_process("fails:build", SHAPE)
    (modules / "block.py").write_text(
        "import keras\ndef build(image_shape, seed):\n    a = keras.Input(image_shape)\n"
        "    return keras.Model(a, keras.layers.Conv2D(2, 3)(a))"
    )
    assert check_in_a_process("block:build", SHAPE, 1)
    with pytest.raises(BadStudy, match=r"model\.trainable = 3: block:build has 1 block: expected at most that$"):
        check_in_a_process("block:build", SHAPE, 3)


def test_its_seed_draws_its_weights() -> None:
    backbone = find_backbone(OWN)
    assert backbone.cost(SHAPE, "max") is None
    backbone.check(Model(architecture=OWN, weights="random"), SHAPE)
    network = backbone.build(SHAPE)
    for seed in (4, 5):
        backbone.draw(network, seed)
        for mine, theirs in zip(network.get_weights(), small_backbone((16, 20, 3), seed).get_weights(), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_it_may_have_weights_from_the_store(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    make_dataset(store)
    path = tmp_path / "small.weights.h5"
    small_backbone((224, 224, 3), seed=7).save_weights(path)
    assert add_weights(store, "mine", path, OWN).architecture == OWN
    run_fold(RunWorker(store, plan_run(store, "stored", model={"weights": "mine"})), 0, 0)
    run_fold(RunWorker(store, plan_run(store, "drawn")), 0, 0)
    stored, metadata = read_history(store, "stored", 0, 0)
    assert metadata.digests["weights"] is not None
    assert stored != read_history(store, "drawn", 0, 0)[0]


def broken_layer(image_shape: Any, seed: int) -> keras.Model:
    """Sound until it is called with batches."""

    class Broken(keras.layers.Layer):
        calls = 0

        def call(self, x: Any) -> Any:
            Broken.calls += 1
            if Broken.calls > 1:
                raise RuntimeError("not today")
            return x

    inputs = keras.Input(image_shape)
    return keras.Model(inputs, Broken()(inputs))


def test_a_layer_that_fails_in_training_is_theirs_too(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    make_dataset(store)
    model = {"architecture": "test_own_backbone:broken_layer"}
    run = plan_run(store, "r", model=model, training={"features": "off"})
    with pytest.raises(BadStudy, match=r"test_own_backbone\.py, line \d+: RuntimeError: .*not today"):
        run_fold(RunWorker(store, run), 0, 0)
