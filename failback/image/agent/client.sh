# shellcheck shell=sh
# The client: started once, fed, watched and judged.

# Bytes of the client's output that are kept in memory, twice (log and log.old).
LOG_LIMIT=1048576
# Per cent of the live root's file system; it's backed by memory, and full it stops the client with write errors.
ROOT_FULL=95

# Runs in a process of its own: the client's environment is in no other one. The client uses its user's directory.
run_client() {
    umask 022
    unset LC_ALL
    export PATH="$WORK/stubs:$PATH"
    export AWS_REGION AWS_ACCESS_KEY="$ACCESS_KEY" AWS_SECRET_KEY="$SECRET_KEY" AWS_SESSION_TOKEN="$SESSION_TOKEN"
    export RECOVERY_INSTANCE_ID="$RECOVERY_INSTANCE" DEVICE_MAPPING NO_PROMPT=1 S3_ENDPOINT AWS_DRS_ENDPOINT
    unset CONFIG_NETWORK
    for HOME in "$SYSROOT/home/ec2-user" "$SYSROOT/root" /; do
        ! cd "$HOME" 2>/dev/null || break
    done
    export HOME TERM="${TERM:-linux}"
    # The stubs know the client by that file.
    until [ -s "$WORK/client/pid" ]; do
        pause 100
    done
    "$PROGRAM"
    printf '%s\n' "$?" >"$WORK/client/status.new"
    mv "$WORK/client/status.new" "$WORK/client/status"
}

# Starts the client with endless line ends on its standard input: it pauses where a newer ISO exists.
start_client() {
    AWS_REGION=$(setting region)
    S3_ENDPOINT=$(setting s3_endpoint)
    AWS_DRS_ENDPOINT=$(setting drs_endpoint)
    mkfifo "$WORK/client/answers"
    LOG=$WORK/client/log
    mark client-start "$CLIENT for $RECOVERY_INSTANCE in $AWS_REGION"
    yes '' 2>/dev/null >"$WORK/client/answers" &
    run_client <"$WORK/client/answers" >>"$LOG" 2>&1 &
    CLIENT_PID=$!
    printf '%s\n' "$CLIENT_PID" >"$WORK/client/pid"
    chmod 0644 "$WORK/client/pid"
    forget_secrets
}

# The last line that says something. Progress bars go back by a carriage return.
last_line() {
    tr '\r' '\n' <"$LOG" | sed '/^[[:space:]]*$/d' | tail -n 1 | one_line
}

bound_log() {
    [ "$(wc -c <"$LOG")" -gt "$LOG_LIMIT" ] || return 0
    tail -c "$((LOG_LIMIT / 2))" "$LOG" >"$LOG.old"
    printf '' >"$LOG"
}

warn_root_full() {
    [ -z "$ROOT_WARNED" ] || return 0
    used=$(df -P "$SYSROOT/" 2>/dev/null | awk 'END { sub(/%/, "", $5); print $5 + 0 }')
    [ "$used" -ge "$ROOT_FULL" ] || return 0
    ROOT_WARNED=yes
    mark warning "the live root file system is $used % full; a full one stops the client with write errors"
}

# A mark when the client first says something, when it says something new, and from time to time when it doesn't.
mark_progress() {
    read_clock
    line=$(last_line)
    quiet=$((NOW - MARKED))
    if [ "$quiet" -ge "$HEARTBEAT" ] || { [ "$quiet" -ge "$MARK_INTERVAL" ] && [ "$line" != "$MARKED_LINE" ]; }; then
        MARKED=$NOW
        MARKED_LINE=$line
        mark client-running "${line:-(no output yet)}"
    fi
}

# Returns when the client has ended, has asked for a restart, or is gone. Sets STATUS: its exit status, or "unknown".
watch_client() {
    ROOT_WARNED=''
    MARKED_LINE=''
    read_clock
    MARKED=$((NOW - MARK_INTERVAL))
    while [ ! -e "$WORK/client/status" ] && [ ! -e "$WORK/client/restart" ] && kill -0 "$CLIENT_PID" 2>/dev/null; do
        mark_progress
        bound_log
        warn_root_full
        pause "$POLL"
    done
    # What a client said that was quicker than the first look.
    [ -n "$MARKED_LINE" ] || mark_progress
    # After asking for the restart the script has a last line or two to run.
    read_clock
    last_moment=$((NOW + GRACE))
    while [ ! -e "$WORK/client/status" ] && [ "$NOW" -lt "$last_moment" ] && kill -0 "$CLIENT_PID" 2>/dev/null; do
        pause "$POLL"
        read_clock
    done
    STATUS=unknown
    [ ! -e "$WORK/client/status" ] || read -r STATUS <"$WORK/client/status"
}

# The program's failure may be hidden by the script's own status 0; it then points to its log file. That success always
# asks for a restart is unconfirmed, so status 0 without one counts too.
judge_client() {
    if [ -e "$WORK/client/restart" ]; then
        finish "the client asked for its restart"
    fi
    end="exit=$STATUS last line: $(last_line)"
    [ "$STATUS" = 0 ] || fail client "$end"
    if [ -n "$(tail -n 20 "$LOG" | sed -n '/failback\.log/p')" ]; then
        fail client "$end; it ended with 0 but points to failback.log, so its program probably failed"
    fi
    finish "the client ended with 0"
}

finish() {
    if ! note_completion; then
        mark warning "the completion couldn't be noted in the state partition; don't boot this disk again"
    fi
    mark completed "$RECOVERY_INSTANCE $1"
    power_off completed 0
}

note_completion() {
    [ -n "$STATE_DEVICE" ] && write_state "$STATE_DEVICE" "$(completed_line "$RECOVERY_INSTANCE" "$RUN")"
}
