"""S3's XML documents: written from plain values, read with their size and nesting bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from localcloud.objects.refusal import S3Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
LARGEST = 4 * 1024 * 1024
"""Bytes: 10,000 parts of about 300 bytes each, and room."""


def write(root: str, content: Mapping[str, object]) -> str:
    """A document; lists repeat their element, None is left out."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{NAMESPACE}">{_members(content)}</{root}>'


def _members(content: Mapping[str, object]) -> str:
    return "".join(_element(name, value) for name, value in content.items())


def _element(name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return "".join(_element(name, each) for each in value)
    if isinstance(value, dict):
        return f"<{name}>{_members(value)}</{name}>"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"<{name}>{escape(text)}</{name}>"


def read(data: bytes, root: str) -> ElementTree.Element:
    """A document's root with the namespaces taken off its elements' names."""
    if len(data) > LARGEST or b"<!DOCTYPE" in data:
        raise _malformed()
    try:
        document = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise _malformed() from error
    for element in document.iter():
        element.tag = element.tag.rpartition("}")[2]
    if document.tag != root:
        raise _malformed()
    return document


def children(
    element: ElementTree.Element, allowed: frozenset[str], *, unemulated: frozenset[str] = frozenset()
) -> dict[str, str]:
    """The text of an element's children; refuses others than those allowed, and those that S3 knows by their names."""
    found = {child.tag: (child.text or "").strip("\n") for child in element}
    if known := sorted(set(found) & unemulated):
        raise S3Refusal(code="NotImplemented", message=f"{', '.join(known)} of {element.tag} isn't emulated")
    if set(found) - allowed:
        raise _malformed()
    return found


def _malformed() -> S3Refusal:
    message = "The XML you provided was not well-formed or did not validate against our published schema"
    return S3Refusal(code="MalformedXML", message=message)
