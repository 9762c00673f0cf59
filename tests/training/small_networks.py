"""Small data and small models for the tests of training."""

import numpy as np

HEIGHT, WIDTH = 16, 20


def small_backbone(image_shape: tuple[int, int, int], seed: int) -> object:
    """A backbone with everything that makes InceptionV3 what it is: convolutions, batch normalisation, branches."""
    import keras

    def block(x: object, filters: int, number: int) -> object:
        initializer = keras.initializers.HeNormal(seed=seed + number)
        x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer=initializer)(x)
        x = keras.layers.BatchNormalization(scale=False)(x)
        return keras.layers.Activation("relu")(x)

    inputs = keras.Input(image_shape)
    x = block(inputs, 4, 0)
    x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Concatenate()([block(x, 5, 1), block(x, 3, 2)])
    return keras.Model(inputs, x, name="small")


def other_backbone(image_shape: tuple[int, int, int], seed: int) -> object:
    """One convolution, of as many channels as the small backbone has: what only the name tells apart."""
    import keras

    inputs = keras.Input(image_shape)
    initializer = keras.initializers.HeNormal(seed=seed)
    x = keras.layers.Conv2D(8, 3, strides=4, activation="relu", kernel_initializer=initializer)(inputs)
    return keras.Model(inputs, x, name="other")


def make_images(images: int, seed: int = 0) -> np.ndarray:
    """Images that tell their labels a little: uint8 [images, HEIGHT, WIDTH]."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (images, HEIGHT, WIDTH), np.uint8)


def make_labels(images: int, labels: int = 18, seed: int = 0) -> np.ndarray:
    """Zeros and ones, float32 [images, labels]."""
    generator = np.random.default_rng(seed + 1)
    return (generator.random((images, labels)) < 0.3).astype(np.float32)
