"""Kubeflow Pipelines as a place to run: submitting, following, scheduling, and what came of it."""
