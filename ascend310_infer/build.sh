#!/bin/bash
# Builds the C++ inference programs into ascend310_infer/build.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=$here/../.venv/bin/python
[ -x "$python" ] || python=${PYTHON:-python3}

usage() {
    cat <<EOF
usage: bash build.sh
Builds dprnn_infer (separates wavs), dprnn_convert (ONNX to MindSpore Lite) and their tests.
environment:
  MS_LITE_HOME  an unpacked MindSpore Lite of the vendor, any 2.x; without it the Lite 2.0.0 wheel of PyPI is fetched
  DPRNN_CACHE   where the wheel is kept (ascend310_infer/.cache)
  BUILD_DIR     where to build (ascend310_infer/build, with SANITIZE=1 ascend310_infer/build-sanitize)
  SANITIZE=1    own code with AddressSanitizer and UBSan, without Lite: dprnn_infer_tests and dprnn_fuzz
EOF
}

fail() {
    echo "error: $*" >&2
    exit 1
}

# Unpacks the pinned wheel of this machine's kind once; prints its folder.
fetch_lite() {
    local cache=${DPRNN_CACHE:-$here/.cache} platform checksum
    case $(uname -m) in
        x86_64) platform=manylinux1_x86_64
                checksum=199cd0605cc985b88eddb273db9dfe9000a585ba10ca2292b6b36ebfff07b3ec ;;
        aarch64) platform=any
                 checksum=9006b56a0285833802b4880f34cbce5f94111ef5ca4071d5df5c61e8c2a3a6f7 ;;
        *) fail "no MindSpore Lite wheel for $(uname -m): set MS_LITE_HOME to the vendor's tarball, unpacked" ;;
    esac
    local lite=$cache/mindspore-lite-2.0.0-$(uname -m)
    if [ ! -d "$lite" ]; then
        mkdir -p "$cache" 2>/dev/null || fail "$cache: cannot write; DPRNN_CACHE names another folder"
        work=$(mktemp -d "$cache/.fetch.XXXXXX") || fail "$cache: cannot write; DPRNN_CACHE names another folder"
        trap 'rm -rf "$work"' EXIT  # of the subshell this runs in
        echo "fetching MindSpore Lite 2.0.0 ($platform)" >&2
        "$python" -m pip download -qq --no-deps --only-binary=:all: --python-version 3.7 --implementation cp \
            --abi cp37m --abi none --platform "$platform" --dest "$work" mindspore-lite==2.0.0 >&2 ||
            fail "cannot fetch mindspore-lite 2.0.0 with $python -m pip: set MS_LITE_HOME to the vendor's tarball, unpacked"
        echo "$checksum  $(echo "$work"/*.whl)" | sha256sum --check --status ||
            fail "the fetched MindSpore Lite wheel has another checksum than $checksum: not used"
        "$python" -m zipfile -e "$work"/*.whl "$work" || fail "$cache: cannot unpack the wheel; is the disk full?"
        mv "$work/mindspore_lite" "$lite" 2>/dev/null || [ -d "$lite" ] || fail "$lite: cannot write"
        rm -rf "$work"
    fi
    echo "$lite"
}

# step NAME COMMAND...: its output goes to NAME.log and is shown only where it fails.
step() {
    local log=$build/$1.log
    shift
    "$@" >"$log" 2>&1 || {
        grep -E 'error|Error' "$log" | head -20 >&2 || tail -20 "$log" >&2
        fail "the build failed; all of its output is in $log"
    }
}

if [ $# -ne 0 ]; then
    usage >&2
    [ "$1" = --help ] || [ "$1" = -h ] || exit 1
    exit 0
fi
for tool in cmake g++ make; do
    command -v "$tool" >/dev/null || fail "$tool is missing: install it first (Debian: apt-get install cmake g++ make)"
done

if [ "${SANITIZE:-0}" = 1 ]; then
    build=${BUILD_DIR:-$here/build-sanitize}
    options=(-DSANITIZE=ON -DWITH_LITE=OFF)
else
    build=${BUILD_DIR:-$here/build}
    if [ -n "${MS_LITE_HOME:-}" ]; then
        [ -d "$MS_LITE_HOME" ] || fail "MS_LITE_HOME=$MS_LITE_HOME: no such folder"
        lite=$(cd "$MS_LITE_HOME" && pwd)
        [ -f "$lite/runtime/include/api/model.h" ] || [ -f "$lite/include/api/model.h" ] ||
            fail "MS_LITE_HOME=$MS_LITE_HOME: no MindSpore Lite (no runtime/include/api/model.h in it)"
    else
        lite=$(fetch_lite)
    fi
    options=(-DSANITIZE=OFF -DWITH_LITE=ON -DLITE_ROOT="$lite")
fi
mkdir -p "$build" 2>/dev/null || fail "$build: cannot write; BUILD_DIR names another folder"
# What CMake found in another Lite is not asked again.
if [ -f "$build/CMakeCache.txt" ] && ! grep -qxF "LITE_ROOT:PATH=${lite:-}" "$build/CMakeCache.txt"; then
    rm -f "$build/CMakeCache.txt"
fi
step cmake cmake -S "$here" -B "$build" -G "Unix Makefiles" "${options[@]}"
step make cmake --build "$build" --parallel "${JOBS:-$(nproc)}"
echo "built in $build"
