# shellcheck shell=sh
# AWS credentials for the client: by the machine's own identity, or as one-hour keys that are asked for by a mark.
# They're held in this shell's variables; files lie in memory, for root only, until the client has started.

# Sets ACCESS_KEY, SECRET_KEY and SESSION_TOKEN.
obtain_credentials() {
    case $(setting credentials) in
        web-identity) await_role ;;
        keys) await_keys ;;
    esac
    keep_secret "$ACCESS_KEY"
    keep_secret "$SECRET_KEY"
    keep_secret "$SESSION_TOKEN"
    mark credentials received "$(setting credentials)"
}

# Asks again for a while: a machine's identity and a role's trust take their time to be known everywhere.
await_role() {
    prepare_certificates
    told=
    start_waiting "$CREDENTIALS_DEADLINE"
    until assume_role; do
        [ "$PASSING" = yes ] || fail credentials "$REASON"
        [ "$REASON" = "$told" ] || mark credentials waiting "$REASON"
        told=$REASON
        wait_more || fail credentials "$REASON"
    done
}

# Sets CERTIFICATES to a file with the system's certificates and the extra ones, where the settings bring any.
prepare_certificates() {
    CERTIFICATES=
    [ -n "$(setting ca_certificates)" ] || return 0
    CERTIFICATES=$PRIVATE/certificates
    for bundle in /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/certs/ca-certificates.crt; do
        [ ! -r "$SYSROOT$bundle" ] || cat "$SYSROOT$bundle"
    done >"$CERTIFICATES"
    setting ca_certificates | base64 -d >>"$CERTIFICATES" 2>/dev/null ||
        fail settings "ca_certificates: isn't base64"
}

# One attempt, with a fresh token. Sets the keys, or REASON and PASSING (yes: may go away by itself).
assume_role() {
    PASSING=yes
    if ! fetch_identity; then
        REASON="no identity from the metadata service: $(answer_detail) $(identity_error); usually the machine has no identity attached"
        return 1
    fi
    keep_secret "$(cat "$PRIVATE/token")"
    if ! ask_sts || [ "$HTTP_STATUS" != 200 ]; then
        judge_sts_error
        return 1
    fi
    ACCESS_KEY=$(xml_text AccessKeyId)
    SECRET_KEY=$(xml_text SecretAccessKey)
    SESSION_TOKEN=$(xml_text SessionToken)
    if [ -z "$ACCESS_KEY" ] || [ -z "$SECRET_KEY" ] || [ -z "$SESSION_TOKEN" ]; then
        PASSING=no
        REASON="the STS endpoint's answer holds no keys; sts_endpoint probably isn't STS"
        return 1
    fi
}

identity_error() {
    [ -r "$PRIVATE/identity" ] || return 0
    tr -d '\n' <"$PRIVATE/identity" | sed -n 's/.*"error_description"[ ]*:[ ]*"\([^"]*\)".*/\1/p'
}

# The token goes by file: a command line can be read by anyone.
ask_sts() {
    endpoint=$(setting sts_endpoint)
    duration=$(setting duration)
    set --
    [ -z "$CERTIFICATES" ] || set -- --cacert "$CERTIFICATES"
    rm -f "$PRIVATE/answer"
    HTTP_STATUS=$(curl -q -sS --proto '=https' --connect-timeout 10 --max-time 30 --max-filesize "$ANSWER_LIMIT" "$@" \
        -o "$PRIVATE/answer" -w '%{http_code}' \
        --data-urlencode 'Action=AssumeRoleWithWebIdentity' \
        --data-urlencode 'Version=2011-06-15' \
        --data-urlencode "RoleArn=$(setting role_arn)" \
        --data-urlencode "RoleSessionName=$(setting role_session)" \
        --data-urlencode "DurationSeconds=${duration:-3600}" \
        --data-urlencode "WebIdentityToken@$PRIVATE/token" \
        "${endpoint:-https://sts.$(setting region).amazonaws.com/}" 2>"$PRIVATE/curl") || HTTP_STATUS=000
    [ "$HTTP_STATUS" != 000 ]
}

# xml_text ELEMENT: its text in the answer.
xml_text() {
    [ -r "$PRIVATE/answer" ] || return 0
    tr -d '\n' <"$PRIVATE/answer" | sed -n "s/.*<$1>\([^<]*\)<\/$1>.*/\1/p"
}

# Passing: no answer, the server's own errors, throttling, and what a role or provider made a moment ago answers.
judge_sts_error() {
    code=$(xml_text Code)
    REASON="STS: $(answer_detail) $code $(xml_text Message)"
    case $HTTP_STATUS in
        000 | 429 | 5??) return ;;
    esac
    case $code in
        Throttling* | RequestLimitExceeded | IDPCommunicationError) ;;
        AccessDenied | InvalidIdentityToken | ExpiredToken*) ;;
        *) PASSING=no ;;
    esac
}

# Asks by a mark and reads the settings until the keys are there; whoever put them removes them after the pairing.
await_keys() {
    start_waiting "$KEYS_DEADLINE"
    asked=
    until take_keys; do
        read_clock
        if [ -z "$asked" ] || [ "$((NOW - asked))" -ge "$REPEAT" ]; then
            mark credentials-wanted "$(setting run)" "$(setting server)"
            asked=$NOW
        fi
        wait_more || fail credentials "no keys came in $((KEYS_DEADLINE / 1000)) s after credentials-wanted;" \
            "usually whoever answers that mark can't read this console"
        refresh_settings
    done
}

take_keys() {
    ACCESS_KEY=$(setting access_key)
    SECRET_KEY=$(setting secret_key)
    SESSION_TOKEN=$(setting session_token)
    [ -n "$ACCESS_KEY" ]
}

# Takes newer settings if they're whole and of the same run, server and recovery instance.
refresh_settings() {
    fetch_settings "$CLOUD" || return 0
    [ -z "$(find_faults "$TEXT")" ] || return 0
    for name in run server recovery_instance; do
        [ "$(sed -n "s/^$name=//p" "$TEXT")" = "$(setting "$name")" ] || return 0
    done
    mv "$TEXT" "$SETTINGS"
}
