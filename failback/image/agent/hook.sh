# shellcheck shell=sh disable=SC2154
# dracut pre-pivot hook: carries the agent over to the live root by way of /run, and guards the client's start script.
# It's sourced by dracut: no exit, no set -e. It uses no command but those in package.HOOK_COMMANDS.
# DRS_FAILBACK_PREFIX stands before the initrd's own paths; dracut doesn't set it.

# Warnings go to the console at once and, through the agent, among the marks.
drs_failback_warn() {
    echo "<4>FAILBACK-AGENT warning hook: $1" 2>/dev/null >"$drs_root/dev/kmsg"
    echo "hook: $1" >>"$drs_run/warnings"
}

# A file system of its own: /run may be mounted noexec, and what the client writes stays bounded.
drs_failback_copy() {
    mkdir -p "$drs_run"
    mount -n -t tmpfs -o mode=0755,nosuid,nodev,size=64m drs-failback "$drs_run" ||
        drs_failback_warn "no file system of its own at /run/drs-failback; the agent lies in /run"
    for drs_file in "$drs_root"/drs-failback/*; do
        [ ! -f "$drs_file" ] || cp -p "$drs_file" "$drs_run/"
    done
    mkdir -p "$drs_root/run/systemd/system/multi-user.target.wants"
    cp "$drs_run/failback-agent.service" "$drs_root/run/systemd/system/"
    ln -sf ../failback-agent.service "$drs_root/run/systemd/system/multi-user.target.wants/failback-agent.service"
}

# A link would be followed from the initrd's root, to a file that isn't the client's: the agent handles it later.
drs_failback_guard() {
    if [ -L "$NEWROOT$drs_client" ] || [ ! -f "$NEWROOT$drs_client" ]; then
        drs_failback_warn "$drs_client is no plain file; the agent has to guard it"
        return 0
    fi
    mkdir -p "$drs_run/client"
    if ! cp -p "$NEWROOT$drs_client" "$drs_run/client/"; then
        drs_failback_warn "$drs_client can't be copied; the agent has to guard it"
        return 0
    fi
    mount -n --bind "$drs_run/client-guard.sh" "$NEWROOT$drs_client"
    # POSIX lacks -ef, but every sh of dracut's has it: bash, dash, busybox.
    # shellcheck disable=SC3013
    if [ ! "$drs_run/client-guard.sh" -ef "$NEWROOT$drs_client" ]; then
        drs_failback_warn "the guard isn't in the place of $drs_client; a client that the ISO starts will be refused"
    fi
}

drs_root=${DRS_FAILBACK_PREFIX:-}
drs_run=$drs_root/run/drs-failback
drs_client=
drs_failback_copy
while IFS='=' read -r drs_name drs_value; do
    [ "$drs_name" != client_start ] || drs_client=$drs_value
done <"$drs_root/drs-failback/facts"
drs_failback_guard
unset drs_root drs_run drs_client drs_name drs_value drs_file
