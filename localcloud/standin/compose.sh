#!/bin/sh
# Makes the live root file system: unpack, add our files, take away the commands that aren't listed, write it as ext4.
# Runs as root or as root of a user namespace. Works in the current folder, which holds root.tar.zst (link), overlay.tar,
# tools.txt, left-out.txt and tree/ (the stand-in's filler may be in it already).
# usage: compose.sh BYTES UUID     results: rootfs.img vmlinuz initrd.img
set -eu
umask 022
# Parts of the tree may belong to users whom only this namespace knows: nobody else could remove them.
trap 'rm -rf tree' EXIT
size=$1 uuid=$2

zstd --quiet --decompress < root.tar.zst |
    tar --directory tree --numeric-owner --keep-directory-symlink --exclude-from left-out.txt -xf -

private=tree/usr/lib/standin/bin
mkdir -p "$private"
awk '{ print $1 > $2 ".list" }' tools.txt
while read -r name; do
    for folder in bin sbin; do
        [ ! -e "tree/usr/$folder/$name" ] || mv "tree/usr/$folder/$name" "$private/"
    done
    [ -e "$private/$name" ] || { echo "the root file system has no $name" >&2; exit 1; }
done < private.list
cat offered.list boot.list | sort -u > kept.list
find tree/usr/bin tree/usr/sbin -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -u > found.list
comm -23 kept.list found.list > absent.list
[ ! -s absent.list ] || { echo "the root file system lacks these listed commands:" >&2; cat absent.list >&2; exit 1; }
comm -13 kept.list found.list | while read -r name; do
    rm -f "tree/usr/bin/$name" "tree/usr/sbin/$name"
done
# Links into what was just removed.
find tree/usr/bin tree/usr/sbin tree/etc/alternatives -xtype l -lname '/etc/alternatives/*' -delete

# After the removal: the client's start script is in no list of commands.
tar --directory tree --numeric-owner --keep-directory-symlink -xf overlay.tar

cp tree/boot/vmlinuz-* vmlinuz
cp tree/boot/initramfs-*.img initrd.img
chmod 644 vmlinuz initrd.img
find tree -depth -newermt "@$SOURCE_DATE_EPOCH" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
rm -f rootfs.img
export E2FSPROGS_FAKE_TIME="$SOURCE_DATE_EPOCH"
mke2fs -q -F -t ext4 -m 0 -U "$uuid" -L standin-root -E "hash_seed=$uuid,root_owner=0:0" -d tree rootfs.img "$((size / 1024))k"
# mke2fs copies the times of access and change, which nobody can set on the files themselves: set them in the image.
dumpe2fs -h rootfs.img 2>/dev/null | awk -F: -v time="@$SOURCE_DATE_EPOCH" '
    $1 == "Inode count" { inodes = $2 }
    $1 == "Free inodes" { inodes -= $2 }
    END { for (i = 2; i <= inodes; i = (i == 2 ? 11 : i + 1)) printf "sif <%d> ctime %s\nsif <%d> atime %s\n", i, time, i, time }
' > times.debugfs
debugfs -w -f times.debugfs rootfs.img > debugfs.log 2>&1
chmod 644 rootfs.img
