"""Filters and pages of EC2's Describe calls.

Source: EC2 API reference, DescribeImages, DescribeSnapshots, DescribeTags (filters are and-ed, values or-ed, `*` and
`?` are wildcards).
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any, TypeVar

from localcloud.ebs.refusal import Ec2Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Item = TypeVar("Item")
MOST_FILTERS, MOST_VALUES = 50, 200
SMALLEST_PAGE, LARGEST_PAGE = 5, 1000


def select(
    items: Iterable[Item],
    filters: Sequence[Mapping[str, Any]],
    fields: Mapping[str, Callable[[Item], Iterable[str]]],
    tags: Callable[[Item], Mapping[str, str]],
) -> list[Item]:
    """The items that match every filter; `fields` gives an item's values by filter name, tags are added to them."""
    if len(filters) > MOST_FILTERS or any(len(each.get("Values", ())) > MOST_VALUES for each in filters):
        raise Ec2Refusal(400, "FilterLimitExceeded", f"More than {MOST_FILTERS} filters or {MOST_VALUES} values of one")
    tests = [_test(each, fields, tags) for each in filters]
    return [item for item in items if all(test(item) for test in tests)]


def _test(
    wanted: Mapping[str, Any],
    fields: Mapping[str, Callable[[Item], Iterable[str]]],
    tags: Callable[[Item], Mapping[str, str]],
) -> Callable[[Item], bool]:
    name = wanted.get("Name", "")
    patterns = [_wildcard(value) for value in wanted.get("Values", ())]
    if not patterns:
        raise Ec2Refusal(400, "InvalidParameterValue", f"The filter '{name}' has no values")
    if name.startswith("tag:"):
        key = name.removeprefix("tag:")
        return lambda item: key in tags(item) and _any(patterns, [tags(item)[key]])
    if name == "tag-key":
        return lambda item: _any(patterns, tags(item))
    if name not in fields:
        raise Ec2Refusal(400, "InvalidParameterValue", f"The filter '{name}' is invalid")
    return lambda item: _any(patterns, fields[name](item))


def _any(patterns: Iterable[re.Pattern[str]], values: Iterable[str]) -> bool:
    given = list(values)
    return any(pattern.fullmatch(value) for pattern in patterns for value in given)


def _wildcard(value: str) -> re.Pattern[str]:
    """A filter's value as an expression; a backslash makes the next character plain."""
    parts = re.findall(r"\\.|.", value, re.DOTALL)
    plain = {"*": ".*", "?": "."}
    return re.compile("".join(plain.get(part) or re.escape(part[-1]) for part in parts), re.DOTALL)


def page(
    items: Sequence[Item], values: Mapping[str, Any], key: Callable[[Item], str], *, smallest: int = SMALLEST_PAGE
) -> tuple[list[Item], str | None]:
    """The items after NextToken in the order of their keys, at most MaxResults, and the next token."""
    size = values.get("MaxResults")
    if size is not None and not smallest <= size <= LARGEST_PAGE:
        raise Ec2Refusal(400, "InvalidParameterValue", f"MaxResults must be between {smallest} and {LARGEST_PAGE}")
    after = _position(values.get("NextToken"))
    left = sorted((item for item in items if key(item) > after), key=key)
    if size is None or len(left) <= size:
        return left, None
    return left[:size], base64.urlsafe_b64encode(key(left[size - 1]).encode()).decode("ascii")


def _position(token: str | None) -> str:
    if token is None:
        return ""
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Ec2Refusal(400, "InvalidParameterValue", "Unable to parse pagination token") from error
