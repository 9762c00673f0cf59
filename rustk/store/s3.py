"""The store in an S3 bucket, of any server that speaks S3."""

import random
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import boto3
import botocore.config
import botocore.exceptions
import botocore.session
import botocore.utils

from rustk.store.base import Entry
from rustk.vocabulary.errors import BadStudy, KeyMissing, RustkError, StoreFailed

T = TypeVar("T")

# An outage shorter than this is waited out; a restart of a gateway or a node takes tens of seconds.
RETRY_FOR_SECONDS = 120.0
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
_SAID_AFTER_SECONDS = 3.0

_PROBE = "rustk-write-probe"
PAGE_SIZE = 1000  # keys in one answer to a listing; S3 allows no more

# Asking again can't help: the answer would be the same until a person changes something.
_FINAL_CODES = {
    "AccessDenied": "the credentials may not do this",
    "AllAccessDisabled": "the credentials may not do this",
    "ExpiredToken": "the credentials have expired",
    "InvalidAccessKeyId": "the server does not know the access key: check AWS_ACCESS_KEY_ID",
    "InvalidToken": "the session token is wrong: check AWS_SESSION_TOKEN",
    "SignatureDoesNotMatch": "the secret key is wrong: check AWS_SECRET_ACCESS_KEY",
    "NoSuchBucket": "there is no such bucket: create it first",
    "PermanentRedirect": "the bucket is in another region: set AWS_DEFAULT_REGION",
    "403": "the credentials may not do this",
}
_PASSING_ERRORS = (
    botocore.exceptions.ConnectionError,  # refused, or no such host yet
    botocore.exceptions.HTTPClientError,  # reset, timed out, closed
    botocore.exceptions.ResponseStreamingError,
    botocore.exceptions.IncompleteReadError,
)


class S3Store:
    """Keys below `prefix` of `bucket`. Credentials and region come from boto3's own chain; nothing here reads them."""

    def __init__(
        self,
        bucket: str,
        prefix: str,
        *,
        endpoint_url: str | None = None,
        retry_for_seconds: float = RETRY_FOR_SECONDS,
        tell: Callable[[str], None] = lambda said: None,
    ) -> None:
        """tell: told when the server is waited for. Raises BadStudy for an endpoint, region or profile that can't be
        one."""
        self.url = f"s3://{bucket}/{prefix}" if prefix else f"s3://{bucket}"
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._retry_for_seconds = retry_for_seconds
        self._tell = tell
        self._waits = False
        config = botocore.config.Config(
            retries={"total_max_attempts": 1},  # the loop below retries, with a deadline instead of a count
            connect_timeout=5,
            read_timeout=60,
            max_pool_connections=32,
            # Servers other than AWS's do not all know the newer default checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        try:
            # A session of its own: the default one keeps the first credentials that it saw.
            session = botocore.session.get_session()
            session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_moment)
            self._client = boto3.Session(botocore_session=session).client(
                "s3", endpoint_url=endpoint_url, config=config
            )
        except (botocore.exceptions.BotoCoreError, ValueError) as error:
            # Nothing was contacted yet: an address, a region or a profile is wrong, and stays so.
            raise BadStudy(f"could not open the store {self.url}: {error}") from error

    def read(self, key: str) -> bytes:
        def get() -> bytes:
            body = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"]
            with body:
                data: bytes = body.read()
            return data

        try:
            return self._retried("read", key, get)
        except botocore.exceptions.ClientError as error:
            if _code(error) in ("NoSuchKey", "404") or self._is_only_missing(key, error):
                raise KeyMissing(key, self.url) from None
            raise self._failed("read", key, error) from error

    def write(self, key: str, data: bytes) -> None:
        try:
            self._retried("write", key, lambda: self._put(key, data))
        except botocore.exceptions.ClientError as error:
            raise self._failed("write", key, error) from error

    def write_new(self, key: str, data: bytes) -> bool:
        try:
            self._retried("write", key, lambda: self._put(key, data, IfNoneMatch="*"))
        except botocore.exceptions.ClientError as error:
            if _code(error) in ("PreconditionFailed", "412"):
                return False
            raise self._failed("write", key, error) from error
        return True

    def check_writable(self) -> None:
        key = f"{_PROBE}-{secrets.token_hex(4)}"
        self.write(key, b"")
        self.delete(key)

    def exists(self, key: str) -> bool:
        try:
            self._retried(
                "look for", key, lambda: self._client.head_object(Bucket=self._bucket, Key=self._prefix + key)
            )
        except botocore.exceptions.ClientError as error:
            if _code(error) in ("404", "NoSuchKey", "NotFound") or self._is_only_missing(key, error):
                return False
            raise self._failed("look for", key, error) from error
        return True

    def _is_only_missing(self, key: str, error: botocore.exceptions.ClientError) -> bool:
        """Whether a key that looks forbidden is just not there.

        So it looks to credentials that may list a bucket below a prefix only: the answer "missing" takes the right to
        list, and a request for one key names no prefix.
        """
        if _code(error) not in ("403", "AccessDenied"):
            return False
        try:
            return all(entry.key != key for entry in self.list(key))
        except StoreFailed:
            return False

    def list(self, prefix: str) -> list[Entry]:
        entries = [
            Entry(item["Key"].removeprefix(self._prefix), item["Size"], item["LastModified"])
            for page in self._pages(prefix)
            for item in page.get("Contents", [])
        ]
        return sorted(entries, key=lambda entry: entry.key)

    def folders(self, prefix: str) -> tuple[str, ...]:
        below = self._prefix + prefix
        names = (
            found["Prefix"].removeprefix(below).rstrip("/")
            for page in self._pages(prefix, Delimiter="/")
            for found in page.get("CommonPrefixes", [])
        )
        return tuple(sorted(names))

    def _pages(self, prefix: str, **options: Any) -> Sequence[dict[str, Any]]:
        """All pages of a listing."""
        paginator = self._client.get_paginator("list_objects_v2")
        options |= {
            "Bucket": self._bucket,
            "Prefix": self._prefix + prefix,
            "PaginationConfig": {"PageSize": PAGE_SIZE},
        }
        try:
            pages = self._retried("list", prefix, lambda: list(paginator.paginate(**options)))
        except botocore.exceptions.ClientError as error:
            raise self._failed("list", prefix, error) from error
        # Of the page of another server than one of S3's nothing is left, which would read as an empty store.
        if not all("IsTruncated" in page for page in pages):
            raise StoreFailed(
                f"could not list {prefix or 'the whole'} in the store {self.url}: what answered is no S3 server: check "
                f"the address, {self._client.meta.endpoint_url}"
            )
        return pages

    def delete(self, key: str) -> None:
        try:
            self._retried(
                "delete", key, lambda: self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)
            )
        except botocore.exceptions.ClientError as error:
            if _code(error) not in ("NoSuchKey", "404"):
                raise self._failed("delete", key, error) from error

    def _put(self, key: str, data: bytes, **conditions: Any) -> None:
        self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=data, **conditions)

    def _retried(self, verb: str, key: str, call: Callable[[], T]) -> T:
        """Call until it answers, or until the deadline. A ClientError that asking again can't change is let through."""
        deadline = time.monotonic() + self._retry_for_seconds
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                answer = call()
                self._waits = False
                return answer
            except botocore.exceptions.ClientError as error:
                if not _is_passing(error) or time.monotonic() + pause > deadline:
                    raise
            except _PASSING_ERRORS as error:
                if time.monotonic() + pause > deadline:
                    raise self._failed(verb, key, error) from error
                self._say_it_waits(error, deadline)
            except botocore.exceptions.BotoCoreError as error:
                raise self._failed(verb, key, error) from error
            time.sleep(pause * random.uniform(0.5, 1.0))  # jitter: many workers lose the same server at once
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _say_it_waits(self, error: Exception, deadline: float) -> None:
        """Once an outage, and not of one that is over in seconds."""
        left = deadline - time.monotonic()
        if not self._waits and self._retry_for_seconds - left > _SAID_AFTER_SECONDS:
            self._waits = True
            self._tell(f"waiting for the store {self.url}, for {left:.0f} s more at most: {error}")

    def _failed(self, verb: str, key: str, error: Exception) -> RustkError:
        why = str(error)
        if isinstance(error, botocore.exceptions.ClientError):
            said = error.response.get("Error", {}).get("Message") or why
            why = _FINAL_CODES.get(_code(error), f"{str(said).rstrip('.')} ({_code(error)})")
        elif isinstance(error, botocore.exceptions.NoCredentialsError):
            why = (
                "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give this machine a cloud identity"
            )
        return StoreFailed(f"could not {verb} {key or 'the whole'} in the store {self.url}: {why}")


def _moment(said: str | float) -> datetime:
    """A time in an answer. botocore's own parser knows more ways to write one, and takes 0.2 ms: of a listing of 10,000
    keys most of the time."""
    try:
        return datetime.fromisoformat(str(said))
    except ValueError:
        moment: datetime = botocore.utils.parse_timestamp(said)
        return moment


def _code(error: botocore.exceptions.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _is_passing(error: botocore.exceptions.ClientError) -> bool:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    # 409 on a conditional write: two writers met; the next try sees who won.
    passing = status in (408, 409, 429) or status >= 500 or _code(error) in ("SlowDown", "RequestTimeout")
    return passing and _code(error) not in _FINAL_CODES
