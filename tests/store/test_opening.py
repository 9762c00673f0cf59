from pathlib import Path

import pytest

from rustk.store import open_store
from rustk.vocabulary.errors import BadStudy


def test_a_directory_is_made_only_when_written_to(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "new"))
    assert store.list("") == []
    assert not (tmp_path / "new").exists()
    store.write("key", b"x")
    assert (tmp_path / "new" / "key").read_bytes() == b"x"


@pytest.mark.parametrize(("url", "message"), [("s3://", "names no bucket"), ("gs://bucket/x", "unknown kind")])
def test_other_addresses_are_refused(url: str, message: str) -> None:
    with pytest.raises(BadStudy, match=message):
        open_store(url)
