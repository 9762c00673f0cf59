import os
import secrets
from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer

from rustk.store import Store, open_store


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """An S3 server: the one of RUSTK_TEST_S3_ENDPOINT (with AWS_* credentials and a bucket `rustk`), or moto's."""
    if given := os.environ.get("RUSTK_TEST_S3_ENDPOINT"):
        yield given
        return
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    patch = pytest.MonkeyPatch()
    patch.setenv("AWS_ACCESS_KEY_ID", "test")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    endpoint = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="rustk")
    yield endpoint
    patch.undo()
    server.stop()


@pytest.fixture(params=["directory", "s3", "s3-without-prefix"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Store:
    if request.param == "directory":
        return open_store(str(tmp_path_factory.mktemp("store")))
    endpoint = request.getfixturevalue("s3_endpoint")
    if request.param == "s3":
        return open_store(f"s3://rustk/tests/{secrets.token_hex(8)}", endpoint_url=endpoint)
    if os.environ.get("RUSTK_TEST_S3_ENDPOINT"):
        pytest.skip("the root of a bucket that others may use is not emptied for a test")
    whole = open_store("s3://rustk", endpoint_url=endpoint)
    for entry in whole.list(""):
        whole.delete(entry.key)
    return whole
