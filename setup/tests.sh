#!/usr/bin/env bash
# The fast tests with coverage, then those that need the stand-in ISO and real boots; one closing line for each.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/sbin:/sbin"
pytest=".venv/bin/python -m pytest"
echo "== fast tests: no network, no virtual machine"
$pytest -q -n 2 -m "not boot and not standin and not live" --cov --cov-report=term
echo "== tests with the stand-in client ISO, and one real boot per firmware"
.venv/bin/python -m localcloud.standin
$pytest -v -m "(boot or standin) and not matrix and not live"
