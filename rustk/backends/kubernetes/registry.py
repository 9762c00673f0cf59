"""Which digest a tag stands for, as the registry says it, asked with the user's own login.

https://distribution.github.io/distribution/spec/api and .../spec/auth/token
"""

import base64
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3

_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_REFERENCE = re.compile(r"(?P<name>[^\s@]+?)(?::(?P<tag>[\w][\w.-]{0,127}))?", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HUB = "docker.io"
# Of the two names of Docker Hub the one is in images, the other in logins.
_HUB_LOGIN = "https://index.docker.io/v1/"
_TIMEOUT = urllib3.Timeout(connect=5.0, read=20.0)
_HELPER_SECONDS = 20


class Unresolved(Exception):
    """Why the digest of a tag is not known."""


def resolve_digest(image: str) -> str:
    """`name@sha256:...` of the image that `name:tag` (or name, for its tag latest) stands for now.

    Raises Unresolved, saying why, where the registry can't be asked or does not have it.
    """
    host, name, tag = _parts(image)
    is_here = host.partition(":")[0] in ("localhost", "127.0.0.1")
    server = "registry-1.docker.io" if host == _HUB else host
    url = f"{'http' if is_here else 'https'}://{server}/v2/{name}/manifests/{tag}"
    headers = {"Accept": ", ".join(_MANIFESTS)}
    with urllib3.PoolManager(timeout=_TIMEOUT, retries=False) as pool:
        answer = _ask(pool, "HEAD", url, headers)
        if answer.status == 401:
            login = _login(host)
            headers |= _authorization(pool, answer.headers.get("WWW-Authenticate", ""), login)
            answer = _ask(pool, "HEAD", url, headers)
            if answer.status in (401, 403):
                raise Unresolved(
                    f"{host} does not show it to {'your login' if login else 'somebody who is not logged in'}: "
                    f"docker login {host}"
                )
    if answer.status == 404:
        raise Unresolved(f"{host} has no {name}:{tag}")
    digest = answer.headers.get("Docker-Content-Digest", "")
    if answer.status != 200 or not _DIGEST.fullmatch(digest):
        raise Unresolved(f"{host} answers {answer.status} without a digest")
    return f"{image.removesuffix(f':{tag}')}@{digest}"


def _parts(image: str) -> tuple[str, str, str]:
    """Host, name and tag, as Docker reads an image's name."""
    found = _REFERENCE.fullmatch(image)
    if found is None:
        raise Unresolved("it is not the name of an image")
    first, slash, rest = found["name"].partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        first, rest = _HUB, found["name"] if slash else f"library/{found['name']}"
    return first, rest, found["tag"] or "latest"


def _ask(pool: urllib3.PoolManager, method: str, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
    try:
        return pool.request(method, url, headers=dict(headers))
    except urllib3.exceptions.HTTPError as error:
        raise Unresolved(f"{urlsplit(url).netloc} can't be asked: {_reason(error)}") from error


def _authorization(pool: urllib3.PoolManager, challenge: str, login: tuple[str, str] | None) -> dict[str, str]:
    """The header that answers a registry's challenge."""
    kind, _, rest = challenge.partition(" ")
    basic = {}
    if login:
        basic["Authorization"] = "Basic " + base64.b64encode(":".join(login).encode()).decode()
    if kind.lower() != "bearer":
        return basic
    said = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    if not said.get("realm"):
        raise Unresolved("the registry does not say where to get a token")
    query = urlencode({name: said[name] for name in ("service", "scope") if name in said})
    answer = _ask(pool, "GET", f"{said['realm']}?{query}", basic)
    try:
        token = json.loads(answer.data)
        given = str(token.get("token") or token["access_token"])
    except (ValueError, KeyError, AttributeError):
        raise Unresolved(f"{urlsplit(said['realm']).netloc} gives no token ({answer.status})") from None
    return {"Authorization": f"Bearer {given}"}


def _login(host: str) -> tuple[str, str] | None:
    """User and password, or token, that `docker login` or `podman login` has left for this registry."""
    key = _HUB_LOGIN if host == _HUB else host
    for config in _configurations():
        helper = (config.get("credHelpers") or {}).get(key) or config.get("credsStore")
        entry = (config.get("auths") or {}).get(key) or {}
        try:
            if entry.get("auth"):
                user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
                return user, password
            if helper:
                said = subprocess.run(
                    [f"docker-credential-{helper}", "get"],
                    input=key,
                    capture_output=True,
                    text=True,
                    timeout=_HELPER_SECONDS,
                    check=True,
                )
                found = json.loads(said.stdout)
                return str(found["Username"]), str(found["Secret"])
        except (OSError, ValueError, KeyError, subprocess.SubprocessError):
            continue
    return None


def _configurations() -> Iterator[dict[str, Any]]:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    for path in (
        os.environ.get("REGISTRY_AUTH_FILE", ""),
        f"{runtime}/containers/auth.json" if runtime else "",
        f"{os.environ.get('DOCKER_CONFIG') or Path('~/.docker').expanduser()}/config.json",
    ):
        try:
            found = json.loads(Path(path).read_bytes()) if path else None
        except (OSError, ValueError):
            continue
        if isinstance(found, dict):
            yield found


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).rpartition(">: ")[2] or type(error).__name__
