"""Follow the Jobs and pods of a run as they change, across restarts of the API server."""

import threading
import time
from datetime import datetime

from rustk.backends.kubernetes.client import Cluster, Object
from rustk.backends.kubernetes.errors import Expired, Unreachable
from rustk.backends.kubernetes.manifests import run_selector
from rustk.backends.kubernetes.observe import job_events, observed
from rustk.planning.progress import LiveFold
from rustk.vocabulary.errors import BackendFailed

_PAUSE_SECONDS = 0.5
# Changes come in swarms: those that follow within this time are looked at together.
_SWARM_SECONDS = 0.5


class RunWatch:
    """Keeps the run's Jobs and pods in memory by two watches, each in a thread of its own."""

    def __init__(self, cluster: Cluster, run: str, gpu_resource: str) -> None:
        self._cluster = cluster
        self._gpu_resource = gpu_resource
        self._changed = threading.Event()
        self._stopped = threading.Event()
        self._jobs = _Collection(cluster, cluster.jobs(), "jobs.batch", run, self._changed, self._stopped)
        self._pods = _Collection(cluster, cluster.core("pods"), "pods", run, self._changed, self._stopped)

    def __enter__(self) -> "RunWatch":
        for collection in (self._jobs, self._pods):
            collection.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopped.set()

    def wait(self, seconds: float) -> None:
        """Until something changes, but no longer than this."""
        if self._changed.wait(seconds):
            time.sleep(min(_SWARM_SECONDS, seconds))
        self._changed.clear()

    def live_folds(self, now: datetime) -> list[LiveFold]:
        """Every fold that has a Job. Raises BackendFailed when the API server was away for too long, or refuses."""
        jobs, pods = self._jobs.objects(), self._pods.objects()
        return observed(jobs, pods, self._gpu_resource, now, events=lambda: job_events(self._cluster, jobs))


class _Collection:
    """The objects of one kind that carry the run's label, by name."""

    def __init__(
        self,
        cluster: Cluster,
        path: str,
        resource: str,
        run: str,
        changed: threading.Event,
        stopped: threading.Event,
    ) -> None:
        self._cluster = cluster
        self._path = path
        self._resource = resource
        self._selector = run_selector(run)
        self._changed = changed
        self._stopped = stopped
        self._lock = threading.Lock()
        self._objects: dict[str, Object] = {}
        self._failure: BackendFailed | None = None
        self._listed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch {resource}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def objects(self) -> list[Object]:
        """What is there now; waits for the first list. Raises what ended the watch."""
        self._listed.wait()
        with self._lock:
            if self._failure is not None:
                raise self._failure
            return list(self._objects.values())

    def _run(self) -> None:
        version = ""
        while not self._stopped.is_set():
            try:
                if not version:
                    version = self._list()
                version = self._follow(version)
            except (Expired, Unreachable) as error:
                # What happened meanwhile is only known from a new list, whose own retries end in Unreachable.
                if isinstance(error, Unreachable) and not version:
                    self._fail(error)
                    return
                version = ""
                time.sleep(_PAUSE_SECONDS)
            except BackendFailed as error:
                self._fail(error)
                return

    def _list(self) -> str:
        asked = f"list {self._resource} in namespace {self._cluster.namespace}"
        objects, version = self._cluster.list_objects(self._path, asked=asked, selector=self._selector)
        with self._lock:
            self._objects = {found["metadata"]["name"]: found for found in objects}
        self._listed.set()
        self._changed.set()
        return version

    def _follow(self, version: str) -> str:
        """Take in events until the server ends the watch; the version to go on from."""
        asked = f"watch {self._resource} in namespace {self._cluster.namespace}"
        for event in self._cluster.watch(self._path, asked=asked, version=version, selector=self._selector):
            found = event["object"]
            version = str(found["metadata"]["resourceVersion"])
            if event["type"] != "BOOKMARK":
                with self._lock:
                    if event["type"] == "DELETED":
                        self._objects.pop(found["metadata"]["name"], None)
                    else:
                        self._objects[found["metadata"]["name"]] = found
                self._changed.set()
            if self._stopped.is_set():
                break
        return version

    def _fail(self, error: BackendFailed) -> None:
        with self._lock:
            self._failure = error
        self._listed.set()
        self._changed.set()
