#!/usr/bin/env bash
# Train on one device; the output goes to the terminal and to train.log in the current folder.
usage() {
    echo "Usage: bash scripts/run_standalone_train.sh [DEVICE_ID] [DATA_DIR] [--flag value ...]"
    echo "  DATA_DIR  record folder to train on (preprocess.py makes it); its sibling dev or cv validates"
    echo "  further flags go to train.py; DEVICE_TARGET=CPU runs without Ascend"
    echo "Example: bash scripts/run_standalone_train.sh 0 data/train-100"
    exit 1
}
set -euo pipefail
[ $# -ge 2 ] || usage
[[ "$1" =~ ^[0-9]+$ ]] || usage
[ $# -eq 2 ] || [[ "$3" == --* ]] || usage
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
use_python
device_id="$1" data_dir="${2%/}"
shift 2
find_valid_dir "$data_dir"
set +e  # a log that cannot be written, or a terminal that is gone, ends no training
"$PYTHON" "$ROOT/train.py" --config_path "$ROOT/configs/dprnn_libri2mix.yaml" --train_dir "$data_dir" \
    --valid_dir "$valid_dir" --device_target "${DEVICE_TARGET:-Ascend}" --device_id "$device_id" "$@" 2>&1 | tee -i -p train.log
exit "${PIPESTATUS[0]}"
