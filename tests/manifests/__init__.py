"""The manifests, as far as they can be checked without a cluster."""
