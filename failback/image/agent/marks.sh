# shellcheck shell=sh
# Progress marks: one line each, `FAILBACK-AGENT <state> <detail>`, on the serial console and in the kernel's log.

# Characters of a mark; enough for all faults that settings can have.
MARK_LIMIT=4000

# What must never be seen, one a line; it lives in this process's memory only.
SECRETS=

keep_secret() {
    case $SECRETS in
        *"$1"*) return ;;
    esac
    SECRETS="$SECRETS$1
"
}

# Reads text, writes it as one printable line without secrets. The secrets come before it, up to the first empty line.
one_line() {
    { printf '%s\n' "$SECRETS"; cat; } | awk -v limit="$MARK_LIMIT" '
        BEGIN { heading = 1 }
        heading && $0 == "" { heading = 0; next }
        heading { secret[++count] = $0; next }
        {
            for (i = 1; i <= count; i++)
                while ((at = index($0, secret[i])) > 0)
                    $0 = substr($0, 1, at - 1) "***" substr($0, at + length(secret[i]))
            gsub(/[^ -~]+/, " ")
            line = line (line == "" ? "" : " ") $0
        }
        END { print substr(line, 1, limit) }'
}

# The device is opened anew for each line: agetty hangs it up, after which whoever holds it gets EIO.
mark() {
    mark_line=$(printf '%s\n' "FAILBACK-AGENT $*" | one_line)
    mark_level=7 # debug: in the kernel's log, not a second time on the console
    # Where there is no such device, writing would make a file of that name in memory.
    { [ -e "$SERIAL" ] && printf '%s\n' "$mark_line" >>"$SERIAL"; } 2>/dev/null || mark_level=4
    if [ -w "$SYSROOT/dev/kmsg" ]; then
        # A record of the kernel's log takes 976 bytes with its prefix.
        { printf '<%s>%.900s\n' "$mark_level" "$mark_line" >"$SYSROOT/dev/kmsg"; } 2>/dev/null
    fi
}

power_off() {
    mark poweroff "$1"
    sync
    # The command may have arguments.
    # shellcheck disable=SC2086
    $POWEROFF || mark failed "poweroff: '$POWEROFF' ended with $?; stop the machine from outside"
    exit "$2"
}

# fail STEP WHY: the machine stays up so that its console can be read, and says again and again why.
fail() {
    forget_secrets
    mark failed "$@"
    [ "$ON_FAILURE" = stay ] || power_off "after failure in $1" 1
    while pause "$REPEAT"; do
        mark failed "$@"
    done
    exit 1
}

# Removes what was written down of the credentials. What runs in memory stays, to keep it out of later marks.
forget_secrets() {
    rm -f "$PRIVATE"/*
}
