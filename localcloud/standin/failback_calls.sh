# shellcheck shell=sh disable=SC2154
# What the program says to DRS: flat JSON in lines, by curl, whose secrets and certificate come from its standard input.

LINE_END='
'

# value_of NAME: sets VALUE to what the flat JSON in BODY has under the name; fails where it has none.
value_of() {
    case $BODY in
    *"\"$1\""*) ;;
    *) return 1 ;;
    esac
    VALUE=${BODY#*"\"$1\""}
    VALUE=${VALUE#*:}
    VALUE=${VALUE# }
    case $VALUE in
    \"*) VALUE=${VALUE#\"} && VALUE=${VALUE%%\"*} ;;
    *) VALUE=${VALUE%%[,\}]*} ;;
    esac
}

# need NAME WHAT: as value_of; DRS has to tell it.
need() {
    value_of "$1" || refuse "DRS told no $1"
}

# transfer CONFIG WORD...: sets BODY and, where that's no success, WHY. Fails with 1, or with 2 where it may be tried again.
transfer() {
    config=$1
    shift
    answer=$(printf '%s\n' "$config" | curl -sS --config - --max-time "$SLOW" -w '\n%{http_code}' "$@" 2>"$WORK/error")
    STATUS=${answer##*"$LINE_END"}
    BODY=${answer%"$LINE_END"*}
    case $STATUS in
    2??) return 0 ;;
    000) read -r WHY <"$WORK/error" && return 2 ;;
    esac
    WHY="HTTP $STATUS${BODY:+ $BODY}"
    value_of message || value_of error || VALUE=""
    [ -z "$VALUE" ] || WHY="HTTP $STATUS $VALUE"
    case $STATUS in
    429 | 5??) return 2 ;;
    *) return 1 ;;
    esac
}

# Until there's a good answer or a refusal: a service that's busy or away is asked again.
persist() {
    until transfer "$@"; do
        [ $? = 2 ] || return 1
        say "STANDIN-CLIENT waiting: $WHY"
        sleep "$RETRY_AFTER"
    done
}

# signed OPERATION JSON: a refusal ends the program.
signed() {
    persist "user = \"$key:$secret\"
header = \"X-Amz-Security-Token: $token\"" \
        --aws-sigv4 "aws:amz:$region:drs" -H "Content-Type: application/json" --data-binary "$2" "$endpoint/$1" ||
        refuse "$1: $WHY"
}

# by_certificate URL WORD...: one try.
by_certificate() {
    transfer "header = \"X-Drs-Agent-Certificate: $certificate\"" "$@"
}

# notify OPERATION MORE: MORE is what stands in the JSON besides the recovery instance; a refusal ends the program.
notify() {
    persist "header = \"X-Drs-Agent-Certificate: $certificate\"" \
        -H "Content-Type: application/json" --data-binary "{$own$2}" "$endpoint/$1" || refuse "$1: $WHY"
}

finish_step() {
    notify UpdateAgentReplicationInfoForDrs ",\"step\":\"$1\",\"status\":\"SUCCEEDED\""
    say "STANDIN-CLIENT step $1"
}

fail_step() {
    reason=$(printf '%s' "$2" | tr -c '[:alnum:] .:,_/-' '.')
    by_certificate "$endpoint/UpdateAgentReplicationInfoForDrs" -H "Content-Type: application/json" \
        --data-binary "{$own,\"step\":\"$1\",\"status\":\"FAILED\",\"rawError\":\"$reason\"}"
    refuse "$1: $reason"
}

download_software() {
    by_certificate "$endpoint/replication-software" -D "$WORK/heads" -o "$WORK/software.part" || return 1
    wanted=$(awk 'tolower($1) == "x-sha256:" { sub(/\r$/, "", $2); print $2 }' "$WORK/heads")
    found=$(sha256sum "$WORK/software.part")
    WHY="its SHA-256 isn't $wanted"
    [ "${found%% *}" = "$wanted" ]
}

# Says that this client is alive, and asks what to do, by one process: sets `requested`. A client that's to stop does so.
look() {
    set -- -w '\n' -H "Content-Type: application/json" -H "X-Drs-Agent-Certificate: $certificate" --data-binary "{$own}"
    if BODY=$(curl -sS --fail-early --fail --max-time "$SLOW" "$@" "$endpoint/UpdateFailbackClientLastSeenForDrs" \
        "$endpoint/GetFailbackCommandForDrs" "$endpoint/GetFailbackLaunchRequestedForDrs" 2>"$WORK/error") &&
        value_of command && command=$VALUE && value_of launchRequested; then
        requested=$VALUE
    else
        command=none requested=false
        say "STANDIN-CLIENT waiting: DRS gives no answer: $(cat "$WORK/error")"
    fi
    [ "$command" != stop ] || stay_stopped
}

stay_stopped() {
    say "STANDIN-CLIENT stopped; boot this machine again for another failback"
    while :; do
        sleep 3600
    done
}
