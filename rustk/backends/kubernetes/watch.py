"""Follow the Jobs and pods of a run as they change, across restarts of the API server."""

import math
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

from rustk.backends.kubernetes.client import Cluster, Object
from rustk.backends.kubernetes.errors import Expired, Unreachable
from rustk.backends.kubernetes.listing import job_events, queue_messages, slim_job, slim_pod
from rustk.backends.kubernetes.manifests import run_selector
from rustk.backends.kubernetes.observe import Waits, observed
from rustk.planning.progress import LiveFolds
from rustk.vocabulary.errors import BackendFailed

_PAUSE_SECONDS = 0.5
# Changes come in swarms: those that follow within this time are looked at together.
_SWARM_SECONDS = 0.5
# A look at 10,000 folds takes a while: this many times as long goes by before the next one, whatever changes.
_REST = 4.0
# So long what a queue or an event said is good enough.
_WORDS_SECONDS = 10.0


class RunWatch:
    """Keeps the run's Jobs and pods in memory by two watches, each in a thread of its own."""

    def __init__(self, cluster: Cluster, run: str, gpu_resource: str) -> None:
        self._cluster = cluster
        self._gpu_resource = gpu_resource
        self._changed = threading.Event()
        self._stopped = threading.Event()
        self._jobs = _Collection(cluster, cluster.jobs(), "jobs.batch", run, slim_job, self._changed, self._stopped)
        self._pods = _Collection(cluster, cluster.core("pods"), "pods", run, slim_pod, self._changed, self._stopped)
        self._waits = Waits(
            _Lately(lambda: job_events(cluster, self._jobs.objects())), _Lately(queue_messages, cluster)
        )
        self._looked = time.monotonic()

    def __enter__(self) -> "RunWatch":
        for collection in (self._jobs, self._pods):
            collection.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopped.set()

    def wait(self, seconds: float) -> None:
        """Until something changes, but no longer than this."""
        swarm = max(_SWARM_SECONDS, _REST * (time.monotonic() - self._looked))
        if self._changed.wait(seconds):
            time.sleep(min(swarm, seconds))
        self._changed.clear()
        self._looked = time.monotonic()

    def live_folds(self, now: datetime) -> LiveFolds:
        """Every fold that has a Job. Raises BackendFailed when the API server was away for too long, or refuses."""
        jobs, pods = self._jobs.objects(), self._pods.objects()
        return LiveFolds(observed(jobs, pods, self._gpu_resource, now, self._waits))


class _Lately:
    """What a server says, asked again only after a while."""

    def __init__(self, ask: Callable[..., Mapping[str, str]], *arguments: object) -> None:
        self._ask = partial(ask, *arguments)
        self._asked = -math.inf
        self._answer: Mapping[str, str] = {}

    def __call__(self) -> Mapping[str, str]:
        if time.monotonic() - self._asked > _WORDS_SECONDS:
            self._answer, self._asked = self._ask(), time.monotonic()
        return self._answer


class _Collection:
    """The objects of one kind that carry the run's label, by name."""

    def __init__(
        self,
        cluster: Cluster,
        path: str,
        resource: str,
        run: str,
        keep: Callable[[Object], Object],
        changed: threading.Event,
        stopped: threading.Event,
    ) -> None:
        self._cluster = cluster
        self._path = path
        self._resource = resource
        self._selector = run_selector(run)
        self._keep = keep
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
        objects, version = self._cluster.list_objects(self._path, asked=asked, selector=self._selector, keep=self._keep)
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
                        self._objects[found["metadata"]["name"]] = self._keep(found)
                self._changed.set()
            if self._stopped.is_set():
                break
        return version

    def _fail(self, error: BackendFailed) -> None:
        with self._lock:
            self._failure = error
        self._listed.set()
        self._changed.set()
