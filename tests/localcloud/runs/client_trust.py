"""Has a place's target vouch for no client machine, so that clients get keys when they ask for them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.localcloud.runs.place import Place


def ask_for_keys(place: Place) -> None:
    """Change the deployment's target, and AWS's role for client machines as the stack would make it."""
    parameters, iam = place.clouds.client("ssm"), place.clouds.client("iam")
    (name,) = (
        each["Name"]
        for page in parameters.get_paginator("describe_parameters").paginate()
        for each in page["Parameters"]
        if each["Name"].endswith(f"/{place.target}")
    )
    target = json.loads(parameters.get_parameter(Name=name)["Parameter"]["Value"])
    changed = json.dumps({**target, "client": {"kind": "keys"}})
    parameters.put_parameter(Name=name, Value=changed, Type="String", Overwrite=True)
    functions, ending = place.clouds.client("lambda"), f"-client-{place.target}"
    minter = functions.get_function_configuration(FunctionName=place.function("register_client"))["Role"]
    (role,) = (each["RoleName"] for each in iam.list_roles()["Roles"] if each["RoleName"].endswith(ending))
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": minter}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=document)
