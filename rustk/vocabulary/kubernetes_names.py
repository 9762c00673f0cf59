"""What Kubernetes takes as a name, a label or a quantity, so that a setting is refused before a manifest has it.

The rules are those of its API server (k8s.io/apimachinery, pkg/util/validation and pkg/api/resource), which would
refuse every Job, one at a time, or take some and never start them.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from rustk.vocabulary.checking import clip

MOST_INT32 = 2**31 - 1

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED = "[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"
_ENV_NAME = "[-._a-zA-Z][-._a-zA-Z0-9]*"
_QUANTITY = re.compile(
    r"\+?(?P<number>[0-9]+(\.[0-9]*)?|\.[0-9]+)(?P<suffix>[eE][-+]?[0-9]{1,2}|[numkMGTPE]|[KMGTPE]i)?"
)
# [host[:port]/]path[:tag][@digest], in the grammar of the distribution project.
_PART = "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(rf"([a-zA-Z0-9.-]+(:[0-9]+)?/)?{_PART}(/{_PART})*(:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(@\S+)?")
_LONGEST_LABEL = 63
_LONGEST_SUBDOMAIN = 253
_SMALLER = {"n": -9, "u": -6, "m": -3}
_LARGER = {suffix: 3 * power for power, suffix in enumerate("kMGTPE", start=1)}


def _label(value: str) -> str:
    if len(value) > _LONGEST_LABEL or not re.fullmatch(_LABEL, value):
        raise ValueError(
            f"expected at most {_LONGEST_LABEL} lower-case letters, digits and dashes, with a letter or digit at both "
            "ends, as team-a"
        )
    return value


def _subdomain(value: str, longest: int = _LONGEST_SUBDOMAIN) -> str:
    if len(value) > longest or not re.fullmatch(_SUBDOMAIN, value):
        raise ValueError(
            f"expected at most {longest} lower-case letters, digits, dashes and dots, with a letter or digit at both "
            "ends and beside each dot, as team-a"
        )
    return value


def _subdomain_or_none(value: str) -> str:
    return _subdomain(value) if value else value


def _queue(value: str) -> str:
    return _subdomain(value, _LONGEST_LABEL)  # it is the value of a label too


def _is_label_value(value: str) -> bool:
    return not value or (len(value) <= _LONGEST_LABEL and re.fullmatch(_QUALIFIED, value) is not None)


def _is_label_key(value: str) -> bool:
    prefix, slash, name = value.rpartition("/")
    if slash and (len(prefix) > _LONGEST_SUBDOMAIN or not re.fullmatch(_SUBDOMAIN, prefix)):
        return False
    return bool(name) and _is_label_value(name)


_LABEL_KEY = (
    f"a label's name, at most {_LONGEST_LABEL} letters, digits, dashes, underscores and dots with a letter or digit at "
    "both ends, after a domain and a slash if it has one, as disk or example.org/disk"
)
_LABEL_VALUE = (
    f"a label's value, at most {_LONGEST_LABEL} letters, digits, dashes, underscores and dots with a letter or digit "
    "at both ends, as ssd"
)


def _gpu_resource(value: str) -> str:
    if "/" not in value or not _is_label_key(value):
        raise ValueError("expected a domain, a slash and a name without blanks, as nvidia.com/gpu")
    return value


def _amount(value: str) -> Decimal | None:
    """A quantity as a number; None for what is no quantity."""
    found = _QUANTITY.fullmatch(value)
    if found is None:
        return None
    number, suffix = Decimal(found["number"]), found["suffix"] or ""
    if suffix.endswith("i"):
        return number * 1024 ** (_LARGER[suffix[0].replace("K", "k")] // 3)
    if suffix[:1] in ("e", "E") and suffix[1:]:
        return number.scaleb(int(suffix[1:]))
    return number.scaleb((_SMALLER | _LARGER | {"": 0})[suffix])


def _cpu(value: str) -> str:
    amount = _amount(value)
    if amount is None or not Decimal("0.001") <= amount <= MOST_INT32:
        raise ValueError("expected a number of cores, as 4 or 0.5, or of thousandths of one, as 500m")
    return value


def _memory(value: str) -> str:
    amount = _amount(value)
    # 512m would be half a byte, and a bare 8 eight bytes: both are well-formed, and neither is ever meant.
    if amount is None or not 2**20 <= amount < 2**63:
        raise ValueError("expected bytes, at least 1Mi: a number and Ki, Mi, Gi, Ti, or k, M, G, T, as 8Gi or 512Mi")
    return value


def _image(value: str) -> str:
    # That it is there, and by digest, is checked where it is used, with what to do about it.
    if value and not _IMAGE.fullmatch(value):
        raise ValueError(
            "expected registry/name@sha256:... or registry/name:tag, the name in lower-case letters, digits, dashes, "
            "underscores, dots and slashes, as registry.example.org/rustk/worker@sha256:..."
        )
    return value


def _http_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or over 65535
        fine = False
    if not fine or re.search(r"\s", value) or not value.isprintable():
        raise ValueError("expected http://HOST:PORT or https://HOST, as http://minio.storage:9000")
    return value


def _http_url_or_none(value: str) -> str:
    return _http_url(value) if value else value


def _quoted(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"expected text, in quotes, as '{value}'")
    return value


def _labels(value: Mapping[str, str]) -> Mapping[str, str]:
    for name, given in value.items():
        if not _is_label_key(name):
            raise ValueError(f"{clip(name)}: expected {_LABEL_KEY}")
        if not _is_label_value(given):
            raise ValueError(f"{clip(name)} = {clip(given)}: expected {_LABEL_VALUE}")
    return value


def _variables(value: Mapping[str, str]) -> Mapping[str, str]:
    for name, given in value.items():
        if not re.fullmatch(_ENV_NAME, name):
            raise ValueError(
                f"{clip(name)}: expected the name of a variable, letters, digits, underscores, dashes and dots, with "
                "no digit first, as TF_CPP_MIN_LOG_LEVEL"
            )
        if "\0" in given:
            raise ValueError(f"{clip(name)} = {clip(given)}: expected text without NUL")
    return value


Label = Annotated[str, AfterValidator(_label)]
Subdomain = Annotated[str, AfterValidator(_subdomain)]
SubdomainOrNone = Annotated[str, AfterValidator(_subdomain_or_none)]
Queue = Annotated[str, AfterValidator(_queue)]
GpuResource = Annotated[str, AfterValidator(_gpu_resource)]
Cpu = Annotated[str, BeforeValidator(_quoted), AfterValidator(_cpu)]
Memory = Annotated[str, AfterValidator(_memory)]
Image = Annotated[str, AfterValidator(_image)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
HttpUrlOrNone = Annotated[str, AfterValidator(_http_url_or_none)]
Labels = Annotated[dict[str, str], AfterValidator(_labels)]
Variables = Annotated[dict[str, str], AfterValidator(_variables)]


class Toleration(BaseModel):
    """A taint of nodes that a fold's pod puts up with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str | None = None
    operator: Literal["Equal", "Exists", "Gt", "Lt"] | None = None
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    tolerationSeconds: int | None = Field(None, ge=-MOST_INT32, le=MOST_INT32)  # noqa: N815 (Kubernetes' own name)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.key and not _is_label_key(self.key):
            raise ValueError(f"key {clip(self.key)}: expected {_LABEL_KEY}")
        if not self.key and self.operator != "Exists":
            raise ValueError("a toleration without a key: expected one, or operator Exists, which fits every taint")
        if self.operator == "Exists" and self.value:
            raise ValueError(f"value {clip(self.value)} beside operator Exists: leave it out, or take operator Equal")
        if not _is_label_value(self.value or ""):
            raise ValueError(f"value {clip(self.value)}: expected {_LABEL_VALUE}")
        if self.tolerationSeconds is not None and self.effect != "NoExecute":
            raise ValueError("tolerationSeconds without effect NoExecute: add the effect, or leave the seconds out")
        return self

    def fields(self) -> dict[str, Any]:
        """As a manifest has it: what was given, and nothing else."""
        return self.model_dump(exclude_unset=True, exclude_none=True)
