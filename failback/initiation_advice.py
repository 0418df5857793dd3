"""What to do where one of DRS's initiation steps fails, and the ways that a client takes: texts for people.

Sources: AWS's pages on the Failback Client and on its troubleshooting.
"""

from __future__ import annotations

PORT = (
    "let TCP 1500 in to the recovery instance from the client's address, both in its security groups and its subnet's "
    "network ACL, and look for a route between the networks; with private addresses that takes a VPN or "
    "interconnect, without them a public address on the recovery instance"
)
OUTWARD = (
    "let the recovery instance out to TCP 443 of DRS and S3, check that its replication agent runs (on Linux the "
    "service aws-replication, its log is /var/lib/aws-replication-agent/agent.log.0) and that its instance profile has "
    "AWSElasticDisasterRecoveryRecoveryInstancePolicy"
)
HOME_OUTWARD = (
    "let the client machine's subnet at home out to TCP 443 of DRS and S3 in the recovery instance's Region, by name "
    "too (DNS), and check a proxy or firewall that opens TLS"
)
AGAIN = "start again; where it fails once more, read failback.log on the client and give its lines to AWS Support"

STEPS = {
    "LINK_FAILBACK_CLIENT_WITH_RECOVERY_INSTANCE": "Usually the client's role lacks "
    "AWSElasticDisasterRecoveryFailbackInstallationPolicy, its condition on the recovery instance's tag "
    "drs-failback:target doesn't fit, the Region is a wrong one, or every disk at home is smaller than its volume. "
    "Compare the role with the stack's, and the run's Region with the recovery instance's.",
    "COMPLETE_VOLUME_MAPPING": "Usually a disk at home is smaller than its volume, or a volume was added to the "
    "recovery instance since readiness was checked. Compare its volumes with the plan in the report, and start again.",
    "ESTABLISH_RECOVERY_INSTANCE_COMMUNICATION": "Usually the client can't reach the recovery instance, or that can't "
    f"reach DRS: {PORT}; and {OUTWARD}.",
    "DOWNLOAD_REPLICATION_SOFTWARE_TO_FAILBACK_CLIENT": "Usually the client machine can't reach S3: "
    f"{HOME_OUTWARD}. Behind a VPC endpoint of S3 its policy has to allow AWS's own buckets.",
    "CONFIGURE_REPLICATION_SOFTWARE": "Usually the client machine is short of memory (it takes 4 GiB; choose a size of "
    "8 GiB), or its clock is wrong, so that its certificate isn't valid: the machine's clock has to be UTC, and UDP "
    "123 open to a time server.",
    "PAIR_AGENT_WITH_REPLICATION_SOFTWARE": "Usually the agent on the recovery instance isn't running, was built for "
    f"another kernel, or TCP 1500 is open one way only: {OUTWARD}; and {PORT}.",
    "ESTABLISH_AGENT_REPLICATOR_SOFTWARE_COMMUNICATION": "Usually a firewall or an MTU on the way cuts the connection "
    f"once data flows: {PORT}; and check that no device on the way ends idle or large connections.",
}
"""By DRS's initiation step."""
