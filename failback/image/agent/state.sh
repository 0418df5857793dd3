# shellcheck shell=sh
# The state partition: its first 512 bytes say that a failback is complete, so that a further boot doesn't start over.

# The line that means: `recovery instance` is back home in this run.
completed_line() {
    printf 'DRS-FAILBACK-STATE 1 completed %s %s' "$1" "$2"
}

# read_state DEVICE
read_state() {
    dd if="$1" bs=512 count=1 2>/dev/null | tr -d '\000' | sed -n 1p
}

# write_state DEVICE LINE; succeeds if the device holds the line afterwards.
write_state() {
    printf '%s\n' "$2" | dd of="$1" bs=512 count=1 conv=sync,notrunc,fsync 2>/dev/null
    sync
    [ "$(read_state "$1")" = "$2" ]
}
