#!/bin/sh
# Runs inside the booted client image: reads this machine's settings, gets credentials, starts AWS's Failback Client
# unattended exactly once, and powers the machine off when it's done. Every step is a mark on the serial console.
# Every default below is the one in production; options exist so that anything can be tried out elsewhere.

set -u
umask 077
export LC_ALL=C

HERE=$(readlink -f "$0")
HERE=${HERE%/*}

# A prefix of /sys, /proc, /dev and the live root's own programs.
SYSROOT=
METADATA=http://169.254.169.254
SERIAL=/dev/ttyS0
POWEROFF='systemctl poweroff'
ON_FAILURE=stay
WORK=/run/drs-failback
# Found by the image's facts where they aren't given: the client's start script and the raw state partition.
CLIENT=
STATE_DEVICE=
# Milliseconds. Waits double from the first to the longest.
FIRST_WAIT=500
LONGEST_WAIT=15000
SETTINGS_DEADLINE=900000    # a network that comes up late, settings that are set after the start
CREDENTIALS_DEADLINE=900000 # a new role or identity takes minutes until it's known everywhere
KEYS_DEADLINE=3600000       # someone answers the mark by hand at worst
DISKS_DEADLINE=120000       # disks that are attached while the machine boots
POLL=1000                   # how often the client is looked at
MARK_INTERVAL=30000         # a mark of 150 bytes: Google keeps 1 MiB of console, 2 days at this rate
HEARTBEAT=300000
REPEAT=60000
GRACE=10000

usage() {
    printf '%s\n' "$1; options are --sysroot --metadata --serial --poweroff --on-failure --work --client --state-device" >&2
    printf '%s\n' "--first-wait --longest-wait --settings-deadline --credentials-deadline --keys-deadline --disks-deadline" >&2
    printf '%s\n' "--poll --mark-interval --heartbeat --repeat --grace (each with a value, times in ms)" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || usage "$1 needs a value"
    case $1 in
        --sysroot) SYSROOT=$2 ;;
        --metadata) METADATA=$2 ;;
        --serial) SERIAL=$2 ;;
        --poweroff) POWEROFF=$2 ;;
        --on-failure) ON_FAILURE=$2 ;;
        --work) WORK=$2 ;;
        --client) CLIENT=$2 ;;
        --state-device) STATE_DEVICE=$2 ;;
        --first-wait) FIRST_WAIT=$2 ;;
        --longest-wait) LONGEST_WAIT=$2 ;;
        --settings-deadline) SETTINGS_DEADLINE=$2 ;;
        --credentials-deadline) CREDENTIALS_DEADLINE=$2 ;;
        --keys-deadline) KEYS_DEADLINE=$2 ;;
        --disks-deadline) DISKS_DEADLINE=$2 ;;
        --poll) POLL=$2 ;;
        --mark-interval) MARK_INTERVAL=$2 ;;
        --heartbeat) HEARTBEAT=$2 ;;
        --repeat) REPEAT=$2 ;;
        --grace) GRACE=$2 ;;
        *) usage "$1 isn't known" ;;
    esac
    shift 2
done

# shellcheck source=failback/image/agent/clock.sh
. "$HERE/clock.sh"
# shellcheck source=failback/image/agent/marks.sh
. "$HERE/marks.sh"
# shellcheck source=failback/image/agent/metadata.sh
. "$HERE/metadata.sh"
# shellcheck source=failback/image/agent/settings.sh
. "$HERE/settings.sh"
# shellcheck source=failback/image/agent/credentials.sh
. "$HERE/credentials.sh"
# shellcheck source=failback/image/agent/state.sh
. "$HERE/state.sh"
# shellcheck source=failback/image/agent/disks.sh
. "$HERE/disks.sh"
# shellcheck source=failback/image/agent/mapping.sh
. "$HERE/mapping.sh"
# shellcheck source=failback/image/agent/rivals.sh
. "$HERE/rivals.sh"
# shellcheck source=failback/image/agent/stubs.sh
. "$HERE/stubs.sh"
# shellcheck source=failback/image/agent/client.sh
. "$HERE/client.sh"

# fact NAME: what the image's build knew of this image.
fact() {
    sed -n "s/^$1=//p" "$HERE/facts" 2>/dev/null
}

take_facts() {
    [ -n "$CLIENT" ] || CLIENT=$(fact client_start)
    STATE_PARTITION=$(fact state_partition)
    [ -n "$CLIENT" ] || fail started "the image's facts name no start script of the client; the image is damaged"
}

# One agent, and so one client, in one boot: making a directory succeeds once.
take_lock() {
    mkdir -p "$PRIVATE"
    if ! mkdir "$WORK/lock" 2>/dev/null; then
        mark warning "a second agent was started; the first one has the client"
        exit 1
    fi
}

repeat_hook_warnings() {
    [ -r "$WORK/warnings" ] || return 0
    while IFS= read -r warning; do
        mark warning "$warning"
    done <"$WORK/warnings"
}

take_settings() {
    await_settings
    RUN=$(setting run)
    RECOVERY_INSTANCE=$(setting recovery_instance)
    mark settings "$CLOUD run=$RUN server=$(setting server) recovery-instance=$RECOVERY_INSTANCE"
    if [ "$(setting prepare)" = true ]; then
        mark ready "run=$RUN server=$(setting server)"
        power_off ready 0
    fi
}

# A disk that has completed this very failback would start it over, onto what it has brought home.
stop_if_completed() {
    find_own_disk
    find_state_device
    if [ -z "$STATE_DEVICE" ]; then
        mark warning "no state partition is on the client's own disk; a further boot of it would start over"
        return
    fi
    if [ "$(read_state "$STATE_DEVICE")" = "$(completed_line "$RECOVERY_INSTANCE" "$RUN")" ]; then
        mark already-completed "$RECOVERY_INSTANCE run=$RUN"
        power_off already-completed 0
    fi
}

prepare_client() {
    make_open_directory "$WORK/client"
    printf '%s\n' "$STATE_DEVICE" >"$WORK/client/state-device"
    completed_line "$RECOVERY_INSTANCE" "$RUN" >"$WORK/client/state-line"
    find_program
    place_stubs
}

PRIVATE=$WORK/private
take_lock
mark started "image=$(fact image)"
take_facts
repeat_hook_warnings
take_settings
stop_if_completed
prepare_client
obtain_credentials
map_devices
refuse_second_client
start_client
watch_client
judge_client
