"""The manifests of a run for KubeRay: what its pods need, and the YAML that Kubernetes is given."""
