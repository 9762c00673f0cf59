from pathlib import Path

import pytest

from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.settings import load_settings

_SUBDOMAIN = "expected at most 253 lower-case letters, digits, dashes and dots"
_CPU = "expected a number of cores, as 4 or 0.5, or of thousandths of one, as 500m"
_MEMORY = "expected bytes, at least 1Mi: "
_RESOURCE = "expected a domain, a slash and a name without blanks, as nvidia.com/gpu"
_IMAGE = "expected registry/name@sha256:... or registry/name:tag"
_URL = "expected http://HOST:PORT or https://HOST"


@pytest.fixture(autouse=True)
def _empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("namespace = 'a b'", "namespace = 'a b': expected at most 63 lower-case letters, digits and dashes"),
        ("namespace = ''", "namespace = '': expected at most 63"),
        ("namespace = 'UP'", "namespace = 'UP': expected at most 63"),
        ("namespace = 'a.b'", "namespace = 'a.b': expected at most 63"),
        (f"namespace = '{'a' * 64}'", "expected at most 63"),
        ("queue = 'UP'", "queue = 'UP': expected at most 63 lower-case letters, digits, dashes and dots"),
        (f"queue = '{'a' * 64}'", "expected at most 63"),
        ("secret = 'A_B'", f"secret = 'A_B': {_SUBDOMAIN}"),
        ("service_account = 'a..b'", f"service_account = 'a..b': {_SUBDOMAIN}"),
        (f"priority_class = '{'a' * 254}'", _SUBDOMAIN),
        ("cpu = 'four'", f"cpu = 'four': {_CPU}"),
        ("cpu = 4", "cpu = 4: expected text, in quotes, as '4'"),
        ("cpu = '0'", f"cpu = '0': {_CPU}"),
        ("cpu = '-1'", f"cpu = '-1': {_CPU}"),
        ("cpu = '1u'", f"cpu = '1u': {_CPU}"),
        ("cpu = '4 '", f"cpu = '4 ': {_CPU}"),
        ("memory = '8GB'", f"memory = '8GB': {_MEMORY}"),
        ("memory = '8gi'", f"memory = '8gi': {_MEMORY}"),
        ("memory = '8'", f"memory = '8': {_MEMORY}"),
        ("memory = '512m'", f"memory = '512m': {_MEMORY}"),
        ("memory = '1e99'", f"memory = '1e99': {_MEMORY}"),
        ("gpu_resource = 'nvidia gpu'", f"gpu_resource = 'nvidia gpu': {_RESOURCE}"),
        ("gpu_resource = 'gpu'", f"gpu_resource = 'gpu': {_RESOURCE}"),
        ("gpu_resource = 'NVIDIA.com/gpu'", f"gpu_resource = 'NVIDIA.com/gpu': {_RESOURCE}"),
        ("image = 'R/W@sha256:abc'", f"image = 'R/W@sha256:abc': {_IMAGE}"),
        ("image = 'r/w worker'", f"image = 'r/w worker': {_IMAGE}"),
        ("s3_endpoint_url = 'nope'", f"s3_endpoint_url = 'nope': {_URL}"),
        ("s3_endpoint_url = 'ftp://a'", f"s3_endpoint_url = 'ftp://a': {_URL}"),
        ("s3_endpoint_url = 'http://a:99999'", f"s3_endpoint_url = 'http://a:99999': {_URL}"),
        ("s3_endpoint_url = 'http://a b'", f"s3_endpoint_url = 'http://a b': {_URL}"),
        ("env = {'A B' = 'c'}", "env: 'A B': expected the name of a variable"),
        ("env = {'1A' = 'c'}", "env: '1A': expected the name of a variable"),
        ('env = {A = "\\u0000"}', "env: 'A' = '\\x00': expected text without NUL"),
        ("node_selector = {'a b' = 'c'}", "node_selector: 'a b': expected a label's name"),
        ("node_selector = {'A/b' = 'c'}", "node_selector: 'A/b': expected a label's name"),
        ("node_selector = {a = 'c d'}", "node_selector: 'a' = 'c d': expected a label's value"),
        (
            "tolerations = [{foo = 'x'}]",
            "there is no field kubernetes.tolerations.0.foo; expected one of key,",
        ),
        ("tolerations = [{}]", "tolerations.0: a toleration without a key: expected one, or operator Exists"),
        ("tolerations = [{key = 'a b'}]", "tolerations.0: key 'a b': expected a label's name"),
        ("tolerations = [{key = 'a', value = 'b c'}]", "tolerations.0: value 'b c': expected a label's value"),
        ("tolerations = [{key = 'a', operator = 'exists'}]", "tolerations.0.operator = 'exists': expected 'Equal'"),
        ("tolerations = [{key = 'a', operator = 'Exists', value = 'b'}]", "value 'b' beside operator Exists: leave it"),
        ("tolerations = [{key = 'a', effect = 'No'}]", "tolerations.0.effect = 'No': expected 'NoSchedule'"),
        ("tolerations = [{key = 'a', tolerationSeconds = 5}]", "tolerationSeconds without effect NoExecute: add"),
        ("gpus = 99999999999", "gpus = 99999999999: expected at most 2147483647"),
        ("backoff_limit = 2147483648", "backoff_limit = 2147483648: expected at most 2147483647"),
        ("active_deadline_seconds = 2147483648", "active_deadline_seconds = 2147483648: expected at most"),
        ("ttl_seconds_after_finished = 2147483648", "ttl_seconds_after_finished = 2147483648: expected at most"),
    ],
)
def test_what_the_api_server_would_refuse_is_refused_in_one_line(line: str, message: str) -> None:
    Path("rustk.toml").write_text(f"[kubernetes]\n{line}\n")
    with pytest.raises(BadStudy) as caught:
        load_settings()
    assert message in str(caught.value)
    assert str(caught.value).startswith(("rustk.toml: kubernetes.", "rustk.toml: there is no field kubernetes."))
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "line",
    [
        "secret = ''",
        "secret = 'store.of.team-a'",
        "cpu = '500m'",
        "cpu = '0.5'",
        "cpu = '4'",
        "cpu = '1e3'",
        "cpu = '2.'",
        "memory = '8Gi'",
        "memory = '1.5G'",
        "memory = '500M'",
        "memory = '1e9'",
        "memory = '1048576'",
        "memory = '2097152k'",
        "gpu_resource = 'nvidia.com/mig-1g.5gb'",
        "image = 'localhost:5000/rustk/worker:0.1_rc--2'",
        f"image = 'registry.example.org/rustk/worker@sha256:{'a' * 64}'",
        "s3_endpoint_url = 'http://minio.storage.svc:9000'",
        "s3_endpoint_url = 'https://[::1]:9000/'",
        "env = {TF_CPP_MIN_LOG_LEVEL = '', 'a.b-c' = 'x y'}",
        "node_selector = {'node.kubernetes.io/instance-type' = 'a2-HighGPU_1g', disk = ''}",
        "tolerations = [{operator = 'Exists'}]",
        "tolerations = [{key = 'a/b', operator = 'Equal', value = 'c', effect = 'NoExecute', tolerationSeconds = 5}]",
        "suspend = true",
        "backoff_limit = 2147483647",
    ],
)
def test_what_the_api_server_takes_is_taken(line: str) -> None:
    Path("rustk.toml").write_text(f"[kubernetes]\n{line}\n")
    load_settings()
