#!/bin/sh
# Stand-in of the failback client's program: AWS's arguments, and the embedded DRS's own words for what AWS doesn't publish
# (localcloud/drs). Runs as root on what tools.conf lists; it starts few processes, since emulated ones take long.
# It ends with 0 after a launch, with 1 after a failure whose reason is its last words but one.
set -u

PATH=/usr/lib/standin/bin:$PATH
HERE=$(dirname "$0")
# Seconds: between two lines while nothing happens, between two looks once all is copied, before something is tried again.
REPORT_EVERY=5
POLL=2
RETRY_AFTER=2
# A recovery instance that isn't reached is asked this often before the client gives up.
HELLO_TRIES=10
# Seconds that a short answer may take.
SLOW=30
# A workload that never rests always has changes: so many rounds count as all.
ROUNDS=10

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

# shellcheck source=localcloud/standin/failback_mapping.sh
. "$HERE/failback_mapping.sh"
# shellcheck source=localcloud/standin/failback_calls.sh
. "$HERE/failback_calls.sh"
# shellcheck source=localcloud/standin/failback_copy.sh
. "$HERE/failback_copy.sh"

read_arguments() {
    prompt=yes mapping="" key="" secret="" token="" instance="" region="" endpoint=""
    while [ $# -gt 0 ]; do
        case $1 in
        --region) region=$2 && shift ;;
        --endpoint) endpoint=${2%/} && shift ;;
        --aws-session-token) token=$2 && shift ;;
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
}

complete_arguments() {
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
    read_mapping "$mapping"
}

show_plan() {
    say "region: $region"
    say "DRS endpoint: ${endpoint:-the one of AWS}"
    say "recovery instance: $instance"
    say "credentials: key $(printf %.4s "$key")..., the rest hidden"
}

# Without a service a launch is played by a kernel argument, so that the end of a failback can be seen.
wait_for_played_launch() {
    while :; do
        case " $(cat /proc/cmdline) " in
        *" standin.launched "*) return ;;
        esac
        say "STANDIN-CLIENT waiting: $instance"
        sleep "$REPORT_EVERY"
    done
}

# Sets total_N to the bytes of each volume that is copied, as the recovery instance has it.
read_totals() {
    described=$BODY number=0
    while [ "$number" -lt "$VOLUMES" ]; do
        number=$((number + 1))
        eval "volume=\$volume_$number"
        case $described in
        *"\"internalDeviceName\": \"$volume\""*) mark="\"internalDeviceName\": \"$volume\"" ;;
        *"\"internalDeviceName\":\"$volume\""*) mark="\"internalDeviceName\":\"$volume\"" ;;
        *) refuse "the recovery instance has no volume $volume" ;;
        esac
        # What stands around the name, between braces, is that disk's.
        before=${described%%"$mark"*} after=${described#*"$mark"}
        BODY="{${before##*\{}$mark${after%%\}*}}"
        need bytes
        eval "total_$number=\$VALUE"
    done
}

# The first part is signed with the keys that were given; the rest only needs the certificate that it ends with.
introduce() {
    signed DescribeRecoveryInstances "{\"filters\":{\"recoveryInstanceIDs\":[\"$instance\"]}}"
    read_totals
    signed AssociateFailbackClientToRecoveryInstanceForDrs \
        "{$own,\"disks\":[$(local_disks)],\"hardware\":\"$(hardware)\"}"
    need originalServer
    original=$VALUE
    say "STANDIN-CLIENT step LINK_FAILBACK_CLIENT_WITH_RECOVERY_INSTANCE"
    signed UpdateFailbackClientDeviceMappingForDrs "{$own,\"mapping\":[$mapping_json]}"
    say "STANDIN-CLIENT step COMPLETE_VOLUME_MAPPING"
    signed IssueAgentCertificateForDrs "{$own}"
    need certificate
    certificate=$VALUE
    need address
    address=$VALUE
    need port
    port=$VALUE
    key="" secret="" token=""
    at_instance=http://$address:$port
}

initiate() {
    reach_instance
    finish_step ESTABLISH_RECOVERY_INSTANCE_COMMUNICATION
    download_software || fail_step DOWNLOAD_REPLICATION_SOFTWARE_TO_FAILBACK_CLIENT "$WHY"
    finish_step DOWNLOAD_REPLICATION_SOFTWARE_TO_FAILBACK_CLIENT
    mv "$WORK/software.part" "$WORK/software" || fail_step CONFIGURE_REPLICATION_SOFTWARE "it can't be unpacked"
    finish_step CONFIGURE_REPLICATION_SOFTWARE
    by_certificate "$at_instance/pair" -d "" || fail_step PAIR_AGENT_WITH_REPLICATION_SOFTWARE "$WHY"
    finish_step PAIR_AGENT_WITH_REPLICATION_SOFTWARE
    open_session || fail_step ESTABLISH_AGENT_REPLICATOR_SOFTWARE_COMMUNICATION "$WHY"
    finish_step ESTABLISH_AGENT_REPLICATOR_SOFTWARE_COMMUNICATION
}

reach_instance() {
    tries=0
    until by_certificate "$at_instance/hello"; do
        tries=$((tries + 1))
        say "STANDIN-CLIENT waiting: $address port $port: $WHY"
        [ "$tries" -lt "$HELLO_TRIES" ] || fail_step ESTABLISH_RECOVERY_INSTANCE_COMMUNICATION "$WHY"
        sleep "$RETRY_AFTER"
    done
    say "STANDIN-CLIENT reached $BODY"
}

open_session() {
    by_certificate "$at_instance/session" || return 1
    session=${BODY#session }
}

# What's changed in the meantime takes further rounds; without any left, the copy is as the recovery instance is now.
replicate() {
    [ "$original" = true ] || clear_disks
    copy_changes "$ROUNDS"
    sync
    notify NotifyConsistencyAttainedForDrs ""
    say "STANDIN-CLIENT ready for launch"
    until look && [ "$requested" = true ]; do
        sleep "$POLL"
        copy_changes 1
    done
    say "STANDIN-CLIENT launching"
    copy_changes "$ROUNDS"
    sync
    notify UpdateAgentReplicationProcessStateForDrs ',"state":"COMPLETED"'
    say "STANDIN-CLIENT completed"
}

read_arguments "$@"
complete_arguments
show_plan
if [ -z "$endpoint" ]; then
    wait_for_played_launch
    exit 0
fi
WORK=$(mktemp -d) || refuse "no temporary directory can be made"
trap 'rm -rf "$WORK"' EXIT
own="\"recoveryInstanceID\":\"$instance\""
introduce
initiate
replicate
