"""What no schema says of manifests: the checks that KubeRay's operator makes, and whether all names lead somewhere."""

# To be imported is enough: their rules come into RULES.
from kuberay_rules import operator_checks as operator_checks
from kuberay_rules import pod_checks as pod_checks
from kuberay_rules import references as references
from kuberay_rules import workloads as workloads
from kuberay_rules.base import RULES, Manifests

__all__ = ["RULES", "faults"]


def faults(manifests: Manifests) -> list[str]:
    """All that is wrong, with the names of the rules."""
    return [f"{name}: {text}" for name, rule in RULES.items() for text in rule(manifests)]
