"""The words of a stage's `allow` and what they stand for: statements as narrow as each action allows.

Which resource types and condition keys an action takes: Service Authorization Reference, pages of DRS, EC2, EBS, S3,
DynamoDB, Step Functions, Systems Manager, Secrets Manager, STS and KMS.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from failback.naming import RUN_TAG, TARGET_TAG
from stacks.storage import RECENT_INDEX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from failback.contracts import Resource, StageContract

Conditions = dict[str, dict[str, object]]

# Made by a run, of any run: what a stage may remove or write to. "false" is IAM's way to say "is there".
_IS_OURS: Conditions = {"Null": {f"aws:ResourceTag/{RUN_TAG}": "false"}}
_BECOMES_OURS: Conditions = {"Null": {f"aws:RequestTag/{RUN_TAG}": "false"}}
_BUCKET_ACTIONS = frozenset({"s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:GetBucketLocation"})
# What DynamoDB and S3 ask of a caller (DynamoDB developer guide, "DynamoDB encryption at rest: usage notes"), and EBS.
_OF_THE_KEY = ("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey")
_OF_SNAPSHOT_KEYS = ("kms:CreateGrant", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo")
_TAGGED: Mapping[str, Conditions] = {
    "ebs:StartSnapshot": _BECOMES_OURS,
    "ebs:PutSnapshotBlock": _IS_OURS,
    "ebs:CompleteSnapshot": _IS_OURS,
    "ec2:CreateTags": _BECOMES_OURS,
    "ec2:DeleteSnapshot": _IS_OURS,
    "ec2:DeregisterImage": _IS_OURS,
}
"""Actions that only touch what carries a run's tag, or only give it out; reading and registering ask for none."""
_IS_TAKEN_HOME: Conditions = {"Null": {f"aws:ResourceTag/{TARGET_TAG}": "false"}}
# Without any key in the call, "for all" would be true of none.
_ONLY_OUR_MARK: Conditions = {
    "ForAllValues:StringEquals": {"aws:TagKeys": [TARGET_TAG]},
    "Null": {"aws:TagKeys": "false"},
}
_MARKED: Mapping[str, Conditions] = {
    # A failback that somebody else has begun is none of ours. Changing the configuration asks for no mark: one who may
    # give it out could give it out first, and what was changed has to be changed back where the mark has gone, or never
    # came. Nor does taking it off, which may be done twice.
    "drs:StopFailback": _IS_TAKEN_HOME,
    "drs:TagResource": _ONLY_OUR_MARK,
    "drs:UntagResource": _ONLY_OUR_MARK,
}
_TAGGED_AT_BIRTH: Conditions = {"StringEquals": {"ec2:CreateAction": "AuthorizeSecurityGroupIngress"}}


@dataclass(frozen=True, slots=True)
class Statement:
    """Actions, what they're allowed on, under which conditions, and why a resource may stand for many."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Conditions
    why: str = ""


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are. ARNs; `partition`, `region` and `account` may be CloudFormation's own words for them."""

    partition: str
    region: str
    account: str
    bucket: str
    table: str
    key: str
    targets: str
    audiences: Sequence[str]
    secrets: Sequence[str]
    snapshot_keys: Sequence[str]
    machine: str
    client_roles: Sequence[str]
    watcher: str
    hooks: Sequence[str]
    documents: Sequence[str]

    def arn(self, service: str, rest: str) -> str:
        """An ARN in this account and Region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{rest}"


def statements(contract: StageContract, places: Places) -> Sequence[Statement]:
    """Everything that a stage is allowed to."""
    return [
        replace(each, why=_WHY.get(word, ""))
        for word, actions in contract.allow.items()
        for each in _WORDS[word](actions, places)
    ]


def _run_log(actions: Iterable[str], places: Places) -> list[Statement]:
    table = (places.table, f"{places.table}/index/{RECENT_INDEX}")
    return [Statement(tuple(actions), table, {}), _key_use(places, "dynamodb")]


def _image_bucket(actions: Iterable[str], places: Places) -> list[Statement]:
    whole = tuple(action for action in actions if action in _BUCKET_ACTIONS)
    single = tuple(action for action in actions if action not in _BUCKET_ACTIONS)
    allowed = [Statement(whole, (places.bucket,), {}), Statement(single, (f"{places.bucket}/*",), {})]
    return [*(each for each in allowed if each.actions), _key_use(places, "s3")]


def _client_iso(actions: Iterable[str], places: Places) -> list[Statement]:
    """AWS's own buckets of this Region, for the ISO and for its hashes."""
    names = ("aws-elastic-disaster-recovery", "aws-elastic-disaster-recovery-hashes")
    objects = tuple(f"arn:{places.partition}:s3:::{name}-{places.region}/*" for name in names)
    return [Statement(tuple(actions), objects, {})]


def _snapshots(actions: Iterable[str], places: Places) -> list[Statement]:
    # A snapshot's ARN has no account in it.
    ec2 = f"arn:{places.partition}:ec2:{places.region}::snapshot/*"
    given = tuple(actions)
    used = [each for each in given if each.startswith("ebs:")]
    keys = [Statement((*_OF_THE_KEY, *_OF_SNAPSHOT_KEYS), tuple(places.snapshot_keys), {})]
    return [*_each(given, (ec2,)), *(keys if used and places.snapshot_keys else [])]


def _machine_images(actions: Iterable[str], places: Places) -> list[Statement]:
    images = f"arn:{places.partition}:ec2:{places.region}::image/*"
    snapshots = f"arn:{places.partition}:ec2:{places.region}::snapshot/*"
    given = tuple(actions)
    plain = [action for action in given if action != "ec2:RegisterImage"]
    register = Statement(("ec2:RegisterImage",), (images, snapshots), {})
    return [*_each(plain, (images,)), *([register] if "ec2:RegisterImage" in given else [])]


def _targets(actions: Iterable[str], places: Places) -> list[Statement]:
    # GetParametersByPath asks for the path itself, GetParameter for what is below it.
    return [Statement(tuple(actions), (places.targets, f"{places.targets}/*"), {})]


def _federation(actions: Iterable[str], places: Places) -> list[Statement]:
    only: Conditions = {"ForAllValues:StringEquals": {"sts:IdentityTokenAudience": list(places.audiences)}}
    # Without an audience in the call, "for all" would be true of none.
    some: Conditions = {**only, "Null": {"sts:IdentityTokenAudience": "false"}}
    return [Statement(tuple(actions), ("*",), some)] if places.audiences else []


def _secrets(actions: Iterable[str], places: Places) -> list[Statement]:
    return [Statement(tuple(actions), tuple(places.secrets), {})] if places.secrets else []


def _recovery(actions: Iterable[str], places: Places) -> list[Statement]:
    instances = places.arn("drs", "recovery-instance/*")
    return [
        Statement((action,), ("*" if ":Describe" in action else instances,), _MARKED.get(action, {}))
        for action in actions
    ]


def _recovery_hosts(actions: Iterable[str], places: Places) -> list[Statement]:
    """Opening and closing the way to a recovery instance: groups are the customer's, their new rules carry our tags.

    A fence exchanges the groups of an instance's interfaces, which carry no tag that could be asked for. EC2 asks about
    the group and about its rule. That it asks about the rule, too, when one is taken away is unconfirmed: if it
    doesn't, only the function's own look at the tags keeps others' rules where they are.
    """
    groups, rules = places.arn("ec2", "security-group/*"), places.arn("ec2", "security-group-rule/*")
    interfaces = places.arn("ec2", "network-interface/*")
    narrow: Mapping[str, list[tuple[str, Conditions]]] = {
        "ec2:ModifyNetworkInterfaceAttribute": [(interfaces, {}), (groups, {})],
        "ec2:AuthorizeSecurityGroupIngress": [(groups, {}), (rules, _BECOMES_OURS)],
        "ec2:RevokeSecurityGroupIngress": [(groups, {}), (rules, _IS_OURS)],
        "ec2:CreateTags": [(rules, _BECOMES_OURS | _TAGGED_AT_BIRTH)],
    }
    # What describes takes no resource.
    return [
        Statement((action,), (resource,), conditions)
        for action in actions
        for resource, conditions in narrow.get(action, [("*", {})])
    ]


def _task_tokens(actions: Iterable[str], places: Places) -> list[Statement]:
    # A child of a Distributed Map is of "<machine>/<map>"; which of them is asked about for its token is unconfirmed.
    return [Statement(tuple(actions), (places.machine, f"{places.machine}/*"), {})]


def _launch_jobs(actions: Iterable[str], places: Places) -> list[Statement]:
    """Launching what's taken home, and following the jobs that come of it.

    Which resource DRS asks about for the tags of a new job is unconfirmed: the job itself, as with everything else that
    is tagged at its birth.
    """
    narrow: Mapping[str, tuple[str, Conditions]] = {
        "drs:StartFailbackLaunch": (places.arn("drs", "recovery-instance/*"), _IS_TAKEN_HOME),
        "drs:TagResource": (places.arn("drs", "job/*"), _BECOMES_OURS),
    }
    return [Statement((action,), (narrow[action][0],), narrow[action][1]) if action in narrow
            else Statement((action,), ("*",), {}) for action in actions]  # fmt: skip


def _documents(actions: Iterable[str], places: Places) -> list[Statement]:
    """Running the deployment's fence documents inside recovery instances; reading how they went takes no resource."""
    if not places.documents:
        return []
    owned = [f"arn:{places.partition}:ssm:{places.region}:{owner}:document/{name}"
             for name in places.documents for owner in (places.account, "")]  # fmt: skip
    send = Statement(("ssm:SendCommand",), (*owned, places.arn("ec2", "instance/*")), {})
    read = tuple(action for action in actions if action != "ssm:SendCommand")
    return [*([send] if "ssm:SendCommand" in actions else []), *([Statement(read, ("*",), {})] if read else [])]


def _hooks(actions: Iterable[str], places: Places) -> list[Statement]:
    return [Statement(tuple(actions), tuple(places.hooks), {})] if places.hooks else []


def _watcher(actions: Iterable[str], places: Places) -> list[Statement]:
    return [Statement(tuple(actions), (places.watcher,), {})]


def _state_machine(actions: Iterable[str], places: Places) -> list[Statement]:
    """Starting asks about the machine, what's asked of one execution about that."""
    executions = f"{places.machine.replace(':stateMachine:', ':execution:')}:*"
    return [Statement((action,), (places.machine if action.endswith("StartExecution") else executions,), {})
            for action in actions]  # fmt: skip


def _client_roles(actions: Iterable[str], places: Places) -> list[Statement]:
    return [Statement(tuple(actions), tuple(places.client_roles), {})] if places.client_roles else []


def _each(actions: Iterable[str], resources: tuple[str, ...]) -> list[Statement]:
    """One statement for each action: those that describe take no resource, those that change ask for the run's tag."""
    return [
        Statement((action,), ("*",) if ":Describe" in action else resources, _TAGGED.get(action, {}))
        for action in actions
    ]


def _key_use(places: Places, service: str) -> Statement:
    """The deployment's key, through one service only."""
    through: Conditions = {"StringEquals": {"kms:ViaService": f"{service}.{places.region}.amazonaws.com"}}
    return Statement(_OF_THE_KEY, (places.key,), through)


_WORDS: Mapping[Resource, Callable[[Iterable[str], Places], list[Statement]]] = {
    "run_log": _run_log,
    "image_bucket": _image_bucket,
    "client_iso": _client_iso,
    "snapshots": _snapshots,
    "machine_images": _machine_images,
    "targets": _targets,
    "federation": _federation,
    "secrets": _secrets,
    "recovery": _recovery,
    "recovery_hosts": _recovery_hosts,
    "task_tokens": _task_tokens,
    "client_roles": _client_roles,
    "launch_jobs": _launch_jobs,
    "documents": _documents,
    "hooks": _hooks,
    "watcher": _watcher,
    "state_machine": _state_machine,
}

_WHY: Mapping[Resource, str] = {
    "image_bucket": "Objects are named by their content when a run makes them; the bucket is this deployment's own.",
    "client_iso": "AWS names the objects of each version of its ISO; both buckets are AWS's own, and only read.",
    "snapshots": "Snapshots get their ids when they're made; what changes one asks for a run's tag on it.",
    "machine_images": "Images get their ids when they're made; what changes one asks for a run's tag on it.",
    "targets": "Targets come and go with each deployment, all of them below this one path.",
    "recovery": "DRS makes recovery instances when somebody fails over; which ones go home is each request's to say.",
    "recovery_hosts": "Recovery instances' groups are the launch settings' to say; a rule gets its id when it's made.",
    "launch_jobs": "DRS names recovery instances and jobs when they're made; what's launched carries our mark.",
    "documents": "A fence runs in whichever recovery instance is taken home; the documents are named one by one.",
    "state_machine": "An execution's name comes from whoever starts the run; all are this one machine's.",
    "task_tokens": "Each server waits in an execution of its own, a child of this one machine.",
}
"""Why the resources of a word end with a star; the others' are named one by one."""
