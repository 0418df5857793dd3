# shellcheck shell=sh
# The machine's settings: `name=value` lines, judged line by line against what is known; never sourced, never evaluated.
# failback/model/agent.py writes them and holds the same rules; a test compares the two.

# Bytes of the whole text: Azure takes 64 KiB of base64, which is 48 KiB.
SETTINGS_LIMIT=49152

# setting NAME: its value, or nothing.
setting() {
    sed -n "s/^$1=//p" "$SETTINGS"
}

# find_faults FILE: writes every fault, one a line; nothing if there is none. It never repeats a value: it may be a secret.
find_faults() {
    if [ "$(wc -c <"$1")" -gt "$SETTINGS_LIMIT" ]; then
        printf 'settings: are longer than %s bytes\n' "$SETTINGS_LIMIT"
        return
    fi
    if [ "$(tr -d '\n -~' <"$1" | wc -c)" -ne 0 ]; then
        printf 'settings: hold bytes other than printable ASCII and line ends\n'
        return
    fi
    awk '
        # Not every awk knows {n,m}: lengths are judged on their own.
        function rule(name, shortest, longest, pattern) {
            known[name] = 1; least[name] = shortest; most[name] = longest; form[name] = pattern
        }
        function judged(name, value) {
            return length(value) >= least[name] && length(value) <= most[name] && (value == "" || value ~ form[name])
        }
        function is(name, value) { return name in given && given[name] == value }
        function fault(path, text) { print path ": " text }
        function judge_number(name, low, high) {
            if (name in given && given[name] ~ /^[0-9]+$/ && (given[name] + 0 < low || given[name] + 0 > high))
                fault(name, "must be from " low " to " high)
        }
        function need(names, why,    list, i, count) {
            count = split(names, list, " ")
            for (i = 1; i <= count; i++) if (!(list[i] in given)) fault(list[i], "is missing" why)
        }
        function refuse(names, why,    list, i, count) {
            count = split(names, list, " ")
            for (i = 1; i <= count; i++) if (list[i] in given) fault(list[i], "isn\047t for " why)
        }
        function judge_mapping(value,    path, part, parts, i, at, key, seen) {
            path = "mapping[" mappings++ "]"
            parts = split(value, part, / /)
            if (parts < 2) { fault(path, "must be a recovery device and selectors, one blank between them"); return }
            if (!judged("device", part[1])) fault(path, "names no recovery device")
            else if (part[1] in devices) fault(path, "names its recovery device a second time")
            devices[part[1]] = 1
            if (parts == 2 && part[2] == "exclude") return
            included = 1
            for (i = 2; i <= parts; i++) {
                at = index(part[i], "=")
                key = substr(part[i], 1, at - 1)
                if (!at || key !~ /^(lun|name|size)$/) { fault(path, "has a selector that isn\047t lun=, name=, size= or a single exclude"); continue }
                if (key in seen) fault(path, "has " key " twice")
                seen[key] = 1
                if (!judged("selector " key, substr(part[i], at + 1))) fault(path, "has a faulty " key)
                else if (key == "size" && substr(part[i], at + 1) % 512) fault(path, "has a size that isn\047t a multiple of 512")
            }
        }
        BEGIN {
            id = "^[A-Za-z0-9][A-Za-z0-9._-]*$"
            flag = "^(true|false)$"
            rule("version", 1, 1, "^1$")
            rule("run", 1, 64, id)
            rule("server", 1, 64, id)
            rule("prepare", 4, 5, flag)
            rule("region", 5, 32, "^[a-z][a-z]+(-[a-z]+)+-[0-9]+$")
            rule("recovery_instance", 10, 19, "^i-[0-9a-f]+$")
            rule("credentials", 4, 12, "^(web-identity|keys)$")
            rule("role_arn", 26, 2048, "^arn:aws[a-z-]*:iam::[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]:role/[A-Za-z0-9+=,.@_/-]+$")
            rule("audience", 1, 256, "^[A-Za-z0-9][A-Za-z0-9:/._~@?&=%+-]*$")
            rule("role_session", 2, 64, "^[A-Za-z0-9_+=,.@-]+$")
            rule("identity", 2, 512, "^/[A-Za-z0-9._()/-]+$")
            rule("duration", 3, 5, "^[1-9][0-9]+$")
            rule("sts_endpoint", 9, 255, "^https://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?$")
            rule("drs_endpoint", 0, 255, "^[A-Za-z0-9.:/_-]+$")
            rule("s3_endpoint", 0, 255, "^[A-Za-z0-9.:/_-]+$")
            rule("ca_certificates", 4, 32768, "^[A-Za-z0-9+/]+=?=?$")
            rule("access_key", 16, 128, "^[A-Z0-9]+$")
            rule("secret_key", 16, 128, "^[A-Za-z0-9/+=]+$")
            rule("session_token", 16, 8192, "^[A-Za-z0-9/+=_-]+$")
            rule("device", 1, 64, "^[A-Za-z0-9/][A-Za-z0-9/:_.-]*$")
            rule("selector lun", 1, 5, "^(0|[1-9][0-9]*)$")
            rule("selector name", 1, 63, "^[A-Za-z0-9][A-Za-z0-9_.-]*$")
            rule("selector size", 3, 15, "^[1-9][0-9]*$")
            delete known["device"]
        }
        {
            at = index($0, "=")
            name = substr($0, 1, at - 1)
            value = substr($0, at + 1)
        }
        !at { fault("line " NR, "isn\047t name=value"); next }
        name == "mapping" { judge_mapping(value); next }
        !(name in known) || name ~ / / { fault("line " NR, "has a name that isn\047t known"); next }
        name in given { fault(name, "is given twice"); next }
        { given[name] = value }
        !judged(name, value) { fault(name, "is faulty; expected " least[name] " to " most[name] " characters like " form[name]) }
        END {
            judge_number("duration", 900, 43200)
            need("version run server", "")
            if (mappings > 60) fault("mapping", "is given more than 60 times")
            keys = ("access_key" in given) + ("secret_key" in given) + ("session_token" in given)
            if (keys && keys < 3) fault("access_key", "must come with secret_key and session_token, or none of the three")
            if (is("credentials", "keys")) refuse("role_arn audience role_session identity duration sts_endpoint", "credentials=keys")
            else refuse("access_key secret_key session_token", "anything but credentials=keys")
            if (is("credentials", "web-identity")) need("role_arn audience role_session", " with credentials=web-identity")
            if (is("prepare", "true")) exit
            need("region recovery_instance credentials", "")
            if (!included) fault("mapping", "is missing: at least one recovery device needs a local disk")
        }' "$1"
}

# Sets CLOUD and SETTINGS, or fails with every fault.
await_settings() {
    TEXT=$PRIVATE/text
    SETTINGS=$PRIVATE/settings
    start_waiting "$SETTINGS_DEADLINE"
    until read_any_settings; do
        wait_more || fail settings "the metadata service gave none in $((SETTINGS_DEADLINE / 1000)) s:$last_answers;" \
            "usually the machine was started without user data (Azure) or the attribute failback-settings (Google)"
    done
    settings_faults=$(find_faults "$TEXT")
    [ -z "$settings_faults" ] || fail settings "$(printf '%s\n' "$settings_faults" | tr '\n' ';' | sed 's/;$//; s/;/; /g')"
    mv "$TEXT" "$SETTINGS"
}

# Sets CLOUD to the first one that has settings for this machine.
read_any_settings() {
    last_answers=
    for CLOUD in $(likely_clouds); do
        ! fetch_settings "$CLOUD" || return 0
        last_answers="$last_answers $CLOUD $(answer_detail)"
    done
    return 1
}
