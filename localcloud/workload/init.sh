#!/usr/bin/sh
# All that the workload does: load the disk's drivers, read the record, say on the console which nonce stands in it.
# Nothing is mounted from a disk and nothing is written to one. /drivers lists the modules in their order, /sector says
# where the record is.
export PATH=/usr/bin
mount -t devtmpfs dev /dev
mount -t sysfs sys /sys
exec < /dev/console > /dev/console 2>&1

while read -r driver; do
    insmod "/modules/$driver"
done < /drivers
read -r sector < /sector

# The disk that the machine was started from is the first one of the first controller.
look() {
    for device in /sys/class/scsi_disk/*/device/block/* /sys/block/nvme*n1; do
        [ -b "/dev/${device##*/}" ] || continue
        record=$(dd if="/dev/${device##*/}" bs=512 skip="$sector" count=1 2> /dev/null | tr -d '\000')
        case $record in "DRS-FAILBACK-WORKLOAD 1 nonce="*) return 0 ;; esac
    done
    return 1
}

tries=0
until look; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || echo "FAILBACK-WORKLOAD no disk here has a record"
    sleep 1
done
nonce=${record#*nonce=}

# The first time something of the kernel's may come in between.
for _ in 1 2 3; do
    printf 'FAILBACK-WORKLOAD up nonce=%s\n' "${nonce%% *}"
    sleep 2
done
printf 'workload login: '
while :; do
    sleep 3600
done
