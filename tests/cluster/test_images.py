"""What the worker's image is, from within a fold's container."""

import json
from collections.abc import Callable

from .conftest import Workplace, eventually

LOOK = """
import json, os, shutil, sys
def writable(path):
    try:
        open(os.path.join(path, "probe"), "w").close()
        return True
    except OSError:
        return False
print(json.dumps({
    "uid": os.getuid(),
    "tools": [name for name in ("gcc", "cc", "make", "uv", "git", "curl") if shutil.which(name)],
    "pip": os.path.exists(os.path.join(os.path.dirname(sys.executable), "pip")),
    "writable": [path for path in ("/", "/opt/rustk", "/opt/code", "/home", "/tmp") if writable(path)],
    "token": os.path.exists("/var/run/secrets/kubernetes.io"),
    "home": os.environ["HOME"],
    "capabilities": open("/proc/self/status").read().split("CapEff:")[1].split()[0],
    "package": __import__("rustk").__file__,
}))
"""


def test_the_container_is_bare(workplace: Workplace, standin: Callable[[str], None]) -> None:
    standin(f"python -c '{LOOK}'; exit 65")
    workplace.rustk("submit", workplace.study("looks"))
    run = workplace.run_of("looks")
    printed = eventually("a log", lambda: workplace.rustk("logs", run, "-f", code=None).out, 180)
    workplace.rustk("cancel", run)
    found = json.loads(printed)
    assert found["uid"] != 0
    assert found["tools"] == []
    assert found["pip"] is False
    assert found["writable"] == ["/tmp"]
    assert found["token"] is False
    assert int(found["capabilities"], 16) == 0
    assert found["package"].startswith("/opt/code/")
