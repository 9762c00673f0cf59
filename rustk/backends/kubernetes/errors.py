"""What may go wrong between rustk and an API server. No exception of the kubernetes package passes this boundary."""

import re
from typing import Any

from rustk.vocabulary.errors import BackendFailed

ROLE_FILE = "k8s/controller.yaml"
ROLE = "rustk-controller"


class Unreachable(BackendFailed):
    """No answer within the deadline, or only answers that say to come back later."""


class NotAllowed(BackendFailed):
    """401 or 403: who asks may not do this."""


class QuotaExceeded(BackendFailed):
    """403 from a ResourceQuota: nothing is wrong but that the namespace is full."""


class NotFound(BackendFailed):
    """404: the object, its kind or its namespace is not there."""


class AlreadyExists(BackendFailed):
    """409 on a create: the name is taken."""


class Conflict(BackendFailed):
    """409 on anything else: the object is not the one that was meant any more."""


class Expired(BackendFailed):
    """410: the resource version to watch from is too old; list again."""


class Refused(BackendFailed):
    """400, 422 and other answers that asking again won't change."""


def from_status(status: int, body: dict[str, Any], *, asked: str) -> BackendFailed:
    """The error for an answer of the API server.

    status: the HTTP status code. body: the Status object that came with it, or {}. asked: what was asked for, as in
    "create jobs.batch in namespace rustk".
    """
    message = _one_line(str(body.get("message") or f"HTTP {status}"))
    reason = body.get("reason", "")
    if status == 401:
        return NotAllowed(
            f"could not {asked}: the API server does not accept these credentials: renew those of your kubeconfig"
        )
    if status == 403 and "exceeded quota" in message:
        return QuotaExceeded(f"could not {asked}: {message}")
    if status == 403 and reason == "Forbidden" and " cannot " in message:
        who = re.search(r'User "([^"]+)"', message)
        return NotAllowed(
            f"{who[1] if who else 'you'} may not {asked}: the Role {ROLE} of {ROLE_FILE} grants it: "
            f"apply it (kubectl apply -k k8s) and bind it to {who[1] if who else 'yourself'}"
        )
    if status == 403:
        return NotAllowed(f"could not {asked}: {message}")
    if status == 404:
        return NotFound(f"could not {asked}: {message}")
    if status == 409:
        kind = AlreadyExists if reason == "AlreadyExists" else Conflict
        return kind(f"could not {asked}: {message}")
    if status == 410:
        return Expired(f"could not {asked}: {message}")
    return Refused(f"could not {asked}: {message}")


def _one_line(text: str) -> str:
    return " ".join(text.split())
