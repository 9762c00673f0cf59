"""A tag is resolved to its digest by a real registry that wants a login.

Skipped where docker-registry or htpasswd (Debian: docker-registry, apache2-utils) is not installed.
"""

import base64
import hashlib
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import urllib3
import yaml

from .conftest import Workplace, eventually

USER, PASSWORD = "ann", "pass:word"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass
class Registry:
    host: str

    def push(self, name: str, tag: str) -> str:
        """Push an image without content; its digest."""
        login = {"Authorization": "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
        with urllib3.PoolManager(headers=login) as pool:
            begun = pool.request("POST", f"http://{self.host}/v2/{name}/blobs/uploads/")
            assert begun.status == 202, begun.data
            config = b"{}"
            digest = "sha256:" + hashlib.sha256(config).hexdigest()
            place = begun.headers["Location"]
            done = pool.request("PUT", f"{place}{'&' if '?' in place else '?'}digest={digest}", body=config)
            assert done.status == 201, done.data
            manifest = {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {
                    "mediaType": "application/vnd.oci.image.config.v1+json",
                    "size": len(config),
                    "digest": digest,
                },
                "layers": [],
            }
            put = pool.request(
                "PUT",
                f"http://{self.host}/v2/{name}/manifests/{tag}",
                body=json.dumps(manifest).encode(),
                headers={**login, "Content-Type": MANIFEST},
            )
            assert put.status == 201, put.data
            return put.headers["Docker-Content-Digest"]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    server, htpasswd = shutil.which("docker-registry"), shutil.which("htpasswd")
    if not server or not htpasswd:
        pytest.skip("install docker-registry and apache2-utils")
    directory = tmp_path_factory.mktemp("registry")
    users = subprocess.run([htpasswd, "-Bbn", USER, PASSWORD], capture_output=True, text=True, check=True).stdout
    (directory / "users").write_text(users)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"localhost:{free.getsockname()[1]}"
    settings = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(directory / "images")}},
        "http": {"addr": host.replace("localhost", "127.0.0.1"), "secret": "of-a-test"},
        "auth": {"htpasswd": {"realm": "registry", "path": str(directory / "users")}},
    }
    (directory / "config.yml").write_text(yaml.safe_dump(settings))
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([server, "serve", str(directory / "config.yml")], stdout=log, stderr=log)
    try:
        eventually("the registry answers", lambda: answers(host), 30)
        yield Registry(host)
    finally:
        process.terminate()
        process.wait()


def answers(host: str) -> bool:
    try:
        return urllib3.request("GET", f"http://{host}/v2/", retries=False, timeout=2.0).status == 401
    except urllib3.exceptions.HTTPError:
        return False


@pytest.fixture
def login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that `docker login` writes, without a login; no other is looked at."""
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path / "config.json"


def test_a_tag_becomes_its_digest_with_the_users_login(workplace: Workplace, registry: Registry, login: Path) -> None:
    digest = registry.push("team/worker", "1.2")
    image = f"{registry.host}/team/worker"
    study = workplace.study("tagged")
    submit = ("submit", study, "--name", "tagged", "--dry-run", "-o", "yaml", "--image")

    refused = workplace.rustk(*submit, f"{image}:1.2", code=None)
    assert refused.code != 0
    assert f"docker login {registry.host}" in refused.err

    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    login.write_text(json.dumps({"auths": {registry.host: {"auth": auth}}}))
    rendered = list(yaml.safe_load_all(workplace.rustk(*submit, f"{image}:1.2").out))
    (container,) = rendered[0]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"{image}@{digest}"

    missing = workplace.rustk(*submit, f"{image}:1.3", code=None)
    assert missing.code != 0
    assert "has no team/worker:1.3" in missing.err
    assert workplace.jobs("tagged") == []
