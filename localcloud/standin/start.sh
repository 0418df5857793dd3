#!/bin/sh
# Stand-in of the failback client's start script, written from what is publicly known of the real one's behaviour: the same
# environment variables, prompts, refusals and end. It talks to no service yet: replicate_until_launched is the place for that.
set -u

PATH=/usr/lib/standin/bin:$PATH
LABEL=DRSFAILBACK
MINIMUM_MEMORY_KB=3800000
# While this file exists, the stand-in claims that a newer ISO has been published.
NEWER_ISO=/etc/standin/newer-iso
# Seconds between two lines while nothing happens.
REPORT_EVERY=5

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

# Whether the disk, or a partition of it, carries a mounted file system: the client's own disk does.
is_in_use() {
    awk -v device="$(readlink -f "$1")" 'index($1, device) == 1 { used = 1 } END { exit !used }' /proc/mounts
}

check_pair() {
    case $1 in
    *[=:]*[=:]*) refuse "device mapping: '$1' can be split in more than one way" ;;
    ?*[=:]?*) ;;
    *) refuse "device mapping: '$1' isn't RECOVERY_DEVICE=LOCAL_DEVICE" ;;
    esac
    recovery=${1%%[=:]*} local_device=${1#*[=:]}
    say "mapping: $recovery -> $local_device"
    [ "$local_device" != EXCLUDE ] || return 0
    [ -b "$local_device" ] || refuse "device mapping: $local_device is no block device here"
    case " $taken " in
    *" $local_device "*) refuse "device mapping: $local_device is named twice" ;;
    esac
    taken="$taken $local_device"
    ! is_in_use "$local_device" || refuse "device mapping: $local_device is in use, as the client's own disk is"
}

check_mapping() {
    taken=
    rest=$1,
    while [ -n "$rest" ]; do
        check_pair "${rest%%,*}"
        rest=${rest#*,}
    done
}

# The client program's command line, checked here word by word.
check_arguments() {
    prompt=yes mapping="" key="" secret="" instance=""
    while [ $# -gt 0 ]; do
        case $1 in
        --region | --endpoint | --aws-session-token) shift ;;
        --aws-access-key-id) key=$2 && shift ;;
        --aws-secret-access-key) secret=$2 && shift ;;
        --recovery-instance-id) instance=$2 && shift ;;
        --device-mapping) mapping=$2 && shift ;;
        --default-endpoint) ;;
        --no-prompt) prompt=no ;;
        *) refuse "the client program doesn't know the argument '$1'; a device mapping holds no blanks" ;;
        esac
        shift
    done
    if [ "$prompt" = yes ]; then
        [ -n "$key" ] || ask key "Enter AWS access key ID:"
        [ -n "$secret" ] || ask secret "Enter AWS secret access key:"
        [ -n "$instance" ] || ask instance "Enter the recovery instance's ID:"
        [ -n "$mapping" ] || ask mapping "Enter the device mapping:"
    fi
    [ -n "$key" ] || refuse "no AWS access key was given"
    [ -n "$secret" ] || refuse "no AWS secret key was given"
    case $instance in
    i-*[!0-9a-f]* | i- | [!i]* | "") refuse "'$instance' is no recovery instance's ID" ;;
    esac
    [ -n "$mapping" ] || refuse "no device mapping was given"
    check_mapping "$mapping"
}

show_plan() {
    say "region: $AWS_REGION"
    say "S3 endpoint: ${S3_ENDPOINT:-the one of AWS}"
    say "DRS endpoint: ${AWS_DRS_ENDPOINT:-the one of AWS}"
    say "recovery instance: $instance"
    say "credentials: key $(printf %.4s "$key")..., the rest hidden"
}

# A launch is played by a kernel argument, so that the end of a failback can be seen without a service.
is_launched() {
    case " $(cat /proc/cmdline) " in
    *" standin.launched "*) return 0 ;;
    *) return 1 ;;
    esac
}

# ---- replaced by the stand-in client program as soon as there is a service to talk to ----
# Its status is the client program's: 0 after a launch, 1 after a failure.
replicate_until_launched() {
    until is_launched; do
        say "STANDIN-CLIENT waiting: $instance"
        sleep "$REPORT_EVERY"
    done
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
    check_arguments "$@"
    show_plan
    replicate_until_launched
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
