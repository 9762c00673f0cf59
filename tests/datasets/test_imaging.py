"""Preparation: the whole image in a square, antialiased, with or without its aspect."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustk.datasets.imaging import Preparation, prepare


@given(height=st.integers(1, 90), width=st.integers(1, 90), size=st.sampled_from([32, 50]))
@pytest.mark.parametrize("preparation", Preparation)
def test_any_shape_becomes_a_square(height: int, width: int, size: int, preparation: Preparation) -> None:
    pixels = np.full((height, width), 200, np.uint8)
    found = prepare(pixels, size, preparation)
    assert found.shape == (size, size)
    assert found.dtype == np.uint8
    assert set(np.unique(found)) <= ({200} if preparation is Preparation.STRETCH else {0, 200})


def test_letterbox_keeps_the_aspect_and_stretch_does_not() -> None:
    pixels = np.full((200, 100), 255, np.uint8)
    boxed = prepare(pixels, 64, Preparation.LETTERBOX)
    assert (boxed[:, 16:48] == 255).all()
    assert (boxed[:, :16] == 0).all()
    assert (boxed[:, 48:] == 0).all()
    assert (prepare(pixels, 64, Preparation.STRETCH) == 255).all()


@pytest.mark.parametrize("preparation", Preparation)
def test_reducing_is_antialiased(preparation: Preparation) -> None:
    # Stripes finer than the result can show: taking every sixteenth pixel would leave black or white, not their mean.
    stripes = np.tile(np.array([0, 255], np.uint8), (512, 256))
    found = prepare(stripes, 32, preparation).astype(int)
    assert np.abs(found - 127.5).max() < 8


def test_an_image_of_the_right_size_stays_as_it_is() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    assert np.array_equal(prepare(pixels, 64, Preparation.STRETCH), pixels)
    assert np.array_equal(prepare(pixels, 64, Preparation.LETTERBOX), pixels)
