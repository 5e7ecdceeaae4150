"""What a recipe needs of a cluster, as its section ``resources`` says."""

from collections.abc import Iterable, Iterator

from components.shared.recipe import Recipe
from components.shared.recipe.resources import TRAINING_STEPS, StepResources
from pipelines.doctor.needs import QUEUE_LABEL, GpuNeed, KeyedNeed, Needs


def needs_of(recipe: Recipe) -> Needs:
    """The needs of a recipe's runs."""
    from pipelines.compiling import steps_of_recipe

    resources, kserve = recipe.resources, recipe.registry.kserve
    steps = {step: resources.of(step) for step in sorted(steps_of_recipe(recipe))}
    queues = {given.pod_labels.get(QUEUE_LABEL) for given in steps.values()}
    nodes = resources.training.nodes
    return Needs(
        recipe=recipe.name,
        account=resources.service_account,
        gpus=tuple(_gpus(steps, nodes)),
        keyed=tuple(_keyed(steps.values())),
        pull_secrets=tuple(resources.image_pull_secrets),
        queues=tuple(sorted(queue for queue in queues if queue)),
        runtime=resources.training.runtime if nodes > 1 else None,
        storage=recipe.storage,
        data=recipe.data.uri,
        experiment=recipe.registry.experiment,
        kserve_namespace=kserve.namespace if kserve is not None and kserve.apply else None,
    )


def _gpus(steps: dict[str, StepResources], nodes: int) -> Iterator[GpuNeed]:
    for step, given in steps.items():
        if given.gpu is not None and given.gpu.count:
            # Nodes that train together wait for each other; other pods can wait in turn.
            pods = nodes if step in TRAINING_STEPS else 1
            yield GpuNeed(
                step,
                given.gpu.resource,
                given.gpu.count,
                pods,
                given.node_selector,
                tuple(given.tolerations),
            )


def _keyed(steps: Iterable[StepResources]) -> Iterator[KeyedNeed]:
    """Each secret and config map once, with the keys that any step reads."""
    found: dict[tuple[str, str], KeyedNeed] = {}
    for given in steps:
        for kind, objects in (("secret", given.secrets), ("config map", given.config_maps)):
            for name, mounted in objects.items():
                other = found.get((kind, name))
                keys = {*mounted.env, *(other.keys if other else ())}
                found[kind, name] = KeyedNeed(
                    kind="secret" if kind == "secret" else "config map",
                    name=name,
                    keys=tuple(sorted(keys)),
                    optional=mounted.optional and (other is None or other.optional),
                )
    yield from found.values()
