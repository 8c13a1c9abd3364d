#!/usr/bin/env bash
# The whole job on real voices, on any CPU: set up, a mixture separated with the ready weights, then one's own model:
# records, training, evaluation, MINDIR, separated wavs, pictures.
# Usage: bash scripts/quickstart.sh        Results: outputs/quickstart/. Run again, it reuses what is valid.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
make_venv requirements.txt
cd "$ROOT"
export GLOG_v="${GLOG_v:-3}"
OUT=outputs/quickstart
DEVICE=(--device_target "${DEVICE_TARGET:-CPU}")

step() { echo; echo "== $*"; }

valid_records() { "$PYTHON" -c "import sys; from src.data.records.manifest import load_manifest; load_manifest(sys.argv[1])" "$1" 2>/dev/null; }
valid_checkpoint() { "$PYTHON" -c "import sys; from src.weights.checkpoint import read; read(sys.argv[1])" "$1" >/dev/null 2>&1; }

step "1/7 a held-out mixture, separated with the ready weights (checkpoints/README.md)"
ready="$("$PYTHON" -c 'from src.weights.ready_models import default; print(default().with_suffix(""))')"
# neither the best nor the worst: the one with the median improvement
mixture="samples/test/mix_clean/$("$PYTHON" scripts/quickstart_report.py --pick "${ready}_eval/per_utterance.csv").flac"
rm -f "$OUT"/*_s?.wav "$OUT"/ready/*_s?.wav
"$PYTHON" separate.py "$mixture" --out_dir "$OUT/ready" "${DEVICE[@]}"

step "2/7 records from samples/ (real voices, see samples/README.md)"
for subset in train dev test; do
    if valid_records "$OUT/data/$subset"; then
        echo "$subset: reused"
    else
        "$PYTHON" preprocess.py --in_dir samples --out_dir "$OUT/data" --subsets "$subset"
    fi
done

step "3/7 training the demo recipe (configs/dprnn_demo.yaml, about 4 minutes)"
if valid_checkpoint "$OUT/model/last.ckpt"; then again=--resume; else again=--overwrite; fi
"$PYTHON" train.py --config_path configs/dprnn_demo.yaml --train_dir "$OUT/data/train" --valid_dir "$OUT/data/dev" \
    --save_folder "$OUT/model" "$again" "${DEVICE[@]}"

step "4/7 evaluation on held-out mixtures"
"$PYTHON" eval.py --model_path "$OUT/model/best.ckpt" --data_dir "$OUT/data/test" --out_dir "$OUT/eval" "${DEVICE[@]}"

step "5/7 export to MINDIR"
"$PYTHON" export.py --model_path "$OUT/model/best.ckpt" --file_name "$OUT/dprnn.mindir" "${DEVICE[@]}"

step "6/7 the same mixture with the MINDIR"
"$PYTHON" separate.py "$mixture" --model_path "$OUT/dprnn.mindir" --out_dir "$OUT" "${DEVICE[@]}"

step "7/7 pictures and scores"
"$PYTHON" scripts/quickstart_report.py --mixture "$mixture" --out_dir "$OUT" --ready_dir "$OUT/ready"
