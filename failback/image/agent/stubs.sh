# shellcheck shell=sh
# Keeps the client from restarting the machine into itself: stubs stand for the commands that it ends with.

# "eject" and "shutdown -r now", by which the client's script ends its success; reboot may stand for the second.
STUBS='shutdown reboot eject'

# A directory that every user may pass: anyone may call shutdown, and then meets the stub.
make_open_directory() {
    mkdir -p "$1"
    chmod 0755 "$1"
}

# Makes a stub of $1 with what it has to know at its head.
make_stub() {
    {
        printf "#!/bin/sh\n# drs-failback stub\nNAME='%s'\nHERE='%s'\nWORK='%s'\n" "$1" "$HERE" "$WORK"
        cat "$HERE/power-stub.sh"
    } >"$WORK/stubs/$1"
    chmod 0755 "$WORK/stubs/$1"
}

is_stub() {
    [ "$(head -c 40 "$1" 2>/dev/null | tr -d '\000' | sed -n 2p)" = '# drs-failback stub' ]
}

# Puts the stub at one path of the live root, keeping the original for whoever isn't the client. A link to systemctl
# is replaced as a link; a program of its own is covered. sudo has a PATH of its own, so PATH alone doesn't do.
place_stub() {
    [ -e "$1" ] || return 0
    ! is_stub "$1" || return 0
    if [ -L "$1" ]; then
        # systemctl acts by the name that it's called by, so its link keeps that name.
        ln -sf "$(readlink -f "$1")" "$WORK/originals/$2"
        rm -f "$1" && cp "$WORK/stubs/$2" "$1" && chmod 0755 "$1"
    else
        cp -p "$1" "$WORK/originals/$2" && mount --bind "$WORK/stubs/$2" "$1"
    fi 2>/dev/null || mark warning "$1 can't be replaced; if the client calls it by its path the machine restarts"
}

place_stubs() {
    make_open_directory "$WORK/stubs"
    make_open_directory "$WORK/originals"
    for name in $STUBS; do
        make_stub "$name"
        for directory in usr/sbin sbin usr/bin bin; do
            place_stub "$SYSROOT/$directory/$name" "$name"
        done
    done
}
