"""What an API server would say of manifests: the schemas and rules of KubeRay's resources, and those of core kinds."""

import copy
import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import celpy
import jsonschema
import kubernetes_validate
import pytest
import yaml
from celpy.adapter import json_to_cel

from raydnn.k8s.kustomization import Manifest, pod_templates

VERSION = "1.37"
CRDS = os.environ.get("RAYDNN_KUBERAY_CRDS")
"""Folder of the custom resource definitions of KubeRay."""

needs_crds = pytest.mark.skipif(CRDS is None, reason="RAYDNN_KUBERAY_CRDS names no folder with KubeRay's CRDs")


def schema_faults(manifest: Manifest) -> Iterator[str]:
    """What the schema of a custom resource refuses, unknown keys included."""
    schema = _crds()[manifest["kind"]]
    admitted = _with_defaults(_without_nulls(manifest), schema)
    for error in jsonschema.Draft202012Validator(_strict(manifest["kind"])).iter_errors(admitted):
        yield f"{error.json_path}: {error.message}"


def cel_faults(manifest: Manifest) -> Iterator[str]:
    """Which rules of a custom resource are broken, but for those that compare with an earlier version."""
    admitted = _without_nulls(manifest)
    yield from _broken_rules(_crds()[manifest["kind"]], admitted)


def core_faults(manifest: Manifest) -> Iterator[str]:
    """What the schema of a core kind refuses, unknown keys included."""
    yield from _core_faults(json.dumps(manifest))


def pod_faults(manifest: Manifest) -> Iterator[str]:
    """What the schema of pods refuses of the pods that a manifest makes."""
    for name, template in pod_templates(manifest):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **template["metadata"]}}
        yield from core_faults({**pod, "spec": template["spec"]})


@cache
def _core_faults(text: str) -> tuple[str, ...]:
    """By the text of a manifest, as many sets of manifests share most of theirs."""
    try:
        kubernetes_validate.validate(json.loads(text), VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        return (str(error),)
    return ()


@cache
def _crds() -> dict[str, Any]:
    """Kind -> the schema of its version v1."""
    assert CRDS is not None
    found = {}
    for path in Path(CRDS).glob("*.yaml"):
        spec = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)["spec"]
        (version,) = (each for each in spec["versions"] if each["name"] == "v1")
        found[spec["names"]["kind"]] = version["schema"]["openAPIV3Schema"]
    return found


@cache
def _strict(kind: str) -> Any:
    """The schema of a kind, in which no unknown key is left and metadata is that of all objects."""
    schema = copy.deepcopy(_crds()[kind])
    text = {"type": "string"}
    texts = {"type": "object", "additionalProperties": text}
    metadata = {"name": text, "namespace": text, "labels": texts, "annotations": texts}
    schema["properties"]["metadata"] = {"type": "object", "properties": metadata, "required": ["name"]}
    return _closed(schema)


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if schema.get("x-kubernetes-int-or-string") is True:
        closed.pop("type", None)
        closed["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    # What lists properties under the name properties is no schema, but has one for each.
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and not is_open:
        closed["additionalProperties"] = False
    return closed


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _with_defaults(value: Any, schema: Any) -> Any:
    if isinstance(value, list):
        return [_with_defaults(item, schema.get("items", {})) for item in value]
    if not isinstance(value, dict):
        return value
    properties = schema.get("properties", {})
    defaults = {key: each["default"] for key, each in properties.items() if "default" in each}
    others = schema.get("additionalProperties")
    rest = others if isinstance(others, dict) else {}
    return {key: _with_defaults(item, properties.get(key, rest)) for key, item in (defaults | value).items()}


def _broken_rules(schema: Any, value: Any) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", []):
        if "oldSelf" not in rule["rule"] and not _holds(rule["rule"], value):
            yield rule["message"]
    if isinstance(value, list):
        for item in value:
            yield from _broken_rules(schema.get("items", {}), item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _broken_rules(schema.get("properties", {}).get(key, {}), item)


def _holds(rule: str, value: Any) -> bool:
    environment = celpy.Environment()
    program = environment.program(environment.compile(rule))
    return bool(program.evaluate({"self": json_to_cel(value)}))
