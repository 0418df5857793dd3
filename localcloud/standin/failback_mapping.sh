# shellcheck shell=sh
# Which local device takes which volume: the mapping's two forms, and what the kernel tells of this machine's disks.

# read_mapping TEXT: sets VOLUMES to the number of those that are copied; volume N is in volume_N, device_N and size_N.
# `mapping_json` is all of it in the words of DRS.
read_mapping() {
    VOLUMES=0 mapping_json=""
    case $1 in
    [\[\{]*) read_pairs_of_json "$1" ;;
    *) read_pairs "$1," ;;
    esac
}

# Between two names the first separator counts.
read_pairs() {
    rest=$1
    while [ -n "$rest" ]; do
        pair=${rest%%,*}
        rest=${rest#*,}
        case $pair in
        ?*[=:]?*) take_pair "${pair%%[=:]*}" "${pair#*[=:]}" ;;
        *) refuse "device mapping: '$pair' isn't RECOVERY_DEVICE=LOCAL_DEVICE" ;;
        esac
    done
}

# A list of objects with two names each, or one object: of both only the quoted words are read, two by two.
read_pairs_of_json() {
    rest=$1 recovery="" local_device=""
    while next_word && name=$WORD && next_word; do
        case $name in
        recoveryInstanceDeviceName) recovery=$WORD ;;
        failbackClientDeviceName) local_device=$WORD ;;
        *) recovery=$name local_device=$WORD ;;
        esac
        if [ -n "$recovery" ] && [ -n "$local_device" ]; then
            take_pair "$recovery" "$local_device"
            recovery="" local_device=""
        fi
    done
    [ -z "$recovery$local_device" ] || refuse "device mapping: the last volume or its device isn't named"
    [ -n "$mapping_json" ] || refuse "device mapping: it names no volume"
}

# Sets WORD to the next quoted word of `rest`.
next_word() {
    case $rest in
    *\"*\"*) ;;
    *) return 1 ;;
    esac
    rest=${rest#*\"}
    WORD=${rest%%\"*}
    rest=${rest#*\"}
}

# Whether the disk, or a partition of it, carries a mounted file system: the client's own disk does.
is_in_use() {
    awk -v device="$(readlink -f "$1")" 'index($1, device) == 1 { used = 1 } END { exit !used }' /proc/mounts
}

take_pair() {
    say "mapping: $1 -> $2"
    size=0
    if [ "$2" != EXCLUDE ]; then
        check_device "$2"
        size=$(device_bytes "$2")
        VOLUMES=$((VOLUMES + 1))
        eval "volume_$VOLUMES=\$1 device_$VOLUMES=\$2 size_$VOLUMES=\$size"
    fi
    mapping_json="$mapping_json${mapping_json:+,}{\"recoveryInstanceDeviceName\":\"$1\",\"failbackClientDeviceName\":\"$2\",\"bytes\":$size}"
}

check_device() {
    [ -b "$1" ] || refuse "device mapping: $1 is no block device here"
    number=0
    while [ "$number" -lt "$VOLUMES" ]; do
        number=$((number + 1))
        eval "other=\$device_$number"
        [ "$other" != "$1" ] || refuse "device mapping: $1 is named twice"
    done
    ! is_in_use "$1" || refuse "device mapping: $1 is in use, as the client's own disk is"
}

# The kernel counts in sectors of 512 bytes, whatever the disk does.
device_bytes() {
    name=$(readlink -f "$1")
    sectors=0
    read -r sectors <"/sys/class/block/${name##*/}/size"
    say $((sectors * 512))
}

# Every whole disk of this machine, as a list's elements.
local_disks() {
    list=""
    for path in /sys/class/block/*; do
        [ -e "$path/device" ] || continue
        read -r sectors <"$path/size"
        list="$list${list:+,}{\"deviceName\":\"/dev/${path##*/}\",\"bytes\":$((sectors * 512))}"
    done
    say "$list"
}

# What tells this machine from others: its firmware's id and its first card's address.
hardware() {
    uuid=none mac=none
    read -r uuid 2>/dev/null </sys/class/dmi/id/product_uuid
    for path in /sys/class/net/e*/address; do
        [ ! -r "$path" ] || { read -r mac <"$path" && break; }
    done
    say "$uuid, $mac"
}
