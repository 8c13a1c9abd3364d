#!/usr/bin/env bash
# Evaluate a model; the output goes to the terminal and to eval.log in the current folder, metrics.json,
# per_utterance.csv and report.html to eval/ beside the model or to --out_dir.
usage() {
    echo "Usage: bash scripts/run_eval.sh [DEVICE_ID] [CKPT_PATH] [DATA_DIR] [--flag value ...]"
    echo "  CKPT_PATH  checkpoint (.ckpt) or exported model (.mindir, .onnx)"
    echo "  DATA_DIR   record folder, or a wav tree with mix_clean (or mix, mix_both) s1 s2"
    echo "  further flags go to eval.py: --metrics si_snr,sdr,pesq,stoi, --compare_with OTHER ..."
    echo "  DEVICE_TARGET=CPU runs without Ascend"
    echo "Example: bash scripts/run_eval.sh 0 checkpoints/dprnn/best.ckpt data/test"
    exit 1
}
set -euo pipefail
[ $# -ge 3 ] || usage
[[ "$1" =~ ^[0-9]+$ ]] || usage
[ $# -eq 3 ] || [[ "$4" == --* ]] || usage
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
use_python
device_id="$1" model="$2" data_dir="$3"
shift 3
"$PYTHON" "$ROOT/eval.py" --model_path "$model" --data_dir "$data_dir" --device_target "${DEVICE_TARGET:-Ascend}" \
    --device_id "$device_id" "$@" 2>&1 | tee -i eval.log
