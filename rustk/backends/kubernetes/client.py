"""A connection to one namespace of a cluster: JSON in, JSON out, with retries. kubernetes is imported here only.

The kubernetes package finds and refreshes the credentials (kubeconfig, exec plugins, service account) and makes the
TLS connections; its typed models are left out, because turning 600 Jobs into them takes longer than creating them.
"""

import contextlib
import http.client
import json
import math
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3
import yaml
from kubernetes.client.configuration import Configuration
from kubernetes.client.exceptions import OpenApiException
from kubernetes.client.rest import RESTClientObject
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config

from rustk.backends.kubernetes.errors import Expired, Unreachable, from_status
from rustk.vocabulary.errors import BackendFailed

# An API server that is restarted, or fails over to another replica, is back within this time.
RETRY_FOR_SECONDS = 90.0
_STARTING_SECONDS = 15.0
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
_CONNECT_TIMEOUT_SECONDS = 5.0
_READ_TIMEOUT_SECONDS = 60.0
# Servers send a bookmark about every minute; a watch that is silent for longer hangs on a dead connection.
_WATCH_SILENCE_SECONDS = 150.0
_PASSING_STATUSES = (408, 429, 500, 502, 503, 504)

# Answers of an object's or a list's metadata alone.
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
# Of a list's objects the columns that kubectl prints, the name first.
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"

# A list from the server's memory, where a plain one reads and decodes every object of the namespace in etcd on servers
# that can't tell how old their memory is. resourceVersion=0 would do that too, and hand out everything as one page.
# https://kubernetes.io/docs/reference/using-api/api-concepts/#semantics-for-get-and-list
_FROM_MEMORY = {"resourceVersion": "1", "resourceVersionMatch": "NotOlderThan"}

Object = dict[str, Any]

# What reading a kubeconfig, and running the command that it names for a token, can raise.
_CONFIG_ERRORS = (ConfigException, OpenApiException, yaml.YAMLError, OSError, ValueError, TypeError)
_NETWORK_ERRORS = (urllib3.exceptions.HTTPError, http.client.HTTPException)


class Cluster:
    """One namespace of one cluster."""

    def __init__(self, namespace: str, *, connections: int = 32, retry_for_seconds: float = RETRY_FOR_SECONDS) -> None:
        """Connect by KUBECONFIG or ~/.kube/config, or, within a pod that has neither, as its ServiceAccount.

        Raises BackendFailed where there is no usable configuration. Nothing is contacted yet.
        """
        self.namespace = namespace
        self._retry_for_seconds = retry_for_seconds
        self._unreachable_at = -math.inf  # by the monotonic clock
        self.configuration = Configuration()
        self.configuration.connection_pool_maxsize = connections
        with _translated("use the cluster's configuration"):
            self.source = _load(self.configuration)
            self.pool = RESTClientObject(self.configuration).pool_manager
        self.server = str(self.configuration.host).rstrip("/")

    def jobs(self, name: str = "") -> str:
        """The path of the namespace's Jobs, or of one."""
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs" + (f"/{name}" if name else "")

    def core(self, resource: str, name: str = "") -> str:
        """The path of a core resource in the namespace: pods, events, secrets..."""
        return f"/api/v1/namespaces/{self.namespace}/{resource}" + (f"/{name}" if name else "")

    def request(
        self,
        method: str,
        path: str,
        *,
        asked: str,
        query: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        accept: str = "application/json",
        retry_for_seconds: float | None = None,
        read_timeout_seconds: float = _READ_TIMEOUT_SECONDS,
    ) -> Object:
        """Send one request, again and again while the server is away or overloaded, until the deadline.

        asked: what the request is for, in the words of an error message. body: JSON. read_timeout_seconds: how long the
        server may think about it. Raises Unreachable at the deadline, and the other errors of
        rustk.backends.kubernetes.errors at once.
        """
        response = self._answered(method, path, asked, query, body, accept, retry_for_seconds, read_timeout_seconds)
        return _object(response.data)

    def clock(self) -> datetime:
        """What time it is by the API server, to the second."""
        asked = "ask the API server for the time"
        response = self._answered("GET", "/version", asked, None, None, "application/json", None)
        return parsedate_to_datetime(response.headers["Date"])

    def list_objects(
        self,
        path: str,
        *,
        asked: str,
        selector: str = "",
        fields: str = "",
        accept: str = "application/json",
        keep: Callable[[Object], Object] = lambda found: found,
        from_memory: bool = False,
    ) -> tuple[list[Object], str]:
        """All objects of a collection, in pages, and the resource version to watch it from.

        accept: TABLE gives rows without objects. keep: makes of each object what is kept of it. from_memory: as they
        were a moment ago is good enough, which in a namespace of 10,000 objects is many times faster.
        """
        objects: list[Object] = []
        query: dict[str, Any] = {"labelSelector": selector, "fieldSelector": fields, "limit": 500}
        if accept == TABLE:
            query["includeObject"] = "None"
        version = _FROM_MEMORY if from_memory else {}
        while True:
            try:
                page = self.request("GET", path, asked=asked, query={**query, **version}, accept=accept)
            except Expired:
                # The pages of one list are of one version; where it was compacted away, begin anew.
                objects, query, version = [], {**query, "continue": ""}, {}
                continue
            objects += map(keep, page.get("rows" if accept == TABLE else "items") or [])
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                return objects, str(metadata.get("resourceVersion", ""))
            query["continue"], version = metadata["continue"], {}

    def watch(self, path: str, *, asked: str, version: str, selector: str = "") -> Iterator[Object]:
        """The events of a collection after `version`, until the server ends the watch.

        Raises Expired when `version` is too old, and Unreachable when the connection is lost.
        """
        query = {
            "watch": "1",
            "resourceVersion": version,
            "labelSelector": selector,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": random.randint(240, 300),
        }
        for line in self._lines("GET", path, asked, query, _WATCH_SILENCE_SECONDS):
            event = _object(line)
            if event.get("type") == "ERROR":
                status = event.get("object") or {}
                raise from_status(int(status.get("code", 500)), status, asked=asked)
            if "object" not in event:
                raise Unreachable(f"could not {asked}: the answer broke off")
            yield event

    def log_lines(self, pod: str, *, container: str, follow: bool, tail_lines: int | None = None) -> Iterator[str]:
        """The lines of a container's log; with `follow`, until it ends."""
        query = {"container": container, "follow": "true" if follow else "", "tailLines": tail_lines or ""}
        asked = f"get pods/log of {pod} in namespace {self.namespace}"
        silence = 86_400.0 if follow else _READ_TIMEOUT_SECONDS
        for line in self._lines("GET", self.core("pods", pod) + "/log", asked, query, silence):
            yield line.decode(errors="replace")

    def _lines(
        self, method: str, path: str, asked: str, query: Mapping[str, Any], silence_seconds: float
    ) -> Iterator[bytes]:
        response = self._answered(
            method, path, asked, query, None, "application/json", None, silence_seconds, streamed=True
        )
        rest = b""
        with _translated(asked), contextlib.closing(response):
            # read1 hands over what has come, where a plain read waits until a whole block is full.
            while chunk := response.read1(65_536):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from lines
        if rest:
            yield rest

    def _answered(
        self,
        method: str,
        path: str,
        asked: str,
        query: Mapping[str, Any] | None,
        body: bytes | None,
        accept: str,
        retry_for_seconds: float | None,
        read_timeout_seconds: float = _READ_TIMEOUT_SECONDS,
        *,
        streamed: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """The server's answer, its body read (`data`) unless it is `streamed`."""
        given = urlencode({name: value for name, value in (query or {}).items() if value not in ("", None)})
        url = self.server + path + (f"?{given}" if given else "")
        wait = self._retry_for_seconds if retry_for_seconds is None else retry_for_seconds
        deadline = time.monotonic() + wait
        timeout = urllib3.Timeout(connect=_CONNECT_TIMEOUT_SECONDS, read=read_timeout_seconds)
        pause = _FIRST_PAUSE_SECONDS
        while True:
            asked_to_wait = 0.0
            try:
                with _translated(asked):
                    response = self.pool.urlopen(
                        method,
                        url,
                        body=body,
                        headers=self.headers(accept, json_body=body is not None),
                        timeout=timeout,
                        retries=False,
                        preload_content=False,
                        redirect=False,
                    )
                if response.status < 300:
                    if not streamed:
                        # Within the retries: a server that dies in the middle of its answer is asked again.
                        with _translated(asked), _released(response):
                            response.read(cache_content=True)
                    return response
                with _translated(asked), _released(response):
                    answer = _object(response.read())
                failure: BackendFailed
                if response.status not in _PASSING_STATUSES:
                    failure = from_status(response.status, answer, asked=asked)
                    # A server that has just started refuses what its RBAC allows, until it has read the roles.
                    starting = time.monotonic() - self._unreachable_at < _STARTING_SECONDS
                    if response.status not in (401, 403) or not starting:
                        raise failure
                else:
                    failure = Unreachable(
                        f"could not {asked}: {self.server} answers {response.status} "
                        f"{answer.get('message') or response.reason or ''}".rstrip()
                    )
                asked_to_wait = _seconds(response.headers.get("Retry-After"))
            except Unreachable as error:
                failure = error
                self._unreachable_at = time.monotonic()
            if time.monotonic() + max(pause, asked_to_wait) > deadline:
                raise failure
            # Jitter: the threads of one submit, and many controllers, lose the same server at once.
            time.sleep(max(pause * random.uniform(0.5, 1.0), asked_to_wait))
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def headers(self, accept: str, *, json_body: bool) -> dict[str, str]:
        """The headers of a request, credentials included."""
        headers = {"Accept": accept, "User-Agent": "rustk"}
        if json_body:
            headers["Content-Type"] = "application/json"
        # Asked anew each time: this is where the package renews a token that has run out.
        for setting in self.configuration.auth_settings().values():
            if setting["in"] == "header" and setting["value"]:
                headers[setting["key"]] = setting["value"]
        return headers


def encode(body: Object) -> bytes:
    """An object as the JSON of a request."""
    return json.dumps(body, separators=(",", ":")).encode()


def _load(configuration: Configuration) -> str:
    """Fill in server and credentials; where they are from, in words."""
    files = os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
    in_pod = "KUBERNETES_SERVICE_HOST" in os.environ
    if in_pod and "KUBECONFIG" not in os.environ and not Path(files).exists():
        load_incluster_config(client_configuration=configuration)
        return "the pod's ServiceAccount"
    if not any(Path(file).exists() for file in files.split(os.pathsep)):
        raise ConfigException(f"there is no {files}: set KUBECONFIG to the file that your cluster's provider gave you")
    load_kube_config(config_file=files, client_configuration=configuration)
    return files


@contextlib.contextmanager
def _translated(asked: str) -> Iterator[None]:
    """Turn the exceptions of the kubernetes package, and of what it stands on, into BackendFailed."""
    try:
        yield
    except BackendFailed:
        raise
    except _NETWORK_ERRORS as error:
        raise Unreachable(f"could not {asked}: {_reason(error)}") from error
    except _CONFIG_ERRORS as error:
        raise BackendFailed(f"could not {asked}: {' '.join(str(error).split())}") from error


@contextlib.contextmanager
def _released(response: urllib3.BaseHTTPResponse) -> Iterator[None]:
    try:
        yield
    finally:
        response.release_conn()


def _object(data: bytes) -> Object:
    try:
        parsed = json.loads(data)
    except ValueError:
        return {"message": data.decode(errors="replace")[:200]}
    return parsed if isinstance(parsed, dict) else {}


def _reason(error: Exception) -> str:
    """The cause without the names of Python objects that urllib3 puts before it."""
    text = " ".join(str(error).split())
    return text.rpartition(">: ")[2] or type(error).__name__


def _seconds(header: str | None) -> float:
    return min(float(header), 30.0) if header and header.isdigit() else 0.0
