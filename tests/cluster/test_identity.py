"""Keys that can't leave the store's prefix, on a real S3 server that has accounts and bucket policies.

It needs versitygw on the PATH, and starts one of its own on a free port.
"""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from rustk.store import Store, open_store
from rustk.vocabulary import names
from rustk.vocabulary.errors import KeyMissing, StoreFailed

from .conftest import Workplace, eventually

BUCKET = "shared"
PREFIX = "team/rustk"


@dataclass
class Server:
    url: str
    admin: Any  # a client of boto3's

    def as_worker(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "worker")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "workersecret")
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", self.url)


def policy(user: str) -> dict[str, Any]:
    """The least that a worker needs, as docs/kubernetes.md gives it for AWS, in the words of this server."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": [user],
                "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                "Resource": [f"arn:aws:s3:::{BUCKET}/{PREFIX}/*"],
            },
            {
                "Effect": "Allow",
                "Principal": [user],
                "Action": ["s3:ListBucket"],
                "Resource": [f"arn:aws:s3:::{BUCKET}"],
            },
        ],
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if shutil.which("versitygw") is None:
        pytest.skip("versitygw is not on the PATH")
    folder = tmp_path_factory.mktemp("s3")
    for name in ("data", "meta", "iam"):
        (folder / name).mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    words = ["versitygw", "--access", "root", "--secret", "rootsecret", "--region", "us-east-1", "--quiet"]
    words += ["--port", f"127.0.0.1:{port}", "--iam-dir", str(folder / "iam")]
    words += ["posix", "--sidecar", str(folder / "meta"), str(folder / "data")]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        admin = boto3.client(
            "s3",
            endpoint_url=url,
            aws_access_key_id="root",
            aws_secret_access_key="rootsecret",
            region_name="us-east-1",
        )
        eventually("the S3 server answers", lambda: listens(port), 30)
        account = ["versitygw", "admin", "--allow-insecure", "--access", "root", "--secret", "rootsecret"]
        account += ["--endpoint-url", url, "create-user", "--access", "worker", "--secret", "workersecret"]
        subprocess.run([*account, "--role", "user"], check=True, capture_output=True)
        admin.create_bucket(Bucket=BUCKET)
        admin.put_object(Bucket=BUCKET, Key="others/secret.txt", Body=b"another team's")
        admin.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy("worker")))
        yield Server(url, admin)
    finally:
        process.terminate()
        process.wait()


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_within_its_prefix_a_worker_may_do_all_that_a_store_does(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.as_worker(monkeypatch)
    store = open_store(f"s3://{BUCKET}/{PREFIX}")
    store.write("runs/a/study.json", b"1")
    assert store.read("runs/a/study.json") == b"1"
    assert store.write_new("runs/a/other.json", b"2")
    assert not store.write_new("runs/a/other.json", b"3")
    assert [entry.key for entry in store.list("runs/")] == ["runs/a/other.json", "runs/a/study.json"]
    # Asking for what is not there must not look like asking for what is forbidden.
    assert not store.exists("runs/a/missing.json")
    with pytest.raises(KeyMissing):
        store.read("runs/a/missing.json")
    store.delete("runs/a/other.json")
    assert store.folders("runs/") == ("a",)


@pytest.mark.parametrize(
    "attempt",
    [
        lambda store: store.read("secret.txt"),
        lambda store: store.write("mine.txt", b"x"),
        lambda store: store.write_new("mine.txt", b"x"),
        lambda store: store.delete("secret.txt"),
    ],
    ids=["read", "write", "write new", "delete"],
)
def test_outside_its_prefix_a_worker_may_do_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch, attempt: Any
) -> None:
    server.as_worker(monkeypatch)
    others: Store = open_store(f"s3://{BUCKET}/others")
    with pytest.raises(StoreFailed, match="the credentials may not do this"):
        attempt(others)
    found = server.admin.list_objects_v2(Bucket=BUCKET, Prefix="others/")["Contents"]
    assert [item["Key"] for item in found] == ["others/secret.txt"]
    assert server.admin.get_object(Bucket=BUCKET, Key="others/secret.txt")["Body"].read() == b"another team's"


def test_a_fold_trains_with_such_keys(
    server: Server, workplace: Workplace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.as_worker(monkeypatch)
    where = ("--backend", "local", "--store", f"s3://{BUCKET}/{PREFIX}")
    workplace.rustk("phantom", "--images", "24", "--size", "96", *where[2:])
    study = workplace.study("narrow", search=None, folds={"k": 2})
    assert os.environ["AWS_ACCESS_KEY_ID"] == "worker"
    assert "is complete" in workplace.rustk("submit", study, "--name", "narrow", *where).out
    assert open_store(f"s3://{BUCKET}/{PREFIX}").exists(names.history_key("narrow", 0, 1))
