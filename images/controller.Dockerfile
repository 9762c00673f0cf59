# The controller: the command `rustk` without TensorFlow, for `rustk submit`, `wait`, `aggregate` and `ui` within a cluster.
# `make images` builds it; by hand, from the folder above:
#   docker build -f images/controller.Dockerfile -t rustk-controller .
# A mirror of the package index: --build-arg PIP_INDEX_URL / UV_INDEX_URL.
ARG BASE=docker.io/library/python:3.11-slim

FROM ${BASE} AS dependencies
ARG PIP_INDEX_URL
ARG UV_INDEX_URL
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1 UV_NATIVE_TLS=true
WORKDIR /src
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --quiet --no-cache-dir 'uv>=0.5,<1' \
    && /opt/uv/bin/uv venv --quiet --python "$(command -v python3)" /opt/rustk
COPY constraints.txt pyproject.toml ./
RUN /opt/uv/bin/uv pip install --quiet --python /opt/rustk/bin/python --constraint constraints.txt \
        --requirement pyproject.toml --extra ui

FROM dependencies AS code
COPY . .
RUN /opt/uv/bin/uv pip install --quiet --python /opt/rustk/bin/python --target /opt/code --no-deps .

FROM ${BASE}
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="rustk-controller" \
      org.opencontainers.image.description="Submits, watches and aggregates rustk studies" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Two layers: a node that has the dependencies pulls the code alone.
COPY --from=dependencies /opt/rustk /opt/rustk
COPY --from=code /opt/code /opt/code
# The root file system may be read-only: what libraries write to a home directory goes to /tmp.
ENV RUSTK_COMMIT=${REVISION} \
    PATH=/opt/rustk/bin:/opt/code/bin:$PATH \
    PYTHONPATH=/opt/code \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /tmp
USER 10001:10001
ENTRYPOINT ["python", "-m", "rustk"]
