# shellcheck shell=sh
# dracut pre-udev hook: loads the drivers that the ISO's initrd lacks, each after those it needs. Sourced: no exit.

drs_modules=${DRS_FAILBACK_PREFIX:-}/drs-failback/modules
while read -r drs_module; do
    drs_failure=$(insmod "$drs_modules/$drs_module" 2>&1) && continue
    case $drs_failure in
        *'File exists'*) ;; # loaded already, or built in
        *) echo "<4>FAILBACK-AGENT warning hook: $drs_module: $drs_failure" 2>/dev/null >"${DRS_FAILBACK_PREFIX:-}/dev/kmsg" ;;
    esac
done <"$drs_modules/list"
unset drs_modules drs_module drs_failure
