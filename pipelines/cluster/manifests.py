"""Manifests: a pipeline as the objects ``Pipeline`` and ``PipelineVersion`` of Kubeflow Pipelines.

An installation whose pipelines are kept in Kubernetes (``--pipelinesStoreKubernetes``) takes them
from there, so that they can be deployed as everything else is.
"""

import hashlib
import tempfile
from pathlib import Path

from kfp.compiler import Compiler
from kfp.compiler.compiler_utils import KubernetesManifestOptions
from kfp.dsl.base_component import BaseComponent

_DIGITS = 12
"""Hexadecimal digits of a version's name: enough that no two versions of a pipeline meet."""


def to_manifests(pipeline: BaseComponent) -> str:
    """Both objects as YAML.

    A version cannot be changed once it is there. So it is named by its content: the same pipeline
    is the same object, which may be applied again, and another one is another version beside it.

    Args:
        pipeline: to be written.
    """
    unnamed = _write(pipeline, pipeline.name)
    digest = hashlib.sha256(unnamed.encode()).hexdigest()
    return _write(pipeline, f"{pipeline.name}-{digest[:_DIGITS]}")


def _write(pipeline: BaseComponent, version: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "manifests.yaml"
        Compiler().compile(
            pipeline,
            str(path),
            kubernetes_manifest_options=KubernetesManifestOptions(
                pipeline_version_name=version, include_pipeline_manifest=True
            ),
            kubernetes_manifest_format=True,
        )
        return path.read_text(encoding="utf-8")
