"""Many creations at the pace of the API server: HTTP/1.1 pipelining over a few connections.

One request at a time costs each connection a round trip and a wake-up for every Job, which is most of the time that
600 Jobs take. Sending the next ones before the answers arrive saves both. A POST may only be pipelined if repeating it
does no harm: the names of Jobs are deterministic, so a repeated create answers 409 and nothing more.
"""

import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable
from urllib.parse import urlsplit

import urllib3

from rustk.cluster.client import Cluster

# Requests in flight on a connection. Few enough that neither side's socket buffer fills up while the other one writes.
_WINDOW = 5
_TIMEOUT_SECONDS = 30.0
# Nothing of an answer is read but its status, so it should be what costs the server least.
_SMALLEST = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


def post_all(
    cluster: Cluster,
    path: str,
    count: int,
    body: Callable[[int], bytes],
    *,
    connections: int,
    goes_on: Callable[[int], bool],
) -> list[int | None]:
    """POST `body(i)` for i in 0..count-1 to `path`; the HTTP statuses of the answers, in that order.

    None stands for a request that was not sent, or whose answer did not arrive: the server may have carried it out.
    Ends early, leaving the rest unsent, once a status does not satisfy `goes_on`. Raises nothing of the network's.
    """
    answers: list[int | None] = [None] * count
    if type(cluster.pool) is not urllib3.PoolManager:
        return answers  # by way of a proxy, which may not pipeline
    waiting = deque(range(count))
    stopped = threading.Event()
    context = _tls_context(cluster)
    session: ssl.SSLSession | None = None

    def work(items: deque[int]) -> None:
        nonlocal session
        try:
            with _connected(cluster, context, session) as connection:
                _converse(connection, path, body, items, answers, stopped, goes_on)
                session = session or connection.session
        except (OSError, ValueError):
            return  # what has no answer yet is asked again, one by one, by the caller

    # Alone, because its answer brings the ticket by which all other connections are spared most of the handshake, which
    # costs the server as much as a Job.
    work(deque(waiting.popleft() for _ in range(min(1, count))))
    threads = [threading.Thread(target=work, args=(waiting,), daemon=True) for _ in range(min(connections, count - 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def _converse(
    connection: "_Connection",
    path: str,
    body: Callable[[int], bytes],
    waiting: deque[int],
    answers: list[int | None],
    stopped: threading.Event,
    goes_on: Callable[[int], bool],
) -> None:
    """Send what waits and note the answers, until nothing is left or the connection fails."""
    in_flight: deque[int] = deque()
    while True:
        sending = b""
        while len(in_flight) < _WINDOW and not stopped.is_set():
            try:
                number = waiting.popleft()
            except IndexError:
                break
            in_flight.append(number)
            payload = body(number)
            sending += connection.head(path, payload) + payload
        if sending:
            connection.socket.sendall(sending)
        if not in_flight:
            return
        # Half a window at a time, so that requests leave in groups and the server is never idle.
        for _ in range(max(1, len(in_flight) // 2)):
            status = connection.receive()
            answers[in_flight.popleft()] = status
            if not goes_on(status):
                stopped.set()


class _Connection:
    """A connection to the API server, with a reader that keeps what arrived ahead."""

    def __init__(self, connected: socket.socket, base_path: str, headers: str) -> None:
        self.socket = connected
        self._answers = connected.makefile("rb")
        self._base_path = base_path
        self._headers = headers

    def __enter__(self) -> "_Connection":
        return self

    def __exit__(self, *exception: object) -> None:
        self._answers.close()
        self.socket.close()

    @property
    def session(self) -> ssl.SSLSession | None:
        """By which further connections can resume this one's TLS session; None without TLS."""
        return getattr(self.socket, "session", None)

    def head(self, path: str, payload: bytes) -> bytes:
        return (
            f"POST {self._base_path}{path} HTTP/1.1\r\n{self._headers}Content-Length: {len(payload)}\r\n\r\n"
        ).encode()

    def receive(self) -> int:
        """The status of the next answer. Raises ValueError for what is no HTTP/1.1, OSError at the connection's end."""
        # http.client's own parser takes longer for an answer's headers than the server for many a request.
        version, status, *_ = self._line().split(b" ", 2)
        if version != b"HTTP/1.1":
            raise ValueError(f"expected HTTP/1.1, not {version!r}")
        length, chunked, closing = 0, False, False
        while header := self._line():
            name, _, value = header.lower().partition(b":")
            if name == b"content-length":
                length = int(value)
            elif name == b"transfer-encoding":
                chunked = value.strip() == b"chunked"
            elif name == b"connection":
                closing = value.strip() == b"close"
        if chunked:
            self._skip_chunks()
        else:
            self._skip(length)
        if closing:
            # The requests behind this one will not be answered.
            self.socket.shutdown(socket.SHUT_RD)
        return int(status)

    def _skip_chunks(self) -> None:
        while size := int(self._line().partition(b";")[0], 16):
            self._skip(size)
            self._line()
        while self._line():  # trailers
            pass

    def _line(self) -> bytes:
        line = self._answers.readline(65_536)
        if not line.endswith(b"\n"):
            raise ConnectionError("the connection ended within an answer")
        return line.rstrip(b"\r\n")

    def _skip(self, size: int) -> None:
        if len(self._answers.read(size)) < size:
            raise ConnectionError("the connection ended within an answer")


def _tls_context(cluster: Cluster) -> ssl.SSLContext | None:
    """One for all connections, because reading certificates takes longer than shaking hands; None without TLS."""
    if urlsplit(cluster.server).scheme != "https":
        return None
    configuration = cluster.configuration
    context = ssl.create_default_context(
        cafile=configuration.ssl_ca_cert, cadata=getattr(configuration, "ca_cert_data", None)
    )
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif configuration.assert_hostname is False:
        context.check_hostname = False
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context


def _connected(cluster: Cluster, context: ssl.SSLContext | None, session: ssl.SSLSession | None) -> _Connection:
    configuration = cluster.configuration
    address = urlsplit(cluster.server)
    port = address.port or (443 if context else 80)
    connected = socket.create_connection((address.hostname, port), timeout=_TIMEOUT_SECONDS)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context is not None:
        name = configuration.tls_server_name or address.hostname
        connected = context.wrap_socket(connected, server_hostname=name, session=session)
    headers = {"Host": address.netloc, **cluster.headers(_SMALLEST, json_body=True)}
    return _Connection(connected, address.path, "".join(f"{name}: {value}\r\n" for name, value in headers.items()))
