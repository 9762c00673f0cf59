"""The server as a process: its address, its end, and what it can't listen on."""

import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from rustk.store import Store
from rustk.ui.serving import is_loopback, listen
from rustk.vocabulary.errors import BadStudy, RustkError
from tests.ui.growing import RUN, Growing


def test_a_port_in_use_is_said() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RustkError, match=rf"can't listen on port {port} of '127.0.0.1': .*--port 0"):
            listen("127.0.0.1", port)


def test_an_address_that_is_none_is_said() -> None:
    with pytest.raises(BadStudy, match=r"--host 'no such host' can't be found"):
        listen("no such host", 0)
    with pytest.raises(BadStudy, match=r"--host 'x{70,}.* can't be found"):
        listen("x" * 70, 0)
    with pytest.raises(RustkError, match=r"can't listen on port \d+ of '192.0.2.1'"):
        listen("192.0.2.1", 0)


@pytest.mark.parametrize(
    ("address", "ours"),
    [("127.0.0.1", True), ("127.8.0.1", True), ("::1", True), ("0.0.0.0", False), ("::", False), ("10.0.0.7", False)],
)
def test_which_addresses_only_this_machine_reaches(address: str, ours: bool) -> None:
    assert is_loopback(address) is ours


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_command_serves_until_it_is_told_to_end(store: Store, grown: Growing, host: str) -> None:
    command = [sys.executable, "-m", "rustk", "ui", "--store", store.url, "--host", host, "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.match(r"http://(\S+):(\d+)/(\?token=\S+)?  \(Ctrl-C ends it\)", said)
        assert found, said
        assert bool(found[3]) is (host == "0.0.0.0")
        base = f"http://127.0.0.1:{found[2]}"
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        if found[3]:
            with pytest.raises(urllib.error.HTTPError, match="403"):
                opener.open(f"{base}/")
        assert b"<title>Runs" in opener.open(f"{base}/{found[3] or ''}").read()
        assert RUN.encode() in opener.open(f"{base}/runs/{RUN}").read()
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
        assert (process.returncode, out, errors) == (130, "", "rustk: stopped\n")
    finally:
        process.kill()
        process.communicate()
