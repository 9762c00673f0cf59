"""From a plan and the settings to Jobs: what neither the API server nor the pods could do anything about is refused."""

import functools
import os
import re
from collections.abc import Iterable
from pathlib import Path

import rustk
from rustk.backends.base import AgainRequest, FinalRequest
from rustk.backends.kubernetes.manifests import (
    Job,
    JobSource,
    read_template,
    render_again_job,
    render_final_job,
    render_jobs,
)
from rustk.backends.kubernetes.registry import Unresolved, resolve_digest
from rustk.planning.batches import Batch
from rustk.planning.plan import Plan
from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.reading import read_text
from rustk.vocabulary.resources import resource_dir
from rustk.vocabulary.settings import KubernetesSettings, Settings

_DIGEST = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")


_resolved = functools.cache(resolve_digest)


def pinned_image(image: str | None, *, allow_tag: bool) -> str:
    """The worker's image by digest: as the settings name it, or as its registry says that the tag stands for now.

    With `allow_tag` as it is given. Raises BadStudy for what is no image, and where the digest is not known (and why).
    """
    if image is None or allow_tag or "@" in image:
        return check_image(image, allow_tag=allow_tag)
    try:
        return _resolved(image)
    except Unresolved as error:
        return check_image(image, allow_tag=False, why=f" ({error})")


def check_image(image: str | None, *, allow_tag: bool, why: str = "") -> str:
    """The worker's image. Raises BadStudy unless it is named by digest, or `allow_tag` is set.

    why: why the digest is not known otherwise.
    """
    if not image:
        raise BadStudy(
            "kubernetes.image is not set: give the worker's image by digest, name@sha256:... (make images builds it)"
        )
    if _DIGEST.fullmatch(image) or (allow_tag and not re.search(r"\s", image)):
        return image
    if "@" in image:
        raise BadStudy(
            f"kubernetes.image = {clip(image)}: expected a whole digest after the @: sha256: and 64 digits of 0-9 and "
            "a-f"
        )
    raise BadStudy(
        f"kubernetes.image = {clip(image)}: expected a digest, name@sha256:..., so that every fold runs the same "
        f"code{why}: find it with `skopeo inspect --format '{{{{.Digest}}}}' docker://{image.partition('@')[0]}`, "
        "or take the tag as it is with --allow-tag"
    )


def template_of(settings: KubernetesSettings) -> Job:
    """The Job template that the settings name, or rustk's own. Raises BadStudy for one that breaks the contract."""
    source = settings.template or "k8s/fold-job.yaml"
    path = Path(settings.template).expanduser() if settings.template else resource_dir("k8s") / "fold-job.yaml"
    try:
        return read_template(read_text(path, "a Job template in YAML"), source)
    except BadStudy as error:
        if settings.template is None:
            raise
        raise BadStudy(f"kubernetes.template: {error}") from None


def render_run(plan: Plan, settings: Settings, batches: Iterable[Batch], *, allow_tag: bool = False) -> list[Job]:
    """The Jobs of these batches of a plan. Raises BadStudy for settings or a template that won't do."""
    return render_jobs(_source(plan, settings, allow_tag), batches)


def render_final(plan: Plan, settings: Settings, request: FinalRequest) -> Job:
    """The Job of a run's final model. Raises BadStudy as `render_run` does."""
    return render_final_job(_source(plan, settings, request.allow_tag), request)


def render_again(plan: Plan, settings: Settings, request: AgainRequest) -> Job:
    """The Job that trains a fold once more. Raises BadStudy as `render_run` does."""
    return render_again_job(_source(plan, settings, request.allow_tag), request)


def _source(plan: Plan, settings: Settings, allow_tag: bool) -> JobSource:
    kubernetes = settings.kubernetes
    if not settings.store.startswith("s3://"):
        raise BadStudy(
            f"store = {clip(settings.store)}: pods can't reach a directory of this machine: expected s3://bucket/prefix"
        )
    return JobSource(
        template=template_of(kubernetes),
        settings=kubernetes,
        run=plan.run,
        study=plan.study.name,
        store_url=settings.store,
        image=pinned_image(kubernetes.image, allow_tag=allow_tag),
        version=rustk.__version__,
        # boto3 takes these from this machine's environment, which pods do not have.
        s3_endpoint_url=kubernetes.s3_endpoint_url
        or settings.s3_endpoint_url
        or os.environ.get("AWS_ENDPOINT_URL_S3")
        or os.environ.get("AWS_ENDPOINT_URL"),
    )
