# shellcheck shell=sh disable=SC2154
# Stands for shutdown, reboot and eject. Its head, written by the agent, sets NAME, HERE and WORK.
# The client ends its success with "eject" and "shutdown -r now", which would boot it again from this very disk:
# called from below the client, this notes the completion and lets the agent power off. Anyone else gets the original.

# Succeeds if process $1 is among the callers.
is_called_by() {
    process=$$
    while [ "$process" -gt 1 ]; do
        [ "$process" -ne "$1" ] || return 0
        parent=0
        while read -r key value; do
            if [ "$key" = PPid: ]; then
                parent=$value
                break
            fi
        done 2>/dev/null <"/proc/$process/status"
        process=$parent
    done
    return 1
}

client=0
read -r client <"$WORK/client/pid"
if is_called_by "$client"; then
    [ "$NAME" != eject ] || exit 0
    # shellcheck source=failback/image/agent/state.sh
    . "$HERE/state.sh"
    device=$(cat "$WORK/client/state-device")
    if [ -n "$device" ]; then
        write_state "$device" "$(cat "$WORK/client/state-line")"
    fi
    printf '%s\n' "$NAME $*" >"$WORK/client/restart"
    exit 0
fi
if [ -e "$WORK/originals/$NAME" ]; then
    exec "$WORK/originals/$NAME" "$@"
fi
echo "$NAME: the original isn't there" >&2
exit 1
