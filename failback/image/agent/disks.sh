# shellcheck shell=sh
# What /sys, /proc and /dev tell of this machine's disks: which is the client's own, which are in use, how each is told apart.

# Writes the whole disk that a block device (kernel name) lies on; of a mapped device, every disk below it.
whole_disks() (
    [ -n "$1" ] || exit 0
    device=$(readlink -f "$SYSROOT/sys/class/block/$1") || exit 0
    [ -d "$device" ] || exit 0
    if [ -e "$device/partition" ]; then
        device=${device%/*}
    fi
    below=
    for slave in "$device"/slaves/*; do
        [ -e "$slave" ] || continue
        below=yes
        whole_disks "${slave##*/}"
    done
    [ -n "$below" ] || printf '%s\n' "${device##*/}"
)

# The kernel name of a device path as it stands in /proc/mounts; nothing if it's no device.
device_name() {
    case $1 in
        /dev/*)
            device_path=$(readlink -f "$SYSROOT$1") || return 0
            printf '%s\n' "${device_path##*/}"
            ;;
    esac
}

# Partitions named $1 in the partition table, as kernel names.
named_partitions() {
    for uevent in "$SYSROOT"/sys/class/block/*/uevent; do
        [ -r "$uevent" ] || continue
        if [ "$(sed -n 's/^PARTNAME=//p' "$uevent")" = "$1" ]; then
            uevent=${uevent%/uevent}
            printf '%s\n' "${uevent##*/}"
        fi
    done
}

# Sets OWN_DISK to the disk that the client was booted from, or to nothing where that can't be told.
find_own_disk() {
    live=$(sed -n 's|^\([^ ]*\) /run/initramfs/live .*|\1|p' "$SYSROOT/proc/mounts" 2>/dev/null | head -n 1)
    OWN_DISK=$(whole_disks "$(device_name "$live")")
    [ -z "$OWN_DISK" ] || return 0
    # Live from memory: the disk isn't mounted, but its partition names tell it.
    for partition in $(named_partitions "$STATE_PARTITION"); do
        whole_disks "$partition"
    done >"$PRIVATE/own"
    OWN_DISK=$(cat "$PRIVATE/own")
    [ "$(wc -l <"$PRIVATE/own")" -eq 1 ] || OWN_DISK=
}

# Sets STATE_DEVICE to the state partition of the own disk, unless one was given.
find_state_device() {
    [ -z "$STATE_DEVICE" ] || return 0
    for partition in $(named_partitions "$STATE_PARTITION"); do
        [ "$(whole_disks "$partition")" != "$OWN_DISK" ] || STATE_DEVICE=$SYSROOT/dev/$partition
    done
}

# Writes the disks that hold something mounted or a swap area.
disks_in_use() {
    { cat "$SYSROOT/proc/mounts" "$SYSROOT/proc/swaps" 2>/dev/null; } | sed -n 's|^\(/dev/[^ ]*\) .*|\1|p' |
        while IFS= read -r source; do
            whole_disks "$(device_name "$source")"
        done
}

# The last number of host:channel:target:lun, or "-".
disk_lun() {
    address=$(readlink -f "$SYSROOT/sys/block/$1/device") || address=
    address=${address##*/}
    case $address in
        *:*:*:*) printf '%s\n' "${address##*:}" ;;
        *) printf '%s\n' - ;;
    esac
}

disk_state() {
    case " $IN_USE " in
        *" $1 "*) in_use=yes ;;
        *) in_use=no ;;
    esac
    read_only=0
    { read -r read_only <"$SYSROOT/sys/block/$1/ro"; } 2>/dev/null
    if [ "$1" = "$OWN_DISK" ]; then
        printf '%s\n' own
    elif [ "$in_use" = yes ]; then
        printf '%s\n' mounted
    elif [ "$read_only" != 0 ]; then
        printf '%s\n' read-only
    else
        printf '%s\n' free
    fi
}

# Writes a line "disk NAME BYTES LUN STATE" for each whole disk that can be one.
list_disks() {
    IN_USE=$(disks_in_use | tr '\n' ' ')
    for path in "$SYSROOT"/sys/block/*; do
        disk=${path##*/}
        case $disk in
            loop* | ram* | zram* | dm-* | sr* | fd* | md* | nbd* | '*') continue ;;
        esac
        sectors=
        { read -r sectors <"$path/size"; } 2>/dev/null
        case $sectors in
            '' | 0 | *[!0-9]*) continue ;;
        esac
        printf 'disk %s %s %s %s\n' "$disk" "$((sectors * 512))" "$(disk_lun "$disk")" "$(disk_state "$disk")"
    done
}

# Writes a line "name NAME TEXT" for each serial number and each link of udev's; TEXT is the number or the link's name.
list_disk_names() {
    for path in "$SYSROOT"/sys/block/*/serial "$SYSROOT"/sys/block/*/device/serial; do
        [ -r "$path" ] || continue
        disk=${path#"$SYSROOT"/sys/block/}
        printf 'name %s %s\n' "${disk%%/*}" "$(tr -d '\000 ' <"$path")"
    done
    for link in "$SYSROOT"/dev/disk/by-id/*; do
        [ -e "$link" ] || [ -L "$link" ] || continue
        target=$(readlink -f "$link") || continue
        printf 'name %s %s\n' "${target##*/}" "${link##*/}"
    done
}
