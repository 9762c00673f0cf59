#!/usr/bin/env bash
# Builds rustk-worker and rustk-controller with docker, podman or buildah, whichever is there, and prints their names.
#   images/build.sh [worker|controller ...] [-- options of the builder]
# PREFIX (registry.example.org/team) goes before the names, TAG after them; TENSORFLOW=cpu builds the worker without
# CUDA; BASE is the image to start from; PUSH=1 pushes them and prints their names by digest.
set -euo pipefail
cd "$(dirname "$0")/.."

images=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do images+=("$1"); shift; done
[ "${1:-}" = -- ] && shift
[ ${#images[@]} -gt 0 ] || images=(worker controller)

version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' rustk/__init__.py)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
arguments=(--build-arg "VERSION=$version" --build-arg "REVISION=$revision")
for name in BASE TENSORFLOW PIP_INDEX_URL UV_INDEX_URL; do
    if [ -n "${!name:-}" ]; then arguments+=(--build-arg "$name=${!name}"); fi
done

# docker may be installed without a daemon that answers.
builder=${BUILDER:-}
if [ -z "$builder" ]; then
    for candidate in docker podman buildah; do
        if command -v "$candidate" >/dev/null && "$candidate" info >/dev/null 2>&1; then builder=$candidate; break; fi
    done
fi
[ -n "$builder" ] || { echo "images/build.sh: expected docker (and its daemon), podman or buildah" >&2; exit 1; }

for image in "${images[@]}"; do
    [ -e "images/$image.Dockerfile" ] || { echo "images/build.sh: there is no image $image: expected worker or controller" >&2; exit 1; }
    name=${PREFIX:+$PREFIX/}rustk-$image:${TAG:-$version}
    echo "building $name with $builder" >&2
    case $builder in
        *buildah) "$builder" bud --layers -t "$name" -f "images/$image.Dockerfile" "${arguments[@]}" "$@" . >&2 ;;
        *) "$builder" build -t "$name" -f "images/$image.Dockerfile" "${arguments[@]}" "$@" . >&2 ;;
    esac
    if [ -z "${PUSH:-}" ]; then echo "$name"; continue; fi
    case $builder in
        *docker)
            docker push "$name" >&2
            docker inspect --format '{{index .RepoDigests 0}}' "$name"
            ;;
        *)
            digest=$(mktemp)
            "$builder" push --digestfile "$digest" "$name" >&2
            echo "${name%:*}@$(cat "$digest")"
            rm -f "$digest"
            ;;
    esac
done
