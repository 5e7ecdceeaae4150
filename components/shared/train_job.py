"""How a training step runs on several nodes: what the compiled pipeline tells it.

It travels as JSON in an environment variable. Nothing of it bears on what is trained.
"""

from components.shared.recipe.base import PositiveInt, Spec
from components.shared.recipe.kubernetes import Name
from components.shared.recipe.resources import StepResources, TrainingResources

VARIABLE = "KUBEDISTILL_TRAINJOB"
"""Environment variable of a training step that is to train on several nodes."""


class TrainJobSettings(Spec):
    """What the TrainJob of a training step is made of."""

    image: str
    """The training image, by digest where images are pinned."""
    training: TrainingResources
    """How many pods, with how many processes, from which runtime."""
    pods: StepResources
    """What each of the pods gets; its ``timeout_s`` is that of the job. Labels and annotations of
    Kueue go to the job, which it queues as a whole."""
    service_account: Name = "kubedistill-training"
    """Account of the pods, which need no rights."""
    image_pull_secrets: list[Name] = []  # noqa: RUF012 - pydantic copies defaults
    """Secrets with which nodes fetch the image."""
    patience_s: PositiveInt = 600
    """Seconds that the step waits for a Kubernetes API that does not answer."""

    @property
    def gpus(self) -> int:
        """Of each pod."""
        return self.pods.gpu.count if self.pods.gpu else 0

    @property
    def processes_per_pod(self) -> int:
        """As given, else one for each GPU, and one where there is none."""
        return self.training.processes or max(1, self.gpus)
