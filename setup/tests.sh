#!/usr/bin/env bash
# The fast tests with coverage, the embedded clouds' tests, then those with the stand-in ISO and real boots.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/sbin:/sbin"
# What's compiled is kept beside what's built, for both workers and their child processes.
unset PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX="$PWD/build/pycache"
pytest=".venv/bin/python -m pytest"
echo "== fast tests: no network, no virtual machine"
$pytest -q -n 2 -m "not embedded and not assets and not boot and not standin and not live" --cov --cov-report=term
echo "== tests of the embedded clouds and of the functions' packages, through the real SDKs"
$pytest -q -n 2 --dist loadfile -m "(embedded or assets) and not boot and not live and not battery"
echo "== tests with the stand-in client ISO, and one real boot per firmware"
.venv/bin/python -m localcloud.standin
$pytest -v -m "(boot or standin) and not matrix and not live"
