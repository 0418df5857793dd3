#!/bin/sh
# Makes the virtual environment .venv with pinned packages. Quick when nothing has changed: make calls it then only.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "error: $("$python" --version) is too old; Python 3.11 or later is needed (set PYTHON to name another)" >&2
    exit 1
fi
if [ ! -x .venv/bin/pip ]; then
    "$python" -m venv .venv
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[cli,local,dev]'
