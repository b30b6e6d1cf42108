"""`aws cognito-idp ...` as far as docs/cognito.md has it, by boto3, against the emulator at AWS_ENDPOINT_URL.

Options follow from botocore's own description of the API: one that there is none is refused, as by `aws`.
"""

from __future__ import annotations

import os
import sys

import boto3
from botocore import xform_name


def main(arguments: list[str]) -> None:
    """One call."""
    service, operation, *rest = arguments
    assert service == "cognito-idp", service
    client = boto3.client(service, region_name=os.environ["AWS_REGION"], endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    method = operation.replace("-", "_")
    name = {xform_name(one): one for one in client.meta.service_model.operation_names}[method]
    members = client.meta.service_model.operation_model(name).input_shape.members
    options = {xform_name(one, "-"): one for one in members}
    given: dict[str, list[str]] = {}
    for word in rest:
        if word.startswith("--"):
            values = given.setdefault(word[2:], [])
        else:
            values.append(word)
    query = given.pop("query", None)
    assert given.pop("output", ["text"]) == ["text"]
    answer = getattr(client, method)(**{options[one]: _value(members[options[one]], given[one]) for one in given})
    if query:
        for part in query[0].split("."):
            answer = answer[part]
        print(answer)


def _value(shape: object, words: list[str]) -> object:
    kind = getattr(shape, "type_name", "")
    if kind == "list":
        return words
    if kind == "boolean":
        assert not words, words
        return True
    (word,) = words
    return word


if __name__ == "__main__":
    main(sys.argv[1:])
