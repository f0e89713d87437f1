#!/usr/bin/env bash
# Texts: Lamplighter beside sentence-transformers, ONNX Runtime and OpenVINO. An environment of pinned versions, the model, the
# texts, then text.py; options are its own.
set -euo pipefail

cd "$(dirname "$0")/../../.."
root="$PWD"
target="${CARGO_TARGET_DIR:-target}/peers"
mkdir -p "$target"
if [ ! -x "$target/venv/bin/python" ]; then
    python3 -m venv "$target/venv"
fi
python="$root/$target/venv/bin/python"
"$python" -m pip install --quiet --requirement tests/bench/peers/requirements.txt
PYTHON="$python" fixtures/train/fetch.sh reviews minilm hutto
# Some machines set these for old libraries; they slow new ones.
env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE "$python" tests/bench/peers/text.py --target "$target" "$@"
