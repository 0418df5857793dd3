# shellcheck shell=sh
# From the settings' mappings to DEVICE_MAPPING: every recovery device to exactly one local disk, or refused.

# resolve_mappings: reads disks, names and mappings; writes DEVICE_MAPPING and returns 0, or writes the faults and returns 1.
# A name with a colon (Windows: "c:0") can't be told from a separator, so the list form is used; that the client takes it
# from its start script is unconfirmed.
# A link's name must end in the wanted name behind a boundary: "disk-1" isn't "google-my-disk-1".
resolve_mappings() {
    { list_disks; list_disk_names; sed -n 's/^mapping=/mapping /p' "$SETTINGS"; } | awk '
        function named(disk, name,    i, text) {
            for (i = 1; i <= texts[disk]; i++) {
                text = known[disk, i]
                if (text == name || text == "google-" name || text == "virtio-" name) return 1
                if (length(text) > length(name) && substr(text, length(text) - length(name)) == "_" name) return 1
            }
            return 0
        }
        function fits(disk, selector,    at, key, wanted) {
            at = index(selector, "=")
            key = substr(selector, 1, at - 1)
            wanted = substr(selector, at + 1)
            if (key == "lun") return lun[disk] "" == wanted ""
            if (key == "size") return bytes[disk] "" == wanted ""
            return key == "name" && named(disk, wanted)
        }
        function local_disk(    i, j, fit, found, seen) {
            found = ""
            for (i = 1; i <= disks; i++) {
                fit = state[name[i]] == "free"
                for (j = 3; j <= NF; j++) fit = fit && fits(name[i], $j)
                if (fit) { found = found (found == "" ? "" : " ") "/dev/" name[i]; seen++ }
            }
            if (seen == 1 && !(found in taken)) { taken[found] = $2; return found }
            fault($0 ": " (!seen ? "no disk fits" : seen > 1 ? found " all fit" : found " is taken by " taken[found]))
            return "?"
        }
        function fault(text) { faults = faults (faults == "" ? "" : "; ") text }
        $1 == "disk" {
            name[++disks] = $2; bytes[$2] = $3; lun[$2] = $4; state[$2] = $5
            seen_disks = seen_disks " " $2 "(" $5 ",lun=" $4 ",size=" $3 ")"
        }
        $1 == "name" { known[$2, ++texts[$2]] = $3 }
        $1 == "mapping" {
            recovery[++pairs] = $2
            target[pairs] = $3 == "exclude" ? "EXCLUDE" : local_disk()
            if (index($2, ":")) colons = 1
        }
        END {
            if (faults != "") { print faults "; disks:" seen_disks; exit 1 }
            for (i = 1; i <= pairs; i++) {
                if (colons)
                    pair = "{\"recoveryInstanceDeviceName\":\"" recovery[i] "\",\"failbackClientDeviceName\":\"" target[i] "\"}"
                else
                    pair = recovery[i] "=" target[i]
                list = list (i > 1 ? "," : "") pair
            }
            print colons ? "[" list "]" : list
        }'
}

# Sets DEVICE_MAPPING just before the client starts; disks may still be appearing, so it asks again for a while.
map_devices() {
    [ -n "$OWN_DISK" ] || fail mapping "the client's own disk can't be told from the others: nothing is mounted at" \
        "/run/initramfs/live, and not exactly one disk has a partition $STATE_PARTITION"
    start_waiting "$DISKS_DEADLINE"
    until DEVICE_MAPPING=$(resolve_mappings); do
        wait_more || fail mapping "$DEVICE_MAPPING"
    done
    mark mapping "$DEVICE_MAPPING"
}
