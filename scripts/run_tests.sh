#!/usr/bin/env bash
# Set up .venv and run every check: ruff, unit tests, end-to-end tests. Arguments go to pytest.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
make_venv requirements-dev.txt
cd "$ROOT"
"$PYTHON" -m ruff check .
# test files side by side, each in one process: module fixtures are made once. In their own order, the long ones of
# tests/system first: pytest-xdist would leave files of few tests for the end, and those are the long ones.
"$PYTHON" -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder "$@"
