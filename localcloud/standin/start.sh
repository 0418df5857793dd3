#!/bin/sh
# Stand-in of the failback client's start script, written from what is publicly known of the real one's behaviour: the same
# environment variables, prompts, refusals and end. Like that it runs a program as root, whose status decides.
set -u

PATH=/usr/lib/standin/bin:$PATH
LABEL=DRSFAILBACK
MINIMUM_MEMORY_KB=3800000
# While this file exists, the stand-in claims that a newer ISO has been published.
NEWER_ISO=/etc/standin/newer-iso
PROGRAM=/usr/lib/standin/failback_entry

say() { printf '%s\n' "$*"; }

refuse() {
    say "ERROR: $*"
    exit 1
}

# ask VARIABLE PROMPT: reads one line of standard input into the variable; input that has ended is no answer.
ask() {
    printf '%s ' "$2"
    # shellcheck disable=SC2229
    read -r "$1" || { say && refuse "standard input ended at a prompt"; }
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

check_memory() {
    memory=$(awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo)
    [ "$memory" -ge "$MINIMUM_MEMORY_KB" ] || refuse "the client needs 4 GB of memory; this machine has $memory kB"
}

choose_region() {
    while :; do
        [ -n "${AWS_REGION:-}" ] || ask AWS_REGION "Enter AWS region to fail back from:"
        case $AWS_REGION in
        [a-z][a-z]*-[a-z]*-[0-9]) return ;;
        esac
        say "There is no region $AWS_REGION."
        AWS_REGION=
    done
}

# Asked for only while the variable is unset: set to nothing means AWS's own endpoint.
choose_s3_endpoint() {
    [ -n "${S3_ENDPOINT+set}" ] || ask S3_ENDPOINT "Enter a custom S3 endpoint (Enter for none):"
}

check_network() {
    [ "${CONFIG_NETWORK:-0}" = 1 ] || return 0
    for name in IPADDR NETMASK GATEWAY DNS; do
        eval "value=\${$name:-}"
        [ -n "$value" ] || refuse "CONFIG_NETWORK=1 needs IPADDR, NETMASK, GATEWAY and DNS; $name is missing"
    done
}

warn_of_newer_iso() {
    [ -e "$NEWER_ISO" ] || return 0
    say "WARNING: a newer failback client ISO is available."
    ask ignored "Press Enter to go on with this one."
}

run_client_program() {
    set --
    [ -z "${AWS_REGION:-}" ] || set -- "$@" --region "$AWS_REGION"
    [ -z "${AWS_ACCESS_KEY:-}" ] || set -- "$@" --aws-access-key-id "$AWS_ACCESS_KEY"
    [ -z "${AWS_SECRET_KEY:-}" ] || set -- "$@" --aws-secret-access-key "$AWS_SECRET_KEY"
    [ -z "${AWS_SESSION_TOKEN:-}" ] || set -- "$@" --aws-session-token "$AWS_SESSION_TOKEN"
    if [ -n "${AWS_DRS_ENDPOINT:-}" ]; then
        set -- "$@" --endpoint "$AWS_DRS_ENDPOINT"
    elif [ -n "${AWS_DRS_ENDPOINT+set}" ]; then
        set -- "$@" --default-endpoint
    fi
    [ -z "${RECOVERY_INSTANCE_ID:-}" ] || set -- "$@" --recovery-instance-id "$RECOVERY_INSTANCE_ID"
    # Unquoted like the real one: a mapping with blanks falls apart into several arguments.
    # shellcheck disable=SC2086
    [ -z "${DEVICE_MAPPING:-}" ] || set -- "$@" --device-mapping $DEVICE_MAPPING
    [ -z "${NO_PROMPT:-}" ] || set -- "$@" --no-prompt
    say "S3 endpoint: ${S3_ENDPOINT:-the one of AWS}"
    as_root "$PROGRAM" "$@"
}

finish() {
    say "Failback finished; the machine restarts."
    device=$(blkid --label "$LABEL") && as_root eject -m "$device"
    as_root shutdown -r now
}

check_memory
choose_region
choose_s3_endpoint
check_network
warn_of_newer_iso
if run_client_program; then
    finish
else
    say "The failback failed; see failback.log."
    exit 1
fi
