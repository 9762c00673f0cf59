import pytest


@pytest.fixture(scope="session", autouse=True)
def _deterministic_tensorflow() -> None:
    """As a worker sets it up, but for the threads, which can't be changed once another test has used TensorFlow."""
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
