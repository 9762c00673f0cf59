"""A registry that speaks the distribution protocol, asked for a tag's digest."""

import base64
import json
from pathlib import Path

import pytest

from rustk.backends.kubernetes.registry import Unresolved, _parts, resolve_digest
from rustk.backends.kubernetes.rendering import pinned_image
from rustk.vocabulary.errors import BadStudy

from .conftest import Asked, Reply, Server

DIGEST = "sha256:" + "ab" * 32
FOUND = Reply(200, b"", {"Docker-Content-Digest": DIGEST})


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No login of whoever runs the tests; the file that `docker login` would write."""
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path / "config.json"


def host(server: Server) -> str:
    return server.url.removeprefix("http://")


def test_a_tag_is_its_digest(server: Server) -> None:
    server.answer = lambda asked: FOUND
    image = f"{host(server)}/team/worker"
    assert resolve_digest(f"{image}:1.2") == f"{image}@{DIGEST}"
    assert resolve_digest(image) == f"{image}@{DIGEST}"
    asked = [(one.method, one.path) for one in server.asked]
    assert asked == [("HEAD", "/v2/team/worker/manifests/1.2"), ("HEAD", "/v2/team/worker/manifests/latest")]


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("worker", ("docker.io", "library/worker", "latest")),
        ("team/worker:1", ("docker.io", "team/worker", "1")),
        ("localhost/worker:dev", ("localhost", "worker", "dev")),
        ("registry.example.org:5000/a/b/worker:v1.0", ("registry.example.org:5000", "a/b/worker", "v1.0")),
        ("registry.example.org:5000/worker", ("registry.example.org:5000", "worker", "latest")),
    ],
)
def test_an_images_name_is_read_as_docker_does(image: str, parts: tuple[str, str, str]) -> None:
    assert _parts(image) == parts


@pytest.mark.parametrize("scheme", ["Bearer", "Basic"])
def test_a_registry_that_wants_a_login_gets_the_users(server: Server, nobody: Path, scheme: str) -> None:
    login = base64.b64encode(b"ann:pass:word").decode()
    nobody.write_text(json.dumps({"auths": {host(server): {"auth": login}}}))
    challenge = f'Bearer realm="{server.url}/token",service="here",scope="repository:team/worker:pull"'
    wanted = {"Bearer": "Bearer t0ken", "Basic": f"Basic {login}"}[scheme]

    def answer(asked: Asked) -> Reply:
        given = asked.headers.get("Authorization")
        if asked.path.startswith("/token"):
            assert asked.path == "/token?service=here&scope=repository%3Ateam%2Fworker%3Apull"
            assert given == f"Basic {login}"
            return Reply(200, {"token": "t0ken"})
        if given == wanted:
            return FOUND
        return Reply(401, b"", {"WWW-Authenticate": challenge if scheme == "Bearer" else 'Basic realm="here"'})

    server.answer = answer
    assert resolve_digest(f"{host(server)}/team/worker:1").endswith(f"@{DIGEST}")


def test_without_a_login_it_says_so(server: Server) -> None:
    server.answer = lambda asked: Reply(401, b"", {"WWW-Authenticate": 'Basic realm="here"'})
    with pytest.raises(Unresolved, match=f"somebody who is not logged in: docker login {host(server)}"):
        resolve_digest(f"{host(server)}/team/worker:1")


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(404, b""), "has no team/worker:1"),
        (Reply(200, b""), "answers 200 without a digest"),
        (Reply(500, b""), "answers 500"),
        (Reply(200, b"", {"Docker-Content-Digest": "md5:1"}), "without a digest"),
        (Reply(hang_up=True), "can't be asked"),
        (Reply(401, b"", {"WWW-Authenticate": "Bearer"}), "where to get a token"),
    ],
)
def test_what_a_registry_does_not_tell(server: Server, reply: Reply, why: str) -> None:
    server.answer = lambda asked: reply
    with pytest.raises(Unresolved, match=why):
        resolve_digest(f"{host(server)}/team/worker:1")


def test_a_registry_that_is_not_there() -> None:
    with pytest.raises(Unresolved, match=r"127\.0\.0\.1:9 can't be asked: .*refused"):
        resolve_digest("127.0.0.1:9/team/worker:1")


def test_an_image_by_tag_is_taken_by_the_digest_that_it_has(server: Server) -> None:
    server.answer = lambda asked: FOUND
    image = f"{host(server)}/team/worker:1"
    assert pinned_image(image, allow_tag=False) == f"{host(server)}/team/worker@{DIGEST}"
    assert pinned_image(image, allow_tag=True) == image
    given = f"registry.example.org/worker@{DIGEST}"
    assert pinned_image(given, allow_tag=False) == given
    # Once a command: the folds of one submit must not differ.
    server.answer = lambda asked: Reply(200, b"", {"Docker-Content-Digest": "sha256:" + "cd" * 32})
    assert pinned_image(image, allow_tag=False).endswith(DIGEST)


def test_an_image_whose_digest_is_not_known_is_refused(server: Server) -> None:
    server.answer = lambda asked: Reply(404, b"")
    with pytest.raises(BadStudy, match=r"kubernetes\.image = .*: expected a digest.* has no team/worker:1"):
        pinned_image(f"{host(server)}/team/worker:1", allow_tag=False)
