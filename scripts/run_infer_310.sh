#!/usr/bin/env bash
# Separate test mixtures with the C++ program of ascend310_infer and score them. In the current folder:
# preprocess_Result/ (checked wavs), infer_model/ (converted model), result_Files/ (separated wavs), metrics.json,
# per_utterance.csv, report.html, build.log, infer.log, acc.log.
usage() {
    echo "Usage: bash scripts/run_infer_310.sh [MINDIR_PATH] [TEST_PATH] [NEED_PREPROCESS] [DEVICE_ID]"
    echo "  MINDIR_PATH      model of export.py: .mindir or .lite.mindir; or a checkpoint. Converted if needed"
    echo "  TEST_PATH        wav tree with mix_clean s1 s2, or record folder"
    echo "  NEED_PREPROCESS  y: check and collect TEST_PATH; n: take what an earlier run collected"
    echo "  DEVICE_ID        0 if left out"
    echo "environment:"
    echo "  DEVICE_TARGET    Ascend, or CPU for any host"
    echo "  STATIC_LENGTH    on Ascend: seconds of audio the model takes at a time (4)"
    echo "  MS_LITE_HOME     an unpacked MindSpore Lite; without it the one of PyPI is fetched"
    echo "Example: DEVICE_TARGET=CPU bash scripts/run_infer_310.sh outputs/quickstart/dprnn.mindir samples/test y"
    exit 1
}
set -euo pipefail
[ $# -eq 3 ] || [ $# -eq 4 ] || usage
[[ "$3" =~ ^[ynYN]$ ]] || usage
[[ "${4:-0}" =~ ^[0-9]+$ ]] || usage
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
use_python
model="$1" test_path="$2" preprocess="${3,,}" device_id="${4:-0}"
target="${DEVICE_TARGET:-Ascend}"
data=preprocess_Result
result=result_Files

fail() {
    echo "error: $*" >&2
    exit 1
}

case "$target" in
    CPU) static=() ;;
    Ascend) static=(--static_length "${STATIC_LENGTH:-4}") ;;
    *) fail "DEVICE_TARGET=$target: Ascend or CPU" ;;
esac
[ -f "$model" ] || fail "$model: no such model"
if [ "$preprocess" = y ]; then
    "$PYTHON" "$ROOT/scripts/collect_wavs.py" --model_path "$model" --data_dir "$test_path" --out_dir "$data"
else
    [ -d "$data/mix" ] || fail "$data: not there; run once with NEED_PREPROCESS y"
fi

bash "$ROOT/ascend310_infer/build.sh" 2>&1 | tee -i build.log

if ! grep -qs '"format": "MINDIR_LITE"' "${model%.*}.meta.json"; then
    converted=infer_model/dprnn.lite.mindir
    # the model, the target and the converter make the result
    made="$(sha256sum <"$model") $target ${static[*]:-} ${MS_LITE_HOME:-}"
    if [ "$(cat infer_model/made_of 2>/dev/null)" != "$made" ] || [ ! -f "$converted" ]; then
        "$PYTHON" "$ROOT/export.py" --model_path "$model" --file_format MINDIR_LITE --file_name "$converted" \
            --device_target "$target" --device_id "$device_id" "${static[@]}" 2>&1 | tee -i -a build.log
        echo "$made" >infer_model/made_of
    fi
    model="$converted"
fi

mkdir -p "$result"
rm -f "$result"/*_s[0-9].wav
"$ROOT/ascend310_infer/build/dprnn_infer" --model "$model" --input "$data/mix" --output "$result" \
    --device "${target,,}" --device_id "$device_id" 2>&1 | tee -i infer.log
"$PYTHON" "$ROOT/eval.py" --estimates_dir "$result" --data_dir "$data" --out_dir . --device_target CPU 2>&1 | tee -i acc.log
