# shellcheck shell=sh
# Exactly one client: its start script is guarded, and a process that runs one already is found.
# How the ISO starts its script, and under which names its processes run, is unconfirmed.

# Checks, a pause apart, through which another process must look like a client: the guard does so for an instant.
SIGHTINGS=3

# Sets PROGRAM to the client's start script: the hook's copy of it, or one made now with the guard put in its place.
find_program() {
    PROGRAM=$WORK/client/${CLIENT##*/}
    [ ! -e "$PROGRAM" ] || return 0
    original=$(readlink -f "$SYSROOT$CLIENT") || original=$SYSROOT$CLIENT
    [ -f "$original" ] || fail client "$CLIENT isn't there; the ISO has another layout than the one the image was built from"
    cp "$original" "$PROGRAM" || fail client "$CLIENT can't be copied to $WORK; memory is probably short"
    chmod 0755 "$PROGRAM"
    mount --bind "$HERE/client-guard.sh" "$original" 2>/dev/null ||
        mark warning "the guard can't be put in the place of $CLIENT; a client started by the ISO itself will be refused"
}

# Writes "PID COMMAND" of each process that runs a client: by its own name, or as the script of a shell or of sudo.
# What lies at the guard's place (a bound file) can only be a guard or what was started before it.
list_clients() {
    head -v -c 400 "$SYSROOT"/proc/[0-9]*/cmdline 2>/dev/null | tr '\000' '\n' | awk -v client="$CLIENT" -v program="$PROGRAM" '
        /^==> .*\/cmdline <==$/ {
            count = split($2, part, "/")
            pid = part[count - 1]
            words = 0
            next
        }
        ++words <= 3 && ($0 == client || $0 == program || $0 ~ /(^|\/)failback_entry$/) && !(pid in told) {
            told[pid] = 1
            print pid " " $0
        }'
}

refuse_second_client() {
    sighting=0
    while clients=$(list_clients | tr '\n' ' ') && [ -n "$clients" ]; do
        sighting=$((sighting + 1))
        [ "$sighting" -lt "$SIGHTINGS" ] ||
            fail client "another one runs already (process $clients); the ISO started it before the guard was in place"
        pause "$POLL"
    done
}
