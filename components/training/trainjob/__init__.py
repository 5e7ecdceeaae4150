"""Training in the pods of a ``TrainJob`` of Kubeflow Trainer 2.2 or later."""

from components.training.trainjob.running import run

__all__ = ["run"]
