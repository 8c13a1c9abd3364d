# Sourced by the other scripts: ROOT, and PYTHON with everything requirements.txt names.
# The interpreter is .venv's where there is one, else $PYTHON, else python3 from the PATH.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

use_python() {
    if [ -x "$ROOT/.venv/bin/python" ]; then
        PYTHON="$ROOT/.venv/bin/python"
    else
        PYTHON="${PYTHON:-python3}"
    fi
    if ! command -v "$PYTHON" >/dev/null; then
        echo "error: no $PYTHON; install Python 3.11" >&2
        exit 1
    fi
}

# make_venv REQUIREMENTS: create .venv if needed and install the file, once for each version of it.
make_venv() {
    local requirements="$ROOT/$1" stamp wanted
    stamp="$ROOT/.venv/.installed-$1"
    wanted="$(cat "$ROOT"/requirements*.txt | sha256sum)"
    if [ ! -x "$ROOT/.venv/bin/python" ]; then
        local base="${PYTHON:-}"
        if [ -z "$base" ]; then
            base="$(command -v python3.11 || command -v python3 || true)"
        fi
        if [ -z "$base" ] || ! "$base" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
            echo "error: Python 3.11 is needed (found: ${base:-none}); set PYTHON=/path/to/python3.11" >&2
            exit 1
        fi
        echo "creating .venv with $base"
        "$base" -m venv "$ROOT/.venv" || { echo "error: cannot create $ROOT/.venv" >&2; exit 1; }
    fi
    PYTHON="$ROOT/.venv/bin/python"
    if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
        echo "installing $1 (about a minute)"
        "$PYTHON" -m pip install -q --disable-pip-version-check -r "$requirements" \
            || { echo "error: pip could not install $requirements" >&2; exit 1; }
        echo "$wanted" >"$stamp"
    fi
}

# find_valid_dir DATA_DIR: valid_dir becomes its sibling dev or cv, or nothing.
find_valid_dir() {
    local name
    valid_dir=""
    for name in dev cv; do
        if [ -d "$(dirname "$1")/$name" ]; then valid_dir="$(dirname "$1")/$name"; return; fi
    done
    echo "no dev or cv folder beside $1: training without validation"
}
