# shellcheck shell=sh
# The cloud's metadata service: which cloud this is, and what the machine was told there. The exact paths of Azure's user
# data and of Google's identity are unconfirmed.

# Bytes of an answer: Google allows 256 KiB in one value, Azure 64 KiB.
ANSWER_LIMIT=262144

# fetch OUT HEADER URL [CURL-OPTION...]: sets HTTP_STATUS (000: no answer); succeeds at 200.
fetch() {
    fetch_out=$1
    fetch_header=$2
    fetch_url=$3
    shift 3
    rm -f "$fetch_out"
    HTTP_STATUS=$(curl -q -sS --noproxy '*' --connect-timeout 2 --max-time 10 --max-filesize "$ANSWER_LIMIT" \
        -H "$fetch_header" -o "$fetch_out" -w '%{http_code}' "$@" "$fetch_url" 2>"$PRIVATE/curl") || HTTP_STATUS=000
    [ "$HTTP_STATUS" = 200 ]
}

# What to say of the last request that went wrong.
answer_detail() {
    case $HTTP_STATUS in
        000) printf 'no answer: %s\n' "$(sed -n '/^curl: /{p;q;}' "$PRIVATE/curl")" ;;
        *) printf 'HTTP %s\n' "$HTTP_STATUS" ;;
    esac
}

# The clouds that this machine may be in, as its firmware says; both where it says nothing of use.
likely_clouds() {
    vendor=
    { IFS= read -r vendor <"$SYSROOT/sys/class/dmi/id/sys_vendor"; } 2>/dev/null
    case $vendor in
        'Microsoft Corporation') printf '%s\n' azure ;;
        Google*) printf '%s\n' google ;;
        *) printf '%s\n' 'azure google' ;;
    esac
}

# fetch_settings CLOUD: writes the settings' text to $TEXT; what can't be decoded becomes a text that no parser takes.
fetch_settings() {
    case $1 in
        azure)
            fetch "$PRIVATE/answer" 'Metadata: true' \
                "$METADATA/metadata/instance/compute/userData?api-version=2021-01-01&format=text" || return 1
            [ -s "$PRIVATE/answer" ] || return 1
            base64 -d "$PRIVATE/answer" >"$TEXT" 2>/dev/null || printf "user data that isn't base64\n" >"$TEXT"
            ;;
        google)
            fetch "$TEXT" 'Metadata-Flavor: Google' \
                "$METADATA/computeMetadata/v1/instance/attributes/failback-settings" || return 1
            ;;
    esac
    [ -s "$TEXT" ]
}

# fetch_identity: writes a token that says who this machine is to $PRIVATE/token, without a line's end.
fetch_identity() {
    case $CLOUD in
        azure)
            # Without its name a machine that has several gets none, or its own, which AWS doesn't trust.
            own=$(setting identity)
            set -- --data-urlencode "resource=$(setting audience)"
            [ -z "$own" ] || set -- "$@" --data-urlencode "msi_res_id=$own"
            fetch "$PRIVATE/identity" 'Metadata: true' "$METADATA/metadata/identity/oauth2/token?api-version=2018-02-01" \
                -G "$@" || return 1
            tr -d '\n' <"$PRIVATE/identity" |
                sed -n 's/.*"access_token"[ ]*:[ ]*"\([A-Za-z0-9._-]*\)".*/\1/p' | tr -d '\n' >"$PRIVATE/token"
            ;;
        google)
            fetch "$PRIVATE/identity" 'Metadata-Flavor: Google' \
                "$METADATA/computeMetadata/v1/instance/service-accounts/default/identity?format=full" \
                -G --data-urlencode "audience=$(setting audience)" || return 1
            tr -d '\r\n' <"$PRIVATE/identity" >"$PRIVATE/token"
            ;;
    esac
    [ -s "$PRIVATE/token" ]
}
