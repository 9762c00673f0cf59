#!/usr/bin/env bash
# The whole of regime2 (192 folds) on a small phantom dataset: on the cluster of KUBECONFIG, in batches for as many Jobs at a
# time as it has GPUs, to a report; then the same on this machine, whose tables must be the same to the last digit. Says
# how long each took.
#   tests/cluster/demo.sh [folder of the command rustk]
# Takes the environment of tests/cluster (see its conftest.py); RUSTK_DEMO_FOLDS_PER_JOB=1 makes one Job a fold, and
# RUSTK_DEMO_STUDY another study. The reports end up in demo/cluster and demo/local.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${1:-.venv/bin}
: "${KUBECONFIG:?}" "${AWS_ENDPOINT_URL_S3:?}" "${AWS_ACCESS_KEY_ID:?}" "${AWS_SECRET_ACCESS_KEY:?}" "${RUSTK_TEST_IMAGE:?}"
name=${RUSTK_DEMO_STUDY:-regime2}
study=("$name" --set model.weights=random --set training.batch_size=32)
batches=(--folds-per-job "${RUSTK_DEMO_FOLDS_PER_JOB:-auto}")
data=(--images "${RUSTK_DEMO_IMAGES:-120}" --size "${RUSTK_DEMO_SIZE:-96}")
out=demo
seconds_since() { awk "BEGIN {printf \"%.1f\", $(date +%s.%N) - $1}"; }
mkdir -p "$out"

kubectl apply -k k8s
kubectl -n rustk get secret rustk-store >/dev/null 2>&1 || kubectl -n rustk create secret generic rustk-store \
    --from-literal=AWS_ACCESS_KEY_ID="$AWS_ACCESS_KEY_ID" --from-literal=AWS_SECRET_ACCESS_KEY="$AWS_SECRET_ACCESS_KEY" \
    --from-literal=AWS_DEFAULT_REGION="${AWS_DEFAULT_REGION:-us-east-1}"

cluster() {
    RUSTK_STORE=s3://${RUSTK_TEST_BUCKET:-rustk}/cluster-demo RUSTK_BACKEND=kubernetes \
        RUSTK_KUBERNETES__IMAGE=$RUSTK_TEST_IMAGE RUSTK_KUBERNETES__CPU=500m RUSTK_KUBERNETES__MEMORY=3Gi \
        "$bin/rustk" "$@"
}
here() { RUSTK_STORE=$out/local-store RUSTK_BACKEND=local "$bin/rustk" "$@"; }

cluster phantom "${data[@]}"
cluster doctor
began=$(date +%s.%N)
cluster submit "${study[@]}" "${batches[@]}" --wait
on_cluster=$(seconds_since "$began")
cluster status "$name"
cluster aggregate "$name" --output "$out/cluster"

here phantom "${data[@]}"
began=$(date +%s.%N)
here submit "${study[@]}"
here_alone=$(seconds_since "$began")
here aggregate "$name" --output "$out/local"

for table in "$out"/local/*.csv "$out"/local/*/*.csv; do
    [ -e "$table" ] || continue
    # It says how long the folds took, and on which commit of rustk.
    [ "$(basename "$table")" != guidelines.csv ] || continue
    cmp "$table" "$out/cluster/${table#"$out"/local/}"
    echo "the same on the cluster and here: ${table#"$out"/local/}"
    compared=1
done
[ -n "${compared:-}" ] || { echo "no table was written" >&2; exit 1; }
echo "submit to end: $on_cluster s on the cluster (folds per Job: ${batches[1]}), $here_alone s here:" \
    "$(awk "BEGIN {printf \"%.2f\", $on_cluster / $here_alone}") times as long"
