"""The server: an address, a socket on it, and uvicorn."""

import contextlib
import errno
import ipaddress
import secrets
import socket
from collections.abc import Callable

import uvicorn

from rustk.backends.base import Backend
from rustk.store.base import Store
from rustk.ui.hub import Hub
from rustk.ui.server import make_app
from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import BadStudy, RustkError


def serve(store: Store, backend: Backend, *, host: str, port: int, tell: Callable[[str], None]) -> None:
    """Serve the live page until the process is told to end. `tell` gets the address, with its token where it needs one.

    Raises BadStudy for a host that is none, and RustkError for an address that can't be listened on.
    """
    with contextlib.closing(listen(host, port)) as listening:
        address, chosen = listening.getsockname()[:2]
        token = None if is_loopback(address) else secrets.token_urlsafe(32)
        hub = Hub(store, backend)
        app = make_app(hub, token=token, cookie=f"rustk-ui-{chosen}")
        tell(f"{_url(host, address, chosen)}{f'?token={token}' if token else ''}")
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=2, lifespan="off"
        )
        try:
            uvicorn.Server(config).run(sockets=[listening])
        finally:
            hub.close()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0: one that is free. Raises BadStudy or RustkError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadStudy(
            f"--host {clip(host)} can't be found ({reason}): expected an address of this machine, as 127.0.0.1"
        ) from None
    family, kind, protocol, _, address = found[0]
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(128)
    except OSError as error:
        opened.close()
        raise RustkError(
            f"can't listen on port {port} of {clip(host)}: {error.strerror or error}: {_remedy(error)}"
        ) from None
    return opened


def _remedy(error: OSError) -> str:
    if error.errno == errno.EADDRNOTAVAIL:
        return "expected --host to be an address of this machine, as 127.0.0.1"
    return "choose another with --port, or --port 0 for one that is free"


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches the address."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def _url(host: str, address: str, port: int) -> str:
    if ipaddress.ip_address(address.partition("%")[0]).is_unspecified:
        host = socket.gethostname()  # every address of this machine: a browser needs one of them
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"
