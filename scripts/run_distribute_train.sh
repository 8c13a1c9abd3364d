#!/usr/bin/env bash
# Train on several devices of this machine (or of several, see docs/en/training.md); output: terminal, train.log, train_parallel/.
usage() {
    echo "Usage: bash scripts/run_distribute_train.sh [DEVICE_NUM] [DISTRIBUTE] [RANK_TABLE_FILE] [DATA_DIR] [--flag value ...]"
    echo "  DEVICE_NUM       processes on this machine, one per device; 1 trains on one device as train.py does"
    echo "  DISTRIBUTE       1, or 0 for one device"
    echo "  RANK_TABLE_FILE  names the devices to use; none takes the first DEVICE_NUM"
    echo "  DATA_DIR         record folder to train on (preprocess.py makes it); its sibling dev or cv validates"
    echo "  further flags go to train.py; DEVICE_TARGET=CPU runs without Ascend"
    echo "  several machines: WORKER_NUM (processes in all), NODE_RANK, MASTER_ADDR, MASTER_PORT in the environment"
    echo "Example: bash scripts/run_distribute_train.sh 8 1 rank_table_8pcs.json data/train-100"
    exit 1
}
set -euo pipefail
[ $# -ge 4 ] || usage
[[ "$4" != --* ]] || usage
[ $# -eq 4 ] || [[ "$5" == --* ]] || usage
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
use_python
device_num="$1" distribute="$2" rank_table="$3" data_dir="${4%/}"
shift 4
find_valid_dir "$data_dir"
export DEVICE_TARGET="${DEVICE_TARGET:-Ascend}"
export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}"
# The launcher takes this shell's place, so that a signal to it reaches the job.
exec "$PYTHON" -m src.distributed "$device_num" "$distribute" "$rank_table" --config_path "$ROOT/configs/dprnn_libri2mix.yaml" \
    --train_dir "$data_dir" --valid_dir "$valid_dir" --device_target "$DEVICE_TARGET" "$@"
