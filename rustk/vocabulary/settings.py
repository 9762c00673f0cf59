"""Settings: flags, then RUSTK_* environment variables, then rustk.toml in the working directory, then the defaults."""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from rustk.vocabulary.errors import BadStudy

SETTINGS_FILE = "rustk.toml"


class LocalSettings(BaseModel):
    """This machine as the cluster."""

    model_config = ConfigDict(extra="forbid")

    workers: int | None = Field(None, ge=1, description="worker processes; by default one a core")
    retries: int = Field(3, ge=0, description="how often a fold whose worker died is tried again")


class KubernetesSettings(BaseModel):
    """Where and how folds run on a cluster. What is not set here is as the Job template (k8s/fold-job.yaml) has it."""

    model_config = ConfigDict(extra="forbid")

    namespace: str = Field("rustk", description="where the Jobs are made; `kubectl apply -k k8s` sets it up")
    image: str | None = Field(None, description="of the worker, by digest: name@sha256:...")
    template: str | None = Field(None, description="path of a Job template of your own")
    gpus: int | None = Field(None, ge=0, description="for each fold; 0 trains on the CPU")
    gpu_resource: str = Field("nvidia.com/gpu", description="the name of the resource that a GPU is")
    cpu: str | None = Field(None, description="requested for each fold, as in '4' or '500m'")
    memory: str | None = Field(None, description="of each fold, request and limit, as in 8Gi")
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: list[dict[str, Any]] = Field(default_factory=list, description="besides those of the template")
    priority_class: str | None = None
    queue: str | None = Field(None, description="Kueue's LocalQueue; its Jobs are made suspended")
    suspend: bool | None = Field(None, description="make Jobs suspended, for somebody to start")
    secret: str = Field("rustk-store", description="with the store's credentials; empty for a cloud identity")
    service_account: str | None = Field(None, description="of the workers")
    s3_endpoint_url: str | None = Field(None, description="the S3 server as pods reach it, if that is another address")
    env: dict[str, str] = Field(default_factory=dict, description="more environment for the workers; no credentials")
    backoff_limit: int | None = Field(None, ge=0, description="how often a fold is tried again")
    active_deadline_seconds: int | None = Field(None, ge=1, description="how long an attempt may be on its node")
    ttl_seconds_after_finished: int | None = Field(None, ge=0, description="how long an ended Job is kept")
    max_live: int | None = Field(None, ge=1, description="how many Jobs may be in the cluster at a time")

    @field_validator("env")
    @classmethod
    def _no_credentials(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
                raise ValueError(f"{name} is a credential: put it in a Secret and name that in kubernetes.secret")
        return value


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="RUSTK_", env_nested_delimiter="__", toml_file=SETTINGS_FILE, extra="forbid", validate_default=True
    )

    store: str = Field("rustk-store", description="a directory, or s3://bucket/prefix")
    s3_endpoint_url: str | None = Field(None, description="an S3 server other than AWS's")
    dataset: str | None = Field(None, description="the dataset studies run on; needed when the store has several")
    backend: Literal["local", "kubernetes"] = "local"
    local: LocalSettings = LocalSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_settings(flags: Mapping[str, Any] | None = None) -> Settings:
    """The settings in force. `flags` holds what the command line gave; a None there counts as not given.

    Raises BadStudy, in one line, for a value or key that rustk.toml, the environment or a flag gets wrong.
    """
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise BadStudy(_explain(error, given)) from None
    except tomllib.TOMLDecodeError as error:
        raise BadStudy(f"{SETTINGS_FILE} is not TOML: {error}") from None


def _explain(error: ValidationError, flags: Mapping[str, Any]) -> str:
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"])
    name = str(first["loc"][0]) if first["loc"] else ""
    where = f"flag --{name.replace('_', '-')}" if name in flags else f"RUSTK_{path.replace('.', '__').upper()}"
    if name not in flags and Path(SETTINGS_FILE).exists():
        where = f"{SETTINGS_FILE} or {where}"
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, Settings.model_fields, n=1)
        hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(Settings.model_fields)}"
        return f"{where}: there is no setting {path!r}; {hint}"
    return f"{where}: {path} = {first.get('input')!r}: {first['msg'][0].lower()}{first['msg'][1:]}"
