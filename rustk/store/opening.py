"""From a store's address to the store."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from rustk.vocabulary import names
from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.user_paths import user_path

if TYPE_CHECKING:
    from rustk.store.base import Store

# The rules of S3 for a bucket's name, but for the upper-case letters that old buckets have.
_EXPECTED = "a directory or s3://bucket/prefix"
# What would be taken for a folder, and is meant to be s3:// or the scheme of something else.
_NEAR_MISS = re.compile(r"s3(:/*|//+|[an]:/+)", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")


def open_store(
    url: str, *, endpoint_url: str | None = None, tell: Callable[[str], None] = lambda said: None
) -> "Store":
    """Open `s3://bucket/prefix`, or a directory (made when something is first written to it).

    `endpoint_url` is the address of an S3 server other than AWS's; AWS_ENDPOINT_URL_S3 does the same.
    tell: told, once, when a server does not answer and is waited for.
    Raises BadStudy for an address of another kind, or of something that is no directory. No server is contacted yet.
    """
    if not url.isprintable():
        raise BadStudy(f"store {clip(url)}: has characters that can't be shown: expected {_EXPECTED}")
    if url.startswith("s3://"):
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        if not _BUCKET.fullmatch(bucket):
            raise BadStudy(
                f"store {clip(url)}: {clip(bucket)} can't be a bucket: expected s3://bucket/prefix, the bucket of 3 "
                "to 63 letters, digits, dots and dashes"
            )
        if ".." in prefix.split("/") or not prefix.isprintable():
            raise BadStudy(f"store {clip(url)}: prefix {clip(prefix)}: expected folders without `..`")
        # boto3 takes a second to import, and a directory does not need it.
        from rustk.store.s3 import S3Store

        return S3Store(bucket, prefix.strip("/"), endpoint_url=endpoint_url or None, tell=tell)
    if near := _NEAR_MISS.match(url):
        meant = f"s3://{url[near.end() :]}"
        raise BadStudy(f"store {clip(url)}: did you mean {meant}? A folder of that name would be ./{url}")
    if "://" in url or _SCHEME.match(url) or not url.strip():
        raise BadStudy(f"store {clip(url)} is of an unknown kind: expected {_EXPECTED}")
    from rustk.store.directory import DirectoryStore

    path = user_path(url, _EXPECTED)
    try:
        path.lstat()
    except FileNotFoundError:
        return DirectoryStore(path)  # it is made when something is written
    except OSError as error:
        raise BadStudy(f"store {clip(url)}: {error.strerror}: expected {_EXPECTED}") from None
    # A link that leads nowhere is there, too, and no directory can be made in its place.
    if not path.is_dir():
        raise BadStudy(f"store {clip(url)} is not a directory: expected {_EXPECTED}")
    for name in (names.DATASETS, names.RUNS, names.WEIGHTS):
        inner = path / name.rstrip("/")
        if inner.exists() and not inner.is_dir():
            raise BadStudy(f"store {clip(url)}: {inner.name} is a file: expected a folder: move the file elsewhere")
    return DirectoryStore(path)
