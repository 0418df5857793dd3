#!/bin/sh
# Installs the Debian packages that are missing: as root, else through sudo, else a list of what is missing. Those named
# as arguments are wanted too.
set -eu
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/sbin:/sbin"
wanted="$(sed -e 's/#.*//' setup/packages.txt) $*"
# Debian's Python can't make virtual environments by itself; another one, named by PYTHON or first on PATH, mostly can.
if ! "${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null; then
    wanted="$wanted python3 python3-venv"
fi
missing=
for package in $wanted; do
    state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
    case $state in ii*) ;; *) missing="$missing $package" ;; esac
done
if [ -z "$missing" ]; then exit 0; fi
if ! command -v apt-get >/dev/null; then
    echo "error: these are missing and there is no apt-get here to install them:$missing" >&2
    echo "They are Debian's names; setup/packages.txt says what each is for." >&2
    exit 1
fi
as_root=
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "error: these Debian packages are missing, and neither root nor sudo is at hand:$missing" >&2
        exit 1
    fi
    as_root="sudo -n"
    if [ -t 0 ]; then as_root=sudo; fi
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# shellcheck disable=SC2086 # lists of words on purpose
if ! { $as_root apt-get update -q && $as_root apt-get install -q -y --no-install-recommends $missing; } >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    exit 1
fi
rm -f "$log"
