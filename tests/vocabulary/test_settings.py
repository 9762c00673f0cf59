import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def _empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refusal(flags: dict[str, object] | None = None) -> str:
    with pytest.raises(BadStudy) as caught:
        load_settings(flags)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600
    return str(caught.value)


def test_flags_before_environment_before_file_before_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().store == "rustk-store"
    Path("rustk.toml").write_text('store = "from-file"\n[local]\nworkers = 3\n')
    assert load_settings().store == "from-file"
    assert load_settings().local.workers == 3
    monkeypatch.setenv("RUSTK_STORE", "from-environment")
    assert load_settings().store == "from-environment"
    assert load_settings({"store": "from-flag"}).store == "from-flag"
    assert load_settings({"store": None}).store == "from-environment"


def test_the_environment_reaches_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSTK_LOCAL__WORKERS", "5")
    assert load_settings().local.workers == 5
    monkeypatch.setenv("RUSTK_KUBERNETES", '{"namespace": "n", "env": {"A": "b"}}')
    monkeypatch.setenv("RUSTK_KUBERNETES__NODE_SELECTOR", '{"disk": "ssd"}')
    monkeypatch.setenv("RUSTK_KUBERNETES__TOLERATIONS", '[{"key": "gpu"}]')
    kubernetes = load_settings().kubernetes
    assert (kubernetes.namespace, kubernetes.env) == ("n", {"A": "b"})
    assert kubernetes.node_selector == {"disk": "ssd"}
    assert [toleration.fields() for toleration in kubernetes.tolerations] == [{"key": "gpu"}]


def test_settings_beside_each_other_are_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("rustk.toml").write_text("[local]\nworkers = 3\nretries = 1\n")
    monkeypatch.setenv("RUSTK_LOCAL__WORKERS", "5")
    assert load_settings({"local": {"retries": 2}}).local.model_dump() == {"workers": 5, "retries": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stor = 'x'", "rustk.toml: there is no field stor; did you mean store?"),
        ("[local]\nworkres = 3", "rustk.toml: there is no field local.workres; did you mean workers?"),
        ("[kubernetes]\nimagee = 3", "rustk.toml: there is no field kubernetes.imagee; did you mean image?"),
        ("backend = 'slurm'", "rustk.toml: backend = 'slurm': expected one of"),
        ("backend = 'lokal'", "rustk.toml: backend = 'lokal': did you mean local?"),
        ("store = ", "rustk.toml, line 1: not TOML: invalid value, in 'store ='"),
        (
            "[local]\nworkers = 2\nworkers = 3",
            "rustk.toml, line 3: 'workers = 3' sets what the file has set before: expected each key and section once",
        ),
        ("store = 5", "rustk.toml: store = 5: expected text"),
        ("store = 2025-01-31", "rustk.toml: store = 2025-01-31: expected text"),
        ("local = 5", "rustk.toml: local = 5: expected a section"),
        ("local = [1]", "rustk.toml: local = [1]: expected a section"),
        ("[local]\nworkers = 0", "rustk.toml: local.workers = 0: expected at least 1"),
        ("[kubernetes]\ntolerations = [1]", "rustk.toml: kubernetes.tolerations.0 = 1: expected a section"),
        ("[local]\nworkers = true", "rustk.toml: local.workers = true: expected a whole number"),
        ("[local]\nworkers = inf", "rustk.toml: local.workers = inf: expected a"),
        ("s3_endpoint_url = 'nope'", "rustk.toml: s3_endpoint_url = 'nope': expected http://HOST:PORT or https://HOST"),
        ("s3_endpoint_url = 'http://a:99999'", "s3_endpoint_url = 'http://a:99999': expected http://HOST:PORT"),
        ("[kubernetes]\nsuspend = 1", "rustk.toml: kubernetes.suspend = 1: expected true or false"),
        ("[kubernetes]\nsuspend = 1.0", "rustk.toml: kubernetes.suspend = 1.0: expected true or false"),
        ("[kubernetes]\nsuspend = 'yes'", "kubernetes.suspend = 'yes': expected true or false, without quotes"),
        ("[local]\nworkers = 1.5", "rustk.toml: local.workers = 1.5: expected a whole number"),
        (f"[local]\nworkers = {'9' * 4000}", "rustk.toml: local.workers = 9999"),
        (f"[local]\nworkers = {'9' * 5000}", "rustk.toml: not TOML: a number of thousands of digits"),
        (f"[local]\nworkers = 0x{'f' * 5000}", "rustk.toml: a number of thousands of digits"),
        (f"store = {'[' * 3000}{']' * 3000}", "rustk.toml: nested too deeply"),
        (f"{'.'.join('a' * 3000)} = 1", "rustk.toml: nested too deeply"),
        (f"[{'.'.join('a' * 3000)}]", "rustk.toml: nested too deeply"),
        ("[kubernetes.env]\nA = 5", "rustk.toml: kubernetes.env.A = 5: expected text"),
        ("[kubernetes]\ntolerations = ['x']", "rustk.toml: kubernetes.tolerations.0 = 'x': expected a"),
        (
            "[kubernetes.env]\nAWS_SECRET_ACCESS_KEY = 'x'",
            "rustk.toml: kubernetes.env: AWS_SECRET_ACCESS_KEY is",
        ),
    ],
)
def test_nonsense_in_the_file_is_one_line(text: str, message: str) -> None:
    Path("rustk.toml").write_text(text)
    assert message in refusal()


def test_a_file_that_is_no_text_file_is_not_ignored(tmp_path: Path) -> None:
    path = Path("rustk.toml")
    path.write_bytes("store = 'é'".encode("latin-1"))
    assert refusal() == "rustk.toml: byte 9 is not UTF-8: expected settings in TOML"
    path.unlink()
    path.mkdir()
    assert refusal() == "rustk.toml: is a directory: expected settings in TOML"
    path.rmdir()
    path.symlink_to("rustk.toml")
    assert refusal() == "rustk.toml: too many levels of symbolic links: expected settings in TOML"
    path.unlink()
    path.symlink_to("nowhere")
    assert refusal() == "rustk.toml: no such file or directory: expected settings in TOML"


def test_a_number_in_quotes_is_refused_where_a_file_has_it() -> None:
    Path("rustk.toml").write_text('[local]\nworkers = "4"\n')
    assert refusal() == "rustk.toml: local.workers = '4': expected a whole number, without quotes"


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("RUSTK_LOCAL", "garbage", "RUSTK_LOCAL = 'garbage': not JSON: .*: expected a JSON object, or one variable a"),
        ("RUSTK_LOCAL", "", "RUSTK_LOCAL = '': not JSON"),
        ("RUSTK_LOCAL", "5", "RUSTK_LOCAL = '5': expected a JSON object, .*, as in RUSTK_LOCAL__WORKERS"),
        ("RUSTK_LOCAL", "[]", r"RUSTK_LOCAL = '\[\]': expected a JSON object"),
        ("RUSTK_LOCAL", "NaN", "RUSTK_LOCAL = 'NaN': not JSON"),
        ("RUSTK_LOCAL", "[" * 100_000, "RUSTK_LOCAL = .*: nested too deeply"),
        ("RUSTK_LOCAL", '{"workers": 0}', "RUSTK_LOCAL: local.workers = 0: expected at least"),
        ("RUSTK_LOCAL", '{"workres": 1}', r"RUSTK_LOCAL: there is no field local\.workres; did you mean workers\?"),
        ("RUSTK_LOCAL__WORKERS", "0", "RUSTK_LOCAL__WORKERS: local.workers = '0': expected at least"),
        ("RUSTK_LOCAL__WORKERS", "", "RUSTK_LOCAL__WORKERS: local.workers = '': expected a whole number"),
        ("RUSTK_LOCAL__WORKERS", "9" * 5000, "RUSTK_LOCAL__WORKERS: local.workers = '999.* unable to parse"),
        ("RUSTK_LOCAL__WORKRES", "1", r"RUSTK_LOCAL__WORKRES: there is no field local\.workres; did you mean workers"),
        ("RUSTK_BACKEND", "slurm", "RUSTK_BACKEND: backend = 'slurm': expected one of"),
        ("rustk_backend", "slurm", "rustk_backend: backend = 'slurm': expected one of"),
        ("RUSTK_KUBERNETES", "garbage", "RUSTK_KUBERNETES = 'garbage': not JSON: .*RUSTK_KUBERNETES__NAMESPACE"),
        ("RUSTK_KUBERNETES__ENV", "garbage", "RUSTK_KUBERNETES__ENV = 'garbage': not JSON: .*: expected a JSON object"),
        (
            "RUSTK_KUBERNETES__ENV",
            '{"A": 1}',
            r"RUSTK_KUBERNETES__ENV: kubernetes\.env\.A = 1: expected",
        ),
        ("RUSTK_KUBERNETES__TOLERATIONS", "{}", r"TOLERATIONS = '{}': expected a JSON array"),
        ("RUSTK_KUBERNETES__TOLERATIONS", "[1]", r"RUSTK_KUBERNETES__TOLERATIONS: kubernetes\.tolerations\.0 = 1: "),
        ("RUSTK_KUBERNETES__GPUS", "many", "RUSTK_KUBERNETES__GPUS: kubernetes.gpus = 'many': "),
        ("RUSTK_KUBERNETES__FOLDS_PER_JOB", "0", r"FOLDS_PER_JOB: kubernetes.folds_per_job = '?0'?: expected a whole"),
        ("RUSTK_LOCAL__WORKERS__X", "1", "RUSTK_LOCAL__WORKERS__X"),
        ("RUSTK_DATASET__X", "1", "RUSTK_DATASET__X: dataset is a single setting: expected RUSTK_DATASET"),
        ("RUSTK_LOCAL", '{"workers": 1, "workers": 2}', "RUSTK_LOCAL = .*: 'workers' appears twice"),
    ],
)
def test_nonsense_in_the_environment_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv("RUSTK_STORE", "fine")
    monkeypatch.setenv("RUSTK_KUBERNETES__NAMESPACE", "fine")
    monkeypatch.setenv(variable, value)
    assert re.search(message, refusal()), refusal()


@pytest.mark.parametrize(("given", "read"), [("auto", "auto"), ("12", 12), ("1000", 1000)])
def test_folds_per_job_is_a_number_or_auto(monkeypatch: pytest.MonkeyPatch, given: str, read: object) -> None:
    assert load_settings({"kubernetes": {"folds_per_job": given}}).kubernetes.folds_per_job == read
    monkeypatch.setenv("RUSTK_KUBERNETES__FOLDS_PER_JOB", given)
    assert load_settings().kubernetes.folds_per_job == read


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"backend": "x"}, "--backend 'x': expected one of"),
        ({"local": {"workers": 0}}, "--workers 0: expected at least 1"),
        ({"kubernetes": {"max_live": 0}}, "--max-live 0: expected at least"),
        ({"kubernetes": {"folds_per_job": "x"}}, "--folds-per-job 'x': expected a whole"),
        ({"kubernetes": {"namespace": "a b"}}, "--namespace 'a b': expected at most 63 lower-case letters"),
        ({"kubernetes": {"image": "R/W"}}, "--image 'R/W': expected registry/name@sha256:"),
    ],
)
def test_a_wrong_flag_is_named(flags: dict[str, object], message: str) -> None:
    Path("rustk.toml").write_text("backend = 'local'\n[local]\nworkers = 3\n")
    assert message in refusal(flags)


_NAMES = st.sampled_from(
    [
        *("", "__", "STORE", "BACKEND", "NOTHING", "LOCAL", "LOCAL__", "LOCAL__WORKERS", "LOCAL__WORKERS__X"),
        *("KUBERNETES", "KUBERNETES__ENV", "KUBERNETES__ENV__A"),
        *("KUBERNETES__TOLERATIONS", "KUBERNETES__TOLERATIONS__0"),
    ]
)
_VALUES = st.sampled_from(["", "5", "{}", "[]", "null", '{"workers": 2}', '{"env": 5}', '{"": {}}', "local", "[["])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(given_variables=st.dictionaries(_NAMES, _VALUES, max_size=4))
def test_any_environment_is_read_or_refused(given_variables: dict[str, str]) -> None:
    shown = "RUSTK_"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given_variables.items():
            patch.setenv(f"RUSTK_{name}", value)
        try:
            load_settings()
        except BadStudy as error:
            shown = str(error)
    assert "RUSTK_" in shown


_TOML = st.recursive(
    st.integers() | st.booleans() | st.text(st.characters(codec="ascii", exclude_categories=["C"])) | st.floats(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(list(Settings.model_fields)), value=_TOML)
def test_any_value_in_the_file_is_read_or_refused(name: str, value: object) -> None:
    def toml(value: object) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(toml, value)) + "]"
        return json.dumps(value).replace("Infinity", "inf").replace("NaN", "nan")

    Path("rustk.toml").write_text(f"{name} = {toml(value)}\n")
    shown = "rustk.toml: "
    try:
        load_settings()
    except BadStudy as error:
        shown = str(error)
    assert shown.startswith("rustk.toml: ")


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("RUSTK_STOR", "RUSTK_STORE"),
        ("RUSTK_STROE", "RUSTK_STORE"),
        ("RUSTK_DATASETS", "RUSTK_DATASET"),
        ("RUSTK_WORKERS", "RUSTK_LOCAL__WORKERS"),
        ("RUSTK_LOCAL_WORKERS", "RUSTK_LOCAL__WORKERS"),
        ("RUSTK_KUBERNETES_S3_ENDPOINT_URL", "RUSTK_KUBERNETES__S3_ENDPOINT_URL"),
    ],
)
def test_a_variable_that_was_meant_for_a_setting_is_named(
    variable: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "x")
    with pytest.raises(BadStudy, match=rf"^{variable}: there is no such setting; did you mean {meant}\?"):
        load_settings()


def test_variables_of_a_service_in_the_cluster_are_nobodys_business(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUSTK_SERVICE_HOST", "RUSTK_PORT", "RUSTK_LOCAL_SERVICE_HOST", "RUSTK_LOCAL_PORT_80_TCP_ADDR"):
        monkeypatch.setenv(name, "tcp://10.0.0.1:80")
    for name in ("RUSTK_UI_SERVICE_HOST", "RUSTK_UI_PORT", "RUSTK_THREADS", "RUSTK_IMAGE", "RUSTK_COMMIT"):
        monkeypatch.setenv(name, "tcp://10.0.0.1:80")
    load_settings()


def test_two_variables_that_give_one_setting_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSTK_LOCAL", '{"workers": 2, "retries": 1}')
    monkeypatch.setenv("RUSTK_LOCAL__WORKERS", "3")
    assert refusal() == (
        "RUSTK_LOCAL and RUSTK_LOCAL__WORKERS both give local.workers: expected one of the two: unset the other, or "
        "take workers out of RUSTK_LOCAL"
    )
    monkeypatch.setenv("RUSTK_LOCAL", '{"retries": 1}')
    assert load_settings().local.model_dump() == {"workers": 3, "retries": 1}
    monkeypatch.setenv("rustk_local__workers", "4")
    assert refusal() == (
        "RUSTK_LOCAL__WORKERS and rustk_local__workers are one setting: expected one of the two: unset the other"
    )


def test_an_empty_endpoint_is_none_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSTK_S3_ENDPOINT_URL", "")
    assert load_settings().s3_endpoint_url == ""
