import os
import re
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from botocore.stub import Stubber
from botocore.utils import parse_timestamp

from rustk.store.s3 import S3Store, _moment
from rustk.vocabulary.errors import KeyMissing, RustkError, StoreFailed


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


def test_an_unreachable_server_fails_after_the_deadline(credentials: None, monkeypatch: pytest.MonkeyPatch) -> None:
    store = S3Store("bucket", "prefix", endpoint_url="http://127.0.0.1:9", retry_for_seconds=0.5)
    pauses: list[float] = []
    monkeypatch.setattr("rustk.store.s3.time.sleep", pauses.append)
    with pytest.raises(StoreFailed, match=r"could not read a/b in the store s3://bucket/prefix: .*127\.0\.0\.1:9"):
        store.read("a/b")
    assert len(pauses) > 1


def test_an_outage_is_told_once_and_a_short_one_not(credentials: None, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, said = [0.0], list[str]()
    monkeypatch.setattr("rustk.store.s3.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("rustk.store.s3.time.sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    for seconds, told in ((2.0, 0), (20.0, 1)):
        store = S3Store("b-b", "p", endpoint_url="http://127.0.0.1:9", retry_for_seconds=seconds, tell=said.append)
        with pytest.raises(StoreFailed):
            store.read("a/b")
        assert len(said) == told
    assert re.match(r"waiting for the store s3://b-b/p, for 1\d s more at most: .*127\.0\.0\.1:9", said[0])


@pytest.mark.parametrize("said", ["2025-01-02T03:04:05.678Z", "2025-01-02T03:04:05Z", "Thu, 02 Jan 2025 03:04:05 GMT"])
def test_times_are_those_that_botocore_reads(said: str) -> None:
    assert _moment(said) == parse_timestamp(said)
    assert _moment(said).utcoffset() == timedelta(0)


def test_a_server_that_is_none_of_s3_is_no_empty_store(credentials: None) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html><body>hello</body></html>")

        def log_message(self, *said: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        try:
            with pytest.raises(StoreFailed, match=f"what answered is no S3 server: check the address, {url}"):
                S3Store("bucket", "prefix", endpoint_url=url).list("runs/")
        finally:
            server.shutdown()


def test_passing_errors_are_tried_again(credentials: None) -> None:
    store = S3Store("bucket", "", retry_for_seconds=10)
    with Stubber(store._client) as stub:
        stub.add_client_error("head_object", "SlowDown", http_status_code=503)
        stub.add_client_error("head_object", "InternalError", http_status_code=500)
        stub.add_response("head_object", {})
        assert store.exists("key")
        stub.assert_no_pending_responses()


def test_a_refusal_is_not_tried_again(credentials: None) -> None:
    store = S3Store("bucket", "", retry_for_seconds=10)
    with Stubber(store._client) as stub:
        stub.add_client_error("put_object", "InvalidAccessKeyId", http_status_code=403)
        with pytest.raises(StoreFailed, match=r"could not write key .*check AWS_ACCESS_KEY_ID"):
            store.write("key", b"x")
        stub.assert_no_pending_responses()


def test_a_missing_key_is_not_taken_for_a_forbidden_one(credentials: None) -> None:
    """As AWS answers whoever may list the bucket below a prefix only."""
    store = S3Store("bucket", "prefix")
    there = {
        "IsTruncated": False,
        "Contents": [{"Key": "prefix/a.json.bak", "Size": 1, "LastModified": datetime.now(UTC)}],
    }
    with Stubber(store._client) as stub:
        for method, code in (("head_object", "403"), ("get_object", "AccessDenied")):
            stub.add_client_error(method, code, http_status_code=403)
            stub.add_response(
                "list_objects_v2", there, {"Bucket": "bucket", "Prefix": "prefix/a.json", "MaxKeys": 1000}
            )
        assert not store.exists("a.json")
        with pytest.raises(KeyMissing):
            store.read("a.json")
        for key, listed in (("a.json.bak", there), ("a.json", None)):
            stub.add_client_error("get_object", "AccessDenied", http_status_code=403)
            if listed is None:
                stub.add_client_error("list_objects_v2", "AccessDenied", http_status_code=403)
            else:
                stub.add_response("list_objects_v2", listed)
            with pytest.raises(StoreFailed, match="the credentials may not do this"):
                store.read(key)


def test_an_outage_is_waited_out(s3_endpoint: str) -> None:
    """The first tries go to a port where nothing listens yet; a relay to the real server opens later."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    target = s3_endpoint.removeprefix("http://").split(":")

    def relay() -> None:
        time.sleep(1.0)
        with socket.create_server(("127.0.0.1", port)) as server:
            server.settimeout(10)
            client, _ = server.accept()
            with client, socket.create_connection((target[0], int(target[1]))) as upstream:
                upstream.settimeout(10)
                client.settimeout(10)
                upstream.sendall(client.recv(65536))
                client.sendall(upstream.recv(65536))

    thread = threading.Thread(target=relay)
    thread.start()
    store = S3Store("rustk", f"outage-{os.getpid()}", endpoint_url=f"http://127.0.0.1:{port}", retry_for_seconds=20)
    assert not store.exists("key")
    thread.join()


@pytest.mark.parametrize("method", ["read", "exists", "delete", "list", "write", "write_new"])
def test_no_error_of_the_library_leaks(s3_endpoint: str, method: str) -> None:
    store = S3Store("no-such-bucket", "p", endpoint_url=s3_endpoint, retry_for_seconds=0.1)
    arguments = ("key", b"x") if method.startswith("write") else ("key",)
    try:
        getattr(store, method)(*arguments)
    except RustkError as error:
        assert "no-such-bucket" in str(error)  # noqa: PT017
    else:
        # Servers answer 404 to a HEAD of a key in no bucket, which is all that HEAD can say.
        assert method == "exists"


def test_missing_credentials_say_which(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", f"{tmp_path}/none")
    monkeypatch.setenv("AWS_CONFIG_FILE", f"{tmp_path}/none")
    store = S3Store("bucket", "", endpoint_url="http://127.0.0.1:9", retry_for_seconds=0.1)
    with pytest.raises(StoreFailed, match=r"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        store.read("key")
