"""From a store's address to the store."""

from pathlib import Path
from typing import TYPE_CHECKING

from rustk.vocabulary.errors import BadStudy

if TYPE_CHECKING:
    from rustk.store.base import Store


def open_store(url: str, *, endpoint_url: str | None = None) -> "Store":
    """Open `s3://bucket/prefix`, or a directory (made when something is first written to it).

    `endpoint_url` is the address of an S3 server other than AWS's; AWS_ENDPOINT_URL_S3 does the same.
    Raises BadStudy for an address of another kind. Nothing is contacted yet.
    """
    if url.startswith("s3://"):
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        if not bucket:
            raise BadStudy(f"store {url!r} names no bucket: expected s3://bucket/prefix")
        # boto3 takes a second to import, and a directory does not need it.
        from rustk.store.s3 import S3Store

        return S3Store(bucket, prefix.strip("/"), endpoint_url=endpoint_url)
    if "://" in url:
        raise BadStudy(f"store {url!r} is of an unknown kind: expected a directory or s3://bucket/prefix")
    from rustk.store.directory import DirectoryStore

    return DirectoryStore(Path(url).expanduser())
