from pathlib import Path

import pytest

from rustk.backends.kubernetes.rendering import check_image, template_of
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.settings import KubernetesSettings

DIGEST = "registry.example.org/worker@sha256:" + "a" * 64


def test_an_image_is_named_by_digest() -> None:
    assert check_image(DIGEST, allow_tag=False) == DIGEST
    assert check_image("worker:1", allow_tag=True) == "worker:1"
    for image in ("worker:1", "worker", "worker@sha256:12", None, ""):
        with pytest.raises(BadStudy, match=r"kubernetes\.image"):
            check_image(image, allow_tag=False)


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"kind: [", b"a: 1\na: 2"])
def test_a_template_that_can_not_be_read_names_the_setting(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "mine.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadStudy, match=r"^kubernetes\.template: .*mine\.yaml") as refused:
        template_of(KubernetesSettings(template=str(path)))
    assert "\n" not in str(refused.value)
