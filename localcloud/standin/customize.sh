#!/bin/sh
# Runs outside the new root file system, right after its packages are in: kernel, initrd and the client's user.
# usage: customize.sh ROOT    environment: KERNEL_DEB (file), DRACUT_CONF (file)
set -eu
root=$1

# tar follows /lib -> usr/lib; `dpkg-deb --extract` would replace that link by a directory and leave no C library.
dpkg-deb --fsys-tarfile "$KERNEL_DEB" | tar --directory "$root" --keep-directory-symlink --exclude ./usr/share -xf -
version=$(basename "$root"/lib/modules/*)
chroot "$root" depmod -a "$version"

install -D -m 644 "$DRACUT_CONF" "$root/etc/dracut.conf.d/standin.conf"
chroot "$root" dracut --force --quiet --reproducible --no-hostonly --kver "$version" "/boot/initramfs-$version.img"

chroot "$root" useradd --create-home --shell /bin/bash --uid 1000 ec2-user
# A password that matches nothing: the account is reached by the automatic login only.
chroot "$root" usermod --password '*' ec2-user
rm -f "$root"/etc/passwd- "$root"/etc/shadow- "$root"/etc/group- "$root"/etc/gshadow- \
    "$root"/etc/subuid- "$root"/etc/subgid-
