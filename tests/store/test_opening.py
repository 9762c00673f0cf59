from pathlib import Path

import pytest

from rustk.store import open_store
from rustk.vocabulary.errors import BadStudy


def test_a_directory_is_made_only_when_written_to(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "new"))
    assert store.list("") == []
    assert store.folders("runs/") == ()
    assert not (tmp_path / "new").exists()
    store.write("key", b"x")
    assert (tmp_path / "new" / "key").read_bytes() == b"x"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "store '' is of an unknown kind: expected a directory or s3://bucket/prefix"),
        ("  ", "unknown kind"),
        ("gs://bucket/x", "store 'gs://bucket/x' is of an unknown kind"),
        ("s3:/bucket/p", r"store 's3:/bucket/p': did you mean s3://bucket/p\? A folder of that name would be \./s3:/"),
        ("s3:bucket", r"store 's3:bucket': did you mean s3://bucket\?"),
        ("S3://bucket/p", r"did you mean s3://bucket/p\?"),
        ("s3//bucket/p", r"did you mean s3://bucket/p\?"),
        ("s3a://bucket/p", r"did you mean s3://bucket/p\?"),
        ("gs:/bucket/p", "store 'gs:/bucket/p' is of an unknown kind: expected a directory or s3://bucket/prefix"),
        ("a\0b", "has characters that can't be shown: expected a directory"),
        ("~nobody-of-this-name/x", "'~nobody-of-this-name/x': .*: expected a directory or s3://bucket/prefix"),
        ("x" * 5000, "File name too long: expected a directory"),
        ("s3://", "store 's3://': '' can't be a bucket: expected s3://bucket/prefix"),
        (
            "s3://BAD_bucket!/x",
            "store 's3://BAD_bucket!/x': 'BAD_bucket!' can't be a bucket: expected s3://bucket/prefix",
        ),
        ("s3://b/x", "'b' can't be a bucket: expected"),
        ("s3://bucket\n/x", "has characters that can't be shown"),
        ("s3://bucket/../x", "prefix '../x': expected folders without `..`"),
        ("s3://bucket/\x1b[31m", "has characters that can't be shown"),
    ],
)
def test_other_addresses_are_refused_in_one_line(url: str, message: str) -> None:
    with pytest.raises(BadStudy, match=message) as caught:
        open_store(url)
    assert str(caught.value).isprintable()


def test_what_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("file", "loop", "dangling", "file/below"):
        with pytest.raises(
            BadStudy, match=r"store '.*(: Not a directory| is not a directory): expected a directory or"
        ):
            open_store(str(tmp_path / name))


def test_a_file_where_a_folder_of_the_store_belongs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").write_bytes(b"")
    with pytest.raises(BadStudy, match=r"store '.*': runs is a file: expected a folder: move the file elsewhere"):
        open_store(str(tmp_path))


def test_a_folder_may_have_a_name_like_a_scheme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("./s3:/bucket", "s3", "s3/bucket", "s3-store", "a:b"):
        open_store(name).write("key", b"x")
        assert (tmp_path / name / "key").exists()


@pytest.mark.parametrize("endpoint", ["garbage", "http://", "http://a b", ""])
def test_an_endpoint_that_can_not_be_one(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    if not endpoint:  # as if there were none
        open_store("s3://bucket/x", endpoint_url=endpoint)
        return
    with pytest.raises(BadStudy, match="could not open the store s3://bucket/x: Invalid endpoint"):
        open_store("s3://bucket/x", endpoint_url=endpoint)
