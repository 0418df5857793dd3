# shellcheck shell=sh
# Time as the agent needs it: milliseconds since boot, which no correction of the wall clock moves, and growing waits.

# Sets NOW. /proc/uptime counts hundredths; the 1 before them keeps a leading zero from meaning octal.
read_clock() {
    read -r clock_uptime _ </proc/uptime
    NOW=$((${clock_uptime%.*} * 1000 + 1${clock_uptime#*.} * 10 - 1000))
}

pause() {
    sleep "$(($1 / 1000)).$(printf '%03d' $(($1 % 1000)))"
}

# Opens a time of $1 ms, in which wait_more sleeps longer and longer.
start_waiting() {
    read_clock
    DEADLINE=$((NOW + $1))
    WAIT=$FIRST_WAIT
}

# Sleeps and returns 0, or returns 1 when the time is over.
wait_more() {
    read_clock
    [ "$NOW" -lt "$DEADLINE" ] || return 1
    pause "$WAIT"
    WAIT=$((WAIT * 2))
    [ "$WAIT" -le "$LONGEST_WAIT" ] || WAIT=$LONGEST_WAIT
}
