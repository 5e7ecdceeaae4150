"""The measurements of a step as Prometheus metrics."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import get_args

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from components.shared.results import Outcome, Verdict
from components.shared.telemetry.measurements import LABELLING, Measurements, Work


@dataclass(frozen=True)
class Identity:
    """Whose metrics they are."""

    step: str
    recipe: str
    """Empty where the environment does not tell."""
    run_id: str

    @property
    def labels(self) -> dict[str, str]:
        """On every metric. The run is on one only: each would be a new time series at every run."""
        return {"recipe": self.recipe, "step": self.step}


class StepCollector(Collector):
    """Hands the measurements of one step to Prometheus's library."""

    def __init__(self, identity: Identity, measured: Measurements) -> None:
        """Nothing is copied: each collection shows the measurements as they are by then."""
        self._identity, self._measured = identity, measured

    def collect(self) -> Iterator[Metric]:
        """All metrics that there is something to say of."""
        yield from self._of_step()
        yield from self._of_work()
        yield from self._of_verdict()

    def _of_step(self) -> Iterator[Metric]:
        measured = self._measured
        yield self._gauge(
            "step_info",
            "The pipeline run that the step belongs to.",
            1,
            run_id=self._identity.run_id,
        )
        yield self._gauge("step_duration_seconds", "Time that the step took.", measured.seconds)
        if measured.succeeded is not None:
            yield self._gauge(
                "step_succeeded", "1 if the step ended well, 0 if not.", float(measured.succeeded)
            )
            yield self._gauge(
                "step_ended_timestamp_seconds", "When the step ended (Unix time).", measured.latest
            )

    def _of_work(self) -> Iterator[Metric]:
        work = self._measured.work
        labelling = work.get(LABELLING)
        if labelling is not None:
            yield self._family(
                CounterMetricFamily,
                "labelled_rows",
                "Rows that the teacher labelled.",
                [({}, labelling.units)],
            )
            yield self._gauge(
                "labelling_rows_per_second",
                "Mean rate at which the teacher labels.",
                labelling.per_second,
            )
        training = {name: one for name, one in work.items() if one.unit == "steps"}
        if training:
            yield from self._of_training(training)
        if self._measured.gpu_memory_peak_bytes is not None:
            yield self._gauge(
                "gpu_memory_peak_bytes",
                "Most memory that tensors took on a GPU.",
                self._measured.gpu_memory_peak_bytes,
            )

    def _of_training(self, training: dict[str, Work]) -> Iterator[Metric]:
        yield self._family(
            CounterMetricFamily,
            "training_steps",
            "Optimizer steps, by what was trained.",
            [({"activity": name}, one.units) for name, one in training.items()],
        )
        yield self._family(
            GaugeMetricFamily,
            "training_steps_per_second",
            "Mean rate of optimizer steps, by what is trained.",
            [({"activity": name}, one.per_second) for name, one in training.items()],
        )

    def _of_verdict(self) -> Iterator[Metric]:
        measured = self._measured
        if measured.gates:
            yield self._family(
                GaugeMetricFamily,
                "gate_passed",
                "1 if the student passed the gate, 0 if not.",
                [({"gate": name}, float(passed)) for name, passed in measured.gates.items()],
            )
        if measured.verdict is not None:
            yield self._states(
                "verdict", "1 at what the gates decided.", measured.verdict, get_args(Verdict)
            )
        if measured.outcome is not None:
            yield self._states(
                "outcome",
                "1 at what became of the student.",
                measured.outcome,
                get_args(Outcome),
            )

    def _states(self, name: str, text: str, state: str, states: Iterable[str]) -> Metric:
        """A gauge for each state, of which one is 1."""
        samples = [({name: one}, float(one == state)) for one in states]
        return self._family(GaugeMetricFamily, name, text, samples)

    def _gauge(self, name: str, text: str, value: float, **labels: str) -> Metric:
        return self._family(GaugeMetricFamily, name, text, [(labels, value)])

    def _family(
        self,
        kind: type[CounterMetricFamily] | type[GaugeMetricFamily],
        name: str,
        text: str,
        samples: list[tuple[dict[str, str], float]],
    ) -> Metric:
        whose = self._identity.labels
        family = kind(f"kubedistill_{name}", text, labels=[*whose, *samples[0][0]])
        for labels, value in samples:
            family.add_metric([*whose.values(), *labels.values()], value)
        return family


def registry_of(identity: Identity, measured: Measurements) -> CollectorRegistry:
    """A registry with the metrics of one step and nothing else."""
    registry = CollectorRegistry()
    registry.register(StepCollector(identity, measured))
    return registry
