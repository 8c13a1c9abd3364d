#!/bin/bash
# ONNX to MindSpore Lite's .mindir, with the converter of the Lite that will run it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
    cat <<EOF
usage: bash convert.sh IN.onnx OUT.mindir
Takes the vendor's converter_lite where MS_LITE_HOME has one, else dprnn_convert of build.sh.
environment:
  MS_LITE_HOME   an unpacked MindSpore Lite of the vendor
  BUILD_DIR      where build.sh has built (ascend310_infer/build)
  DEVICE_TARGET  Ascend: optimize for it (vendor's converter only; ASCEND_CHIP names the chip: Ascend310, Ascend310P)
  CONFIG_FILE    converter_lite's configuration: [ascend_context] precision_mode, input_shape, ...
EOF
}

fail() {
    echo "error: $*" >&2
    exit 1
}

if [ $# -ne 2 ]; then
    usage >&2
    [ "${1:-}" = --help ] || [ "${1:-}" = -h ] || exit 1
    exit 0
fi
model=$1 out=$2
[ -f "$model" ] || fail "$model: no such model"
[[ $out == *.mindir ]] || fail "$out: the converted model's name must end in .mindir"
tools=${MS_LITE_HOME:-}/tools/converter
if [ -z "${MS_LITE_HOME:-}" ] || [ ! -x "$tools/converter/converter_lite" ]; then
    convert=${BUILD_DIR:-$here/build}/dprnn_convert
    [ -x "$convert" ] || fail "$convert: not built; run build.sh first (a vendor's Lite needs its tools/converter)"
    [ "${DEVICE_TARGET:-CPU}" != Ascend ] ||
        echo "no converter_lite: converted without optimizing for Ascend, which Lite then does on loading" >&2
    exec "$convert" "$model" "$out"
fi

mkdir -p "$(dirname "$out")"
work=$(mktemp -d "$(dirname "$out")/.convert.XXXXXX") || fail "$out: cannot write"
trap 'rm -rf "$work"' EXIT
options=(--fmk=ONNX "--modelFile=$model" "--outputFile=$work/model" --saveType=MINDIR)
if [ "${DEVICE_TARGET:-CPU}" = Ascend ]; then
    options+=("--optimize=ascend_oriented${ASCEND_CHIP:+:$ASCEND_CHIP}")
fi
[ -z "${CONFIG_FILE:-}" ] || options+=("--configFile=$CONFIG_FILE")
LD_LIBRARY_PATH=$tools/lib:$MS_LITE_HOME/runtime/lib:${LD_LIBRARY_PATH:-} \
    "$tools/converter/converter_lite" "${options[@]}" >"$work/log" 2>&1 && [ -f "$work/model.mindir" ] || {
    tail -5 "$work/log" >&2
    fail "$model: converter_lite cannot convert it"
}
chmod 644 "$work/model.mindir"
mv "$work/model.mindir" "$out"
echo "$out: $(stat -c %s "$out") bytes"
