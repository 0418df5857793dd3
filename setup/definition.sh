#!/bin/sh
# Judges the state machine's definition with asl-validator, which the virtual environment's own npm installs once.
set -eu
cd "$(dirname "$0")/.."
node=$(.venv/bin/python -c 'from stacks.node import npm; print(npm()[0])')
npm=$(.venv/bin/python -c 'from stacks.node import npm; print(npm()[1])')
place=build/node
if ! cmp -s setup/node/package-lock.json "$place/installed.json"; then
    mkdir -p "$place"
    cp setup/node/package.json setup/node/package-lock.json "$place/"
    if ! (cd "$place" && "$node" "$npm" ci --ignore-scripts --no-audit --no-fund) >"$place/npm.log" 2>&1; then
        cat "$place/npm.log" >&2
        echo "error: asl-validator can't be installed: npm didn't get its packages (see above). It asks npm's registry," >&2
        echo "or the one that npm is configured for, once; nothing else here needs it. Try again with a network." >&2
        exit 1
    fi
    cp setup/node/package-lock.json "$place/installed.json"
fi
"$node" "$place/node_modules/asl-validator/dist/bin/asl-validator.js" --json-path statemachine/failback.asl.json
