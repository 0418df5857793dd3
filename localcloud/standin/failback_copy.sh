# shellcheck shell=sh disable=SC2154
# Copies changed extents from the recovery instance to local devices: one curl takes several, one dd writes each run of
# neighbours, and what arrived is compared with what was asked for.

# Bytes a second, 0 for no limit. It's kept by pauses: curl 7.88 lets whole megabytes through whatever its own limit is.
LIMIT=0
# Extents of one curl: at 4 MiB each about a second's work of an emulated machine, and so a line of progress.
BATCH=8
# So many batches later it's asked whether the failback was stopped meanwhile.
LOOK_AFTER=8

# Where the volume has zeros nothing is sent, so a disk that isn't the original's begins with zeros everywhere.
clear_disks() {
    number=0
    while [ "$number" -lt "$VOLUMES" ]; do
        number=$((number + 1))
        eval "device=\$device_$number size=\$size_$number"
        say "STANDIN-CLIENT clearing $device"
        give_back_blocks "$device" || blkdiscard --zeroout "$device" 2>/dev/null ||
            dd if=/dev/zero of="$device" bs=4M count="$size" iflag=count_bytes conv=notrunc status=none ||
            refuse "$device can't be cleared"
    done
}

# give_back_blocks DEVICE: blocks that an emulated disk was given back are zeros, and take no room in its file. A disk
# that doesn't begin with zeros then doesn't keep to that.
give_back_blocks() {
    blkdiscard "$1" 2>/dev/null || return 1
    [ "$(dd if="$1" bs=1M count=1 status=none | tr -d '\000' | wc -c)" -eq 0 ]
}

# copy_changes ROUNDS: until no volume has changes, or so often. Each round asks for those since the last one.
copy_changes() {
    round=0
    while [ "$round" -lt "$1" ]; do
        round=$((round + 1))
        ask_for_changes
        [ "$due" -gt 0 ] || break
        number=0
        while [ "$number" -lt "$VOLUMES" ]; do
            number=$((number + 1))
            copy_volume
        done
    done
    tell_all
}

# Volumes without a single block to copy are done as well.
tell_all() {
    number=0
    while [ "$number" -lt "$VOLUMES" ]; do
        number=$((number + 1))
        eval "volume=\$volume_$number told=\${told_$number:-} total=\$total_$number"
        [ -n "$told" ] || tell_progress "$total" 0
    done
}

# Sets `due` to the bytes that are to be copied of all volumes, and due_N and next_N of each.
ask_for_changes() {
    due=0 number=0
    while [ "$number" -lt "$VOLUMES" ]; do
        number=$((number + 1))
        eval "volume=\$volume_$number since=\${generation_$number:--1}"
        until fetch "$at_instance/changes?device=$volume&since=$since" -o "$WORK/changes.$number"; do
            wait_for_instance
        done
        count_changes
        due=$((due + count))
    done
}

count_changes() {
    count=0 word="" newest=""
    {
        read -r word newest
        [ "$word" = generation ] ||
            refuse "the recovery instance's list of changes can't be read: $word $newest"
        while read -r offset length; do
            count=$((count + length))
        done
    } <"$WORK/changes.$number"
    eval "due_$number=\$count next_$number=\$newest"
    # Nothing to copy is as good as copied.
    [ "$count" -gt 0 ] || eval "generation_$number=\$newest"
}

# fetch URL... OPTION...: to standard output unless told otherwise; sets nothing, since it may be in a pipe.
fetch() {
    curl -sS --fail-early --fail --max-time 300 -H "X-Drs-Agent-Certificate: $certificate" \
        -H "X-Drs-Session: $session" -w '%{stderr}%{http_code} %{size_download}\n' "$@" 2>"$WORK/got"
}

wait_for_instance() {
    say "STANDIN-CLIENT waiting: $address port $port: $(tail -n 1 "$WORK/got")"
    look
    sleep "$RETRY_AFTER"
}

copy_volume() {
    eval "volume=\$volume_$number device=\$device_$number size=\$size_$number total=\$total_$number"
    eval "due_now=\$due_$number first=\${generation_$number:-yes}"
    [ "$due_now" -gt 0 ] || return 0
    copied=0 batches=0 runs="" lengths="" extents=0
    set --
    # The list is read from a descriptor of its own: what runs in the loop has standard input for itself.
    exec 3<"$WORK/changes.$number"
    read -r word newest <&3
    while read -r offset length <&3; do
        [ $((offset + length)) -le "$size" ] || refuse "$volume: a change at byte $offset lies beyond the end of $device"
        set -- "$@" "$at_instance/blocks?device=$volume&offset=$offset&length=$length"
        add_to_runs "$offset" "$length"
        extents=$((extents + 1))
        if [ "$extents" = "$BATCH" ]; then
            copy_batch "$@"
            runs="" lengths="" extents=0
            set --
        fi
    done
    exec 3<&-
    [ "$extents" = 0 ] || copy_batch "$@"
    eval "generation_$number=\$next_$number"
    tell_progress "$total" 0
}

# `runs` are the batch's extents with neighbours made one, `lengths` each as it was asked for.
add_to_runs() {
    lengths="$lengths $2"
    if [ -n "$runs" ] && [ "$run_end" = "$1" ]; then
        run_length=$((run_length + $2))
        runs="${runs% *} $run_length"
    else
        runs="${runs:+$runs }$1 $2"
        run_length=$2
    fi
    run_end=$(($1 + $2))
}

copy_batch() {
    # shellcheck disable=SC2086
    until fetch "$@" | write_runs $runs && check_got $lengths; do
        [ ! -e "$WORK/write-failed" ] || refuse "$device can't be written: $(cat "$WORK/write-failed")"
        wait_for_instance
    done
    before=$copied
    for each in $lengths; do
        copied=$((copied + each))
    done
    [ "$LIMIT" = 0 ] || sleep $(((copied - before) / LIMIT))
    say "STANDIN-CLIENT replicating $volume $copied of $due_now bytes"
    batches=$((batches + 1))
    if [ "$copied" -lt "$due_now" ]; then
        # In the first round, how far into the volume it has come; in later ones, how much is left.
        if [ "$first" = yes ]; then
            tell_progress "$run_end" 0
        else
            tell_progress "$total" $((due_now - copied))
        fi
        [ $((batches % LOOK_AFTER)) != 0 ] || look
    fi
}

write_runs() {
    while [ $# -gt 0 ]; do
        dd of="$device" bs=256K iflag=fullblock,count_bytes oflag=seek_bytes seek="$1" count="$2" conv=notrunc \
            status=none 2>"$WORK/dd" || { mv "$WORK/dd" "$WORK/write-failed" && return 1; }
        shift 2
    done
}

# check_got LENGTH...: whether every extent came, each in its whole length.
check_got() {
    while read -r status length; do
        [ $# -gt 0 ] && [ "$status $length" = "200 $1" ] || return 1
        shift
    done <"$WORK/got"
    [ $# = 0 ]
}

# tell_progress DONE LEFT: bytes of the volume. DRS answers with its bandwidth's limit, in Mbit/s.
tell_progress() {
    done=$1
    [ "$done" -le "$total" ] || done=$total
    rescanned=0
    [ "$original" != true ] || rescanned=$done
    notify NotifyAgentReplicationProgressForDrs ",\"deviceName\":\"$volume\",\"replicatedStorageBytes\":$done,\"rescannedStorageBytes\":$rescanned,\"backloggedStorageBytes\":$2"
    eval "told_$number=yes"
    value_of throttle || VALUE=0
    LIMIT=$((VALUE * 125000))
}
