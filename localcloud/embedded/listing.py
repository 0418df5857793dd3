"""Everything that lies in the clouds, in an order that stays the same: equal before and after is equal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from localcloud.embedded.clouds import Client, EmbeddedClouds

Json = dict[str, Any]
LEASE = "lease#"
"""How the run log's keys of leases begin; what it keeps of runs isn't listed."""


def listing(clouds: EmbeddedClouds) -> Json:
    """Objects, uploads under way, snapshots, AMIs, leases, recovery instances, security groups, and what homes hold.

    Plain values that can be compared.
    """
    return {
        "objects": _objects(clouds),
        "uploads": _uploads(clouds),
        "snapshots": _snapshots(clouds),
        "images": {name: image.model_dump(mode="json") for name, image in sorted(clouds.images.images.items())},
        "leases": _leases(clouds.client("dynamodb")),
        "recovery": clouds.drs.listing(),
        "security_groups": _security_groups(clouds.client("ec2")),
        "azure": clouds.azure.listing(),
        "google": clouds.google.listing(),
    }


def _objects(clouds: EmbeddedClouds) -> Json:
    """Every bucket's objects, by bucket and key: size and ETag, which follows the bytes."""
    found: Json = {}
    for bucket in clouds.object_store.buckets():
        records = [bucket.find(key) for key in bucket.keys_from("")]
        found[bucket.record.name] = {each.key: [each.size, each.etag] for each in records if each is not None}
    s3 = clouds.client("s3", s3={"addressing_style": "path"})
    for bucket in s3.list_buckets()["Buckets"]:
        if bucket["Name"] not in found:
            found[bucket["Name"]] = _listed(s3, bucket["Name"])
    return dict(sorted(found.items()))


def _listed(s3: Client, bucket: str) -> Json:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    objects = (each for page in pages for each in page.get("Contents", ()))
    return {each["Key"]: [each["Size"], each["ETag"].strip('"')] for each in objects}


def _uploads(clouds: EmbeddedClouds) -> Json:
    """Uploads under way, by bucket and id: their keys."""
    found = {bucket.record.name: bucket.uploads() for bucket in clouds.object_store.buckets()}
    return {name: {each.id: each.key for each in uploads} for name, uploads in found.items() if uploads}


def _snapshots(clouds: EmbeddedClouds) -> Json:
    store = clouds.snapshots
    return {
        name: {
            "size": record.size,
            "status": store.status(record),
            "description": record.description,
            "parent": record.parent,
            "encrypted": record.encrypted,
            "tags": dict(sorted(record.tags.items())),
            "blocks": sum(1 for _ in store.blocks(name)),
        }
        for name, record in sorted(store.records.items())
    }


def _leases(dynamodb: Client) -> Json:
    """Who holds which lease, by table and name."""
    found: Json = {}
    for table in dynamodb.list_tables()["TableNames"]:
        items = (item for page in dynamodb.get_paginator("scan").paginate(TableName=table) for item in page["Items"])
        for item in items:
            name = str(item.get("pk", {}).get("S", ""))
            if name.startswith(LEASE):
                found[f"{table}/{name}"] = item.get("holder", {}).get("S", "")
    return dict(sorted(found.items()))


def _security_groups(ec2: Client) -> Json:
    """Every group's rules, without the ids that change when one is given again, and its tags."""
    pages = ec2.get_paginator("describe_security_groups").paginate()
    groups = (group for page in pages for group in page["SecurityGroups"])
    return {
        group["GroupId"]: {
            "ingress": sorted(_rules(group["IpPermissions"])),
            "egress": sorted(_rules(group["IpPermissionsEgress"])),
            "tags": {tag["Key"]: tag["Value"] for tag in sorted(group.get("Tags", ()), key=lambda tag: tag["Key"])},
        }
        for group in sorted(groups, key=lambda group: group["GroupId"])
    }


def _rules(permissions: Iterable[Json]) -> Iterator[str]:
    """A rule for each range, group or list that may come in: protocol, ports, who, and what is said of it."""
    for each in permissions:
        ports = f"{each['IpProtocol']} {each.get('FromPort', '')}-{each.get('ToPort', '')}"
        for kind in ("IpRanges", "Ipv6Ranges", "UserIdGroupPairs", "PrefixListIds"):
            for whom in each.get(kind, ()):
                name = whom.get("CidrIp") or whom.get("CidrIpv6") or whom.get("GroupId") or whom.get("PrefixListId")
                yield f"{ports} {name} {whom.get('Description', '')}".rstrip()
