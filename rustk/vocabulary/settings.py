"""Settings: flags, then RUSTK_* environment variables, then rustk.toml in the working directory, then the defaults."""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from rustk.vocabulary.checking import clip, did_you_mean, first_fault
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.kinds import kinds
from rustk.vocabulary.kubernetes_names import (
    MOST_INT32,
    Cpu,
    GpuResource,
    HttpUrl,
    HttpUrlOrNone,
    Image,
    Label,
    Labels,
    Memory,
    Queue,
    Subdomain,
    SubdomainOrNone,
    Toleration,
    Variables,
)
from rustk.vocabulary.reading import parse_json, parse_toml, read_text

SETTINGS_FILE = "rustk.toml"
_PREFIX = "RUSTK_"
# What a Job's template and an image give a worker.
_NO_SETTINGS = ("RUSTK_THREADS", "RUSTK_IMAGE", "RUSTK_COMMIT")
# Settings that an environment variable gives as JSON.
_KEPT_AS_JSON = (dict[str, str], list[Toleration])
_WHOLE_NUMBERS = (int, int | None)
_TRUTHS = (bool, bool | None)


def _folds_per_job(value: Any) -> Any:
    """A number of folds, or "auto"."""
    if value is None or value == "auto":
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1000:
        raise ValueError("expected a whole number from 1 to 1000, or auto")
    return value


FoldsPerJob = Annotated[int | Literal["auto"], BeforeValidator(_folds_per_job)]


class Section(BaseModel):
    """A section of the settings."""

    model_config = ConfigDict(extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and annotation in _WHOLE_NUMBERS:
            raise ValueError("expected a whole number")
        if isinstance(value, int | float) and not isinstance(value, bool) and annotation in _TRUTHS:
            raise ValueError("expected true or false")
        return value


class LocalSettings(Section):
    """This machine as the cluster."""

    workers: int | None = Field(None, ge=1, le=1024, description="worker processes; by default one a core")
    retries: int = Field(3, ge=0, le=1000, description="how often a fold whose worker died is tried again")


class KubernetesSettings(Section):
    """Where and how folds run on a cluster. What is not set here is as the Job template (k8s/fold-job.yaml) has it."""

    namespace: Label = Field("rustk", description="where the Jobs are made; `kubectl apply -k k8s` sets it up")
    image: Image | None = Field(None, description="of the worker, by digest: name@sha256:...")
    template: str | None = Field(None, description="path of a Job template of your own")
    gpus: int | None = Field(None, ge=0, le=MOST_INT32, description="for each fold; 0 trains on the CPU")
    gpu_resource: GpuResource = Field("nvidia.com/gpu", description="the name of the resource that a GPU is")
    cpu: Cpu | None = Field(None, description="requested for each fold, as in '4' or '500m'")
    memory: Memory | None = Field(None, description="of each fold, request and limit, as in 8Gi")
    node_selector: Labels = Field(default_factory=dict)
    tolerations: list[Toleration] = Field(default_factory=list, description="besides those of the template")
    priority_class: Subdomain | None = None
    queue: Queue | None = Field(None, description="Kueue's LocalQueue; its Jobs are made suspended")
    suspend: bool | None = Field(None, description="make Jobs suspended, for somebody to start")
    secret: SubdomainOrNone = Field(
        "rustk-store", description="with the store's credentials; empty for a cloud identity"
    )
    service_account: Subdomain | None = Field(None, description="of the workers")
    s3_endpoint_url: HttpUrl | None = Field(
        None, description="the S3 server as pods reach it, if that is another address"
    )
    env: Variables = Field(default_factory=dict, description="more environment for the workers; no credentials")
    backoff_limit: int | None = Field(None, ge=0, le=MOST_INT32, description="how often a fold is tried again")
    active_deadline_seconds: int | None = Field(
        None, ge=1, le=MOST_INT32, description="how long an attempt may be on its node"
    )
    ttl_seconds_after_finished: int | None = Field(
        None, ge=0, le=MOST_INT32, description="how long an ended Job is kept"
    )
    max_live: int | None = Field(None, ge=1, description="how many Jobs may be in the cluster at a time")
    folds_per_job: FoldsPerJob | None = Field(
        None, description="how many folds a Job trains in turn, or auto; by default one"
    )

    @field_validator("env")
    @classmethod
    def _no_credentials(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
                raise ValueError(f"{name} is a credential: put it in a Secret and name that in kubernetes.secret")
        return value


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_nested_delimiter="__", extra="forbid", validate_default=True, enable_decoding=True
    )

    store: str = Field("rustk-store", description="a directory, or s3://bucket/prefix")
    s3_endpoint_url: HttpUrlOrNone | None = Field(None, description="an S3 server other than AWS's")
    dataset: str | None = Field(None, description="the dataset studies run on; needed when the store has several")
    backend: str = Field("local", description="what trains the folds: local or kubernetes")
    local: LocalSettings = LocalSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()

    @field_validator("backend")
    @classmethod
    def _is_backend(cls, value: str) -> str:
        if value not in kinds("backends"):
            raise ValueError(did_you_mean(value, kinds("backends")))
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=_read_file())


def load_settings(flags: Mapping[str, Any] | None = None) -> Settings:
    """The settings in force. `flags` holds what the command line gave; a None there counts as not given.

    Raises BadStudy, in one line, for a value or key that rustk.toml, the environment or a flag gets wrong.
    """
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    _check_environment()
    try:
        return Settings(**given)
    except ValidationError as error:
        raise BadStudy(_explain(error, given)) from None
    except SettingsError as error:  # two variables that contradict each other, as RUSTK_LOCAL=... and RUSTK_LOCAL__...
        raise BadStudy(f"the environment variables {_PREFIX}*: {error}: expected one variable a setting") from None


def _read_file() -> dict[str, Any]:
    """rustk.toml of the working directory; empty where there is none. Raises BadStudy where it can't be read."""
    path = Path(SETTINGS_FILE)
    # A symlink that leads nowhere, or round in a circle, is there, and was meant to be read.
    if not os.path.lexists(path):
        return {}
    found = parse_toml(read_text(path, "settings in TOML"), SETTINGS_FILE)
    _refuse_quoted(found, Settings, "")
    return found


def _refuse_quoted(fields: Mapping[str, Any], model: type[BaseModel], before: str) -> None:
    """Raise BadStudy for a number or truth of the file that stands in quotes, as only a variable's value may."""
    for name, value in fields.items():
        field = model.model_fields.get(name)
        if field is None:
            continue
        if isinstance(value, Mapping) and _is_section(field):
            _refuse_quoted(value, type(field.default), f"{before}{name}.")
        elif isinstance(value, str) and field.annotation in (*_WHOLE_NUMBERS, *_TRUTHS):
            expected = "a whole number" if field.annotation in _WHOLE_NUMBERS else "true or false"
            raise BadStudy(f"{SETTINGS_FILE}: {before}{name} = {clip(value)}: expected {expected}, without quotes")


def _check_environment() -> None:
    """Raise BadStudy for a variable of a section, a list or a mapping that is not the JSON that it has to be, and for
    two variables that give the same setting."""
    there: dict[str, str] = {}
    for variable in sorted(key for key in os.environ if key.upper().startswith(_PREFIX)):
        other = there.setdefault(variable.upper(), variable)
        if other != variable and _field_at(_path(variable)) is not None:
            raise BadStudy(f"{other} and {variable} are one setting: expected one of the two: unset the other")
    for variable, value in sorted(os.environ.items()):
        if not variable.upper().startswith(_PREFIX):
            continue
        path = _path(variable)
        found = _field_at(path)
        if found is None and len(path) == 1 and variable.upper() not in _NO_SETTINGS:
            _refuse_near_miss(variable, path[0])
        if found is None and len(path) > 1 and (whole := _field_at(path[:1])) is not None and not _is_section(whole):
            raise BadStudy(f"{variable}: {path[0]} is a single setting: expected {_PREFIX}{path[0].upper()}")
        if found is None or (not (is_section := _is_section(found)) and found.annotation not in _KEPT_AS_JSON):
            continue
        is_list = found.annotation == list[Toleration]
        expected = f"expected a JSON {'array' if is_list else 'object'}"
        if is_section:
            example = next(iter(found.default.__class__.model_fields)).upper()
            expected += f", or one variable a setting, as in {variable.upper()}__{example}"
        source = f"{variable} = {clip(value)}"
        try:
            parsed = parse_json(value, source, BadStudy)
        except BadStudy as error:
            raise BadStudy(f"{error}: {expected}") from None
        if not isinstance(parsed, list if is_list else dict):
            raise BadStudy(f"{source}: {expected}")
        for name in parsed if is_section else ():
            if inner := there.get(f"{variable}__{name}".upper()):
                raise BadStudy(
                    f"{variable} and {inner} both give {'.'.join([*path, name])}: expected one of the two: unset the "
                    f"other, or take {name} out of {variable}"
                )


def _path(variable: str) -> list[str]:
    """RUSTK_LOCAL__WORKERS: ["local", "workers"]."""
    return variable[len(_PREFIX) :].lower().split("__")


def _refuse_near_miss(variable: str, name: str) -> None:
    """Raise BadStudy for a variable that was meant for a setting. Others may be anybody's: a cluster makes variables of
    the names of its Services."""
    inner = [
        (section, field)
        for section, whole in Settings.model_fields.items()
        if _is_section(whole)
        for field in type(whole.default).model_fields
    ]
    # Without its section, or with one underscore in place of two.
    within = [f"{section}__{field}" for section, field in inner if name in (field, f"{section}_{field}")]
    near = within or difflib.get_close_matches(name, Settings.model_fields, n=1, cutoff=0.8)
    if near:
        raise BadStudy(f"{variable}: there is no such setting; did you mean {_PREFIX}{near[0].upper()}?")


def _field_at(path: list[str]) -> FieldInfo | None:
    """The setting, or section, at a path."""
    found = Settings.model_fields.get(path[0])
    for part in path[1:]:
        if found is None or not _is_section(found):
            return None
        found = type(found.default).model_fields.get(part)
    return found


def _is_section(field: FieldInfo) -> bool:
    return isinstance(field.default, BaseModel)


def _explain(error: ValidationError, flags: Mapping[str, Any]) -> str:
    """The first fault, after the flag, variable or file that has it."""
    location = [str(part) for part in error.errors()[0]["loc"]]
    name = location[0] if location else ""
    given = flags.get(name)
    if given is not None and (not isinstance(given, Mapping) or (len(location) > 1 and location[1] in given)):
        where = f"--{(location[1] if isinstance(given, Mapping) else name).replace('_', '-')}"
    else:
        where = _variable_of(location) or SETTINGS_FILE
    fault = first_fault(error, Settings)
    if where.startswith("--"):  # the flag names the setting
        return f"{where} {fault.removeprefix('.'.join(location)).removeprefix(' = ')}"
    return f"{where}: {fault}"


def origin_of(name: str, value: object) -> str | None:
    """The environment variable or file that gave a setting this value; None where a flag or the default did."""
    variable = _variable_of([name])
    if variable is not None:
        return variable if os.environ[variable] == value else None
    return SETTINGS_FILE if _read_file().get(name) == value else None


def _variable_of(location: list[str]) -> str | None:
    """The environment variable that gave what lies at `location`, whole or in part; None where none did."""
    there = {key.upper(): key for key in os.environ if key.upper().startswith(_PREFIX)}
    for length in range(len(location), 0, -1):
        variable = f"{_PREFIX}{'__'.join(location[:length])}".upper()
        # One that reaches into what is no section is the fault.
        if below := [key for key in there if length == len(location) and key.startswith(f"{variable}__")]:
            return there[below[0]]
        if variable in there:
            inner = location[length:]
            # A section's variable may hold other settings than this one.
            if (
                not inner
                or length > 1
                or inner[0] in parse_json(os.environ[there[variable]], there[variable], BadStudy)
            ):
                return there[variable]
    return None
