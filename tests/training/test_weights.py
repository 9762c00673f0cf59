"""Weights from files: every form that they come in, and one line for what does not fit."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from rustk.cli.app import app
from rustk.store import Store, open_store
from rustk.store.weights import find_weights, list_weights, resolve_weights, weights_key
from rustk.training.backbones import find_backbone
from rustk.training.weights import add_weights, assign_weights, load_weights
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, BadStudy
from tests.training.small_networks import small_backbone

pytestmark = pytest.mark.tensorflow

OWN = "small_networks:small_backbone"
# The smallest of keras.applications that numbers more than ten layers of a kind.
SMALL = "mobilenet_v3_small"


def fill(model: keras.Model) -> keras.Model:
    """Weights unlike those that rustk or Keras draws, and variances above zero."""
    generator = np.random.default_rng(0)
    model.set_weights([generator.random(w.shape, np.float32) / 10 for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def pretrained() -> keras.Model:
    """A network as those who publish weights have it, without its top."""
    return fill(keras.applications.MobileNetV3Small(include_top=False, weights=None, input_shape=(32, 32, 3)))


@pytest.fixture(scope="module")
def backbone() -> keras.Model:
    return find_backbone(SMALL).build((32, 32, 3))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def save_as_keras_2(model: keras.Model, path: Path, group_name: str | None = None) -> None:
    """The form of keras.applications's notop files; with `group_name`, that of a whole model saved by Keras 2."""
    with h5py.File(path, "w") as file:
        group = file.create_group(group_name) if group_name else file
        group.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            folder = group.create_group(layer.name)
            weights = [f"{layer.name}/{number}/{weight.name}:0" for number, weight in enumerate(layer.weights)]
            folder.attrs["weight_names"] = [weight.encode() for weight in weights]
            for name, weight in zip(weights, layer.weights, strict=True):
                folder[name] = weight.numpy()


@pytest.mark.parametrize("form", ["keras 2", "keras 2 whole", "keras 3 weights", "keras 3 whole", "keras 3 as h5"])
def test_every_form_of_file_gives_the_same_weights(
    pretrained: keras.Model, backbone: keras.Model, tmp_path: Path, form: str
) -> None:
    path = tmp_path / {"keras 3 weights": "w.weights.h5", "keras 3 whole": "w.keras"}.get(form, "w.h5")
    if form.startswith("keras 2"):
        save_as_keras_2(pretrained, path, "model_weights" if form.endswith("whole") else None)
    elif form == "keras 3 weights":
        pretrained.save_weights(path)
    elif form == "keras 3 whole":
        pretrained.save(path)
    else:
        # As RadImageNet's files came to be, but by today's Keras.
        from keras.src.legacy.saving.legacy_h5_format import save_model_to_hdf5

        save_model_to_hdf5(pretrained, path)
    backbone.set_weights([np.zeros_like(weight) for weight in backbone.get_weights()])
    assign_weights(backbone, path.read_bytes(), path.name)
    for mine, theirs in zip(backbone.get_weights(), pretrained.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_weights_are_kept_with_their_digest_and_found_by_name(store: Store, tmp_path: Path) -> None:
    backbone, pretrained = small_backbone((16, 16, 3), seed=1), small_backbone((16, 16, 3), seed=2)
    path = tmp_path / "RadImageNet-small_notop.h5"
    save_as_keras_2(pretrained, path)
    with pytest.raises(BadStudy, match=r"has no weights radimagenet: add a file with `rustk weights add radimagenet F"):
        resolve_weights(store, "radimagenet")
    entry = add_weights(store, "radimagenet", path, OWN)
    assert (entry.name, entry.architecture, entry.file) == ("radimagenet", OWN, path.name)
    assert store.read(names.weights_key("radimagenet", ".h5")) == path.read_bytes()
    assert list_weights(store) == [entry] == [find_weights(store, "radimagenet")]
    assert resolve_weights(store, "radimagenet") == entry.sha256
    with pytest.raises(BadStudy, match=r"are of small_networks:.*, the study's model\.architecture is lenet"):
        resolve_weights(store, "radimagenet", "lenet")
    load_weights(backbone, store, "radimagenet", entry.sha256)
    np.testing.assert_array_equal(backbone.get_weights()[0], pretrained.get_weights()[0])

    store.write(weights_key(entry), path.read_bytes()[:-1])
    with pytest.raises(BadData, match=r"weights/radimagenet\.h5 has sha256 .*, the run was planned with"):
        load_weights(backbone, store, "radimagenet", entry.sha256)
    store.delete(weights_key(entry))
    with pytest.raises(BadData, match="is missing: add it again"):
        load_weights(backbone, store, "radimagenet", entry.sha256)


def test_a_file_that_does_not_fit_is_refused_and_every_layer_named(
    pretrained: keras.Model, store: Store, tmp_path: Path
) -> None:
    path = tmp_path / "w.h5"
    save_as_keras_2(pretrained, path)
    convolutions = [layer.name for layer in pretrained.layers if isinstance(layer, keras.layers.Conv2D)]
    with h5py.File(path, "a") as file:
        for name, shape in ((convolutions[0], (3, 3, 1, 16)), (convolutions[3], (1, 1, 64, 81))):
            del file[name][f"{name}/0/kernel:0"]
            file[name][f"{name}/0/kernel:0"] = np.zeros(shape, np.float32)
    with pytest.raises(BadData) as caught:
        add_weights(store, "imagenet", path, SMALL)
    assert f"{convolutions[0]} 3x3x1x16, expected 3x3x3x16; {convolutions[3]} 1x1x64x81, expected" in str(caught.value)
    assert "\n" not in str(caught.value)

    small = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    small.save(tmp_path / "small.keras")
    # Of a small network, for a large one takes seconds to build.
    with pytest.raises(BadData, match="has weights for 0 of the 6 layers of small"):
        add_weights(store, "imagenet", tmp_path / "small.keras", OWN)
    (tmp_path / "text.h5").write_text("no weights")
    with pytest.raises(BadData, match=r"text\.h5: damaged, or not HDF5 at all: expected a \.h5 or"):
        add_weights(store, "imagenet", tmp_path / "text.h5", OWN)
    with pytest.raises(BadData, match=r"missing\.h5: No such file"):
        add_weights(store, "imagenet", tmp_path / "missing.h5", OWN)
    with pytest.raises(BadData, match=r"weights\.pth: expected a file of weights, \.h5 or \.keras"):
        add_weights(store, "imagenet", tmp_path / "weights.pth", OWN)
    with pytest.raises(BadStudy, match=r"weights name 'random'.*not random or calibrated-random"):
        add_weights(store, "random", path)
    with pytest.raises(BadStudy, match="--architecture lenet: there are no weights for it"):
        add_weights(store, "digits", path, "lenet")
    assert store.list("") == []


def test_weights_that_are_not_finite_are_refused(
    pretrained: keras.Model, backbone: keras.Model, tmp_path: Path
) -> None:
    path = tmp_path / "w.h5"
    save_as_keras_2(pretrained, path)
    name = next(layer.name for layer in pretrained.layers if isinstance(layer, keras.layers.Conv2D))
    with h5py.File(path, "a") as file:
        file[name][f"{name}/0/kernel:0"][0, 0, 0, 0] = np.nan
    with pytest.raises(BadData, match=f"the weights of {name} are not finite"):
        assign_weights(backbone, path.read_bytes(), "w.h5")


def _attribute(path: Path, value: object) -> None:
    with h5py.File(path, "a") as file:
        file.attrs["layer_names"] = value


def _replaced(path: Path, layer: str, make: Callable[[h5py.Group, str], object]) -> None:
    """The first weight of a layer becomes what `make` puts there."""
    with h5py.File(path, "a") as file:
        name = file[layer].attrs["weight_names"][0]
        del file[layer][name]
        make(file[layer], name)


def _zipped(path: Path, name: str, content: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content)


# What is done to a file of weights; `layer` is the first that has any.
DAMAGES: dict[str, Callable[[Path, str], object]] = {
    "a number of layers": lambda path, layer: _attribute(path, 5),
    "names that are numbers": lambda path, layer: _attribute(path, [1, 2, 3]),
    "names of nothing": lambda path, layer: _attribute(path, [b"nothing", b"at all"]),
    "names that are no text": lambda path, layer: _attribute(path, [b"\xff\xfe"]),
    "strings": lambda path, layer: _replaced(path, layer, lambda group, name: group.create_dataset(name, data=["a"])),
    "nested groups": lambda path, layer: _replaced(path, layer, lambda group, name: group.create_group(f"{name}/in")),
    "a huge claim": lambda path, layer: _replaced(
        path, layer, lambda group, name: group.create_dataset(name, (10**9, 10**9), "f4", chunks=(99, 99))
    ),
    "no claim": lambda path, layer: _replaced(
        path, layer, lambda group, name: group.create_dataset(name, data=h5py.Empty("f4"))
    ),
    "a link to nowhere": lambda path, layer: _replaced(
        path, layer, lambda group, name: group.__setitem__(name, h5py.SoftLink("/nowhere"))
    ),
    "truncated": lambda path, layer: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "garbled": lambda path, layer: path.write_bytes(path.read_bytes()[:600] + bytes(1400) + path.read_bytes()[2000:]),
    "empty": lambda path, layer: path.write_bytes(b""),
    "a zip of something else": lambda path, layer: _zipped(path, "readme.txt", "x"),
    "a zip of no weights": lambda path, layer: _zipped(path, "model.weights.h5", "x"),
    "a truncated zip": lambda path, layer: path.write_bytes(b"PK" + bytes(200)),
}


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_file_is_one_line(how: str, tmp_path: Path) -> None:
    network = small_backbone((16, 16, 3), seed=1)
    before = network.get_weights()
    path = tmp_path / "w.h5"
    save_as_keras_2(network, path)
    DAMAGES[how](path, next(layer.name for layer in network.layers if layer.weights))
    with pytest.raises(BadData) as caught:
        assign_weights(network, path.read_bytes(), "w.h5")
    assert str(caught.value).startswith(("w.h5 ", "w.h5: "))
    assert len(str(caught.value)) < 400
    for mine, theirs in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def thin_convnext() -> keras.Model:
    """ConvNeXt Tiny, layer by layer, with few channels."""
    from keras.src.applications.convnext import ConvNeXt

    return ConvNeXt(
        depths=[3, 3, 9, 3],
        projection_dims=[4, 6, 8, 10],
        include_preprocessing=False,
        include_top=False,
        weights=None,
        input_shape=(32, 32, 3),
        name="convnext_tiny",
    )


@pytest.fixture(scope="module", params=["convnext_tiny", OWN])
def two_of_a_kind(request: pytest.FixtureRequest) -> tuple[keras.Model, keras.Model]:
    """ConvNeXt has models within the model; the user's own is checked against its layers in their order."""
    if request.param == OWN:
        return find_backbone(OWN).build((32, 32, 1)), fill(small_backbone((32, 32, 3), seed=3))
    return thin_convnext(), fill(thin_convnext())


@pytest.mark.parametrize("form", ["keras 2", "keras 3 weights", "keras 3 whole"])
def test_other_backbones_take_files_too(
    two_of_a_kind: tuple[keras.Model, keras.Model], form: str, tmp_path: Path
) -> None:
    network, other = two_of_a_kind
    network.set_weights([np.zeros_like(weight) for weight in network.get_weights()])
    path = tmp_path / {"keras 2": "w.h5", "keras 3 weights": "w.weights.h5", "keras 3 whole": "w.keras"}[form]
    if form == "keras 2":
        save_as_keras_2(other, path)
    elif form == "keras 3 weights":
        other.save_weights(path)
    else:
        other.save(path)
    assign_weights(network, path.read_bytes(), path.name)
    for mine, theirs in zip(network.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_the_command(store: Store, tmp_path: Path) -> None:
    """On InceptionV3, the default, and a file such as keras.applications and RadImageNet publish."""
    network = fill(keras.applications.InceptionV3(include_top=False, weights=None, input_shape=(75, 75, 3)))
    path = tmp_path / "notop.h5"
    save_as_keras_2(network, path)
    command = CliRunner()
    added = command.invoke(app, ["weights", "add", "imagenet", str(path), "--store", store.url])
    assert added.exit_code == 0, added.output
    assert "weights imagenet (inception_v3, sha256 " in added.output
    listed = command.invoke(app, ["weights", "list", "--store", store.url, "--json"])
    assert [entry["name"] for entry in json.loads(listed.output)] == ["imagenet"]
    refused = command.invoke(app, ["weights", "add", "imagenet", "--store", store.url])
    assert isinstance(refused.exception, BadStudy)

    published = network.get_weights()
    network.set_weights([np.zeros_like(weight) for weight in published])
    load_weights(network, store, "imagenet", find_weights(store, "imagenet").sha256)
    for mine, theirs in zip(network.get_weights(), published, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.skipif(not os.environ.get("RUSTK_TEST_EXITS"), reason="set RUSTK_TEST_EXITS: a process of its own")
def test_the_process_does_not_crash_after_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "cut.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + 100 * b"garbage")
    script = "import sys; from rustk.cli.app import main; sys.argv[0] = 'rustk'; main()"
    words = ["weights", "add", "x", str(tmp_path / "cut.h5"), "--store", str(tmp_path / "store")]
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 65
    assert "cut.h5: damaged, or not HDF5 at all" in done.stderr
