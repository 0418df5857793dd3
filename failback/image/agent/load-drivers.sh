# shellcheck shell=sh
# dracut pre-udev hook: loads the drivers that the ISO's initrd lacks, each after those it needs. Sourced: no exit.

drs_failback_complain() {
    echo "<4>FAILBACK-AGENT warning hook: $drs_module: $drs_failure" 2>/dev/null >>"${DRS_FAILBACK_PREFIX:-}/dev/kmsg"
}

# An image for several clouds brings drivers for all of them: hv_vmbus, say, loads on Hyper-V only, and what needs it
# finds no symbols elsewhere.
drs_modules=${DRS_FAILBACK_PREFIX:-}/drs-failback/modules
drs_absent=
while read -r drs_module; do
    drs_failure=$(insmod "$drs_modules/$drs_module" 2>&1) && continue
    case $drs_failure in
        *'File exists'*) ;; # loaded already, or built in
        *'No such device'*) drs_absent=yes ;;
        *'Unknown symbol'*) [ -n "$drs_absent" ] || drs_failback_complain ;;
        *) drs_failback_complain ;;
    esac
done <"$drs_modules/list"
unset drs_modules drs_module drs_failure drs_absent
