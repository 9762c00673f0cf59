import pytest

from rustk.cluster.rendering import check_image
from rustk.vocabulary.errors import BadStudy

DIGEST = "registry.example.org/worker@sha256:" + "a" * 64


def test_an_image_is_named_by_digest() -> None:
    assert check_image(DIGEST, allow_tag=False) == DIGEST
    assert check_image("worker:1", allow_tag=True) == "worker:1"
    for image in ("worker:1", "worker", "worker@sha256:12", None, ""):
        with pytest.raises(BadStudy, match=r"kubernetes\.image"):
            check_image(image, allow_tag=False)
