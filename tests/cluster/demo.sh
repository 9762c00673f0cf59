#!/usr/bin/env bash
# The whole of regime2 on a small phantom dataset: 192 Jobs on the cluster of KUBECONFIG, as many at a time as it has
# GPUs, to a report; then the same on this machine, whose tables must be the same to the last digit.
#   tests/cluster/demo.sh [folder of the command rustk]
# Takes the environment of tests/cluster (see its conftest.py). The reports end up in demo/cluster and demo/local.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${1:-.venv/bin}
: "${KUBECONFIG:?}" "${AWS_ENDPOINT_URL_S3:?}" "${AWS_ACCESS_KEY_ID:?}" "${AWS_SECRET_ACCESS_KEY:?}" "${RUSTK_TEST_IMAGE:?}"
study=(regime2 --set model.weights=random --set training.batch_size=32)
data=(--images "${RUSTK_DEMO_IMAGES:-120}" --size "${RUSTK_DEMO_SIZE:-96}")
out=demo
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
cluster submit "${study[@]}"
cluster wait regime2
cluster status regime2
cluster aggregate regime2 --output "$out/cluster"

here phantom "${data[@]}"
here submit "${study[@]}"
here aggregate regime2 --output "$out/local"

for table in "$out"/local/*.csv "$out"/local/*/*.csv; do
    [ -e "$table" ] || continue
    cmp "$table" "$out/cluster/${table#"$out"/local/}"
    echo "the same on the cluster and here: ${table#"$out"/local/}"
    compared=1
done
[ -n "${compared:-}" ] || { echo "no table was written" >&2; exit 1; }
