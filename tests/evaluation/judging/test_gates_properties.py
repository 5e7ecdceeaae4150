"""Properties of the decision, over drawn evaluations and policies."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from components.evaluation.judging.gates import decide
from components.shared.recipe.gates import Gates
from components.shared.results import ArmName, Check, Evaluation
from tests.evaluation.judging.evaluation_factory import NOISY, QUIET, Made, changed, make_evaluation

ARMS: tuple[ArmName, ...] = ("teacher", "student", "hard_label", "pseudo_label", "champion")
ROWS = 60
HIGHER = ("balanced_accuracy", "macro_f1", "auroc", "agreement")
LOWER = ("log_loss", "calibration_error")
SEGMENTS = 9

shares = st.floats(0.01, 0.99)
right_strategy = st.builds(
    lambda seed, share: np.random.default_rng(seed).random(ROWS) < share,
    st.integers(0, 2**31),
    st.floats(0.3, 1),
)
models = st.builds(
    Made,
    right=right_strategy,
    latency_ms=st.floats(0.01, 2),
    size_bytes=st.integers(100, 100_000),
    memory_bytes=st.integers(100, 100_000),
    slices=st.fixed_dictionaries(
        {"north": st.integers(0, 40).map(lambda right: (right, 40))},
        optional={"south": st.integers(0, 35).map(lambda right: (right, 35))},
    ),
    metrics=st.fixed_dictionaries(dict.fromkeys((*HIGHER, *LOWER), shares)),
    ripple=st.lists(st.floats(0.5, 2), min_size=SEGMENTS, max_size=SEGMENTS),
)


@st.composite
def evaluations(draw: st.DrawFn, most_candidates: int = 3) -> Evaluation:
    right = {arm: draw(right_strategy) for arm in ARMS if arm != "champion" or draw(st.booleans())}
    candidates = draw(st.lists(models, max_size=most_candidates))
    return make_evaluation(
        right,
        {f"form-{position}": model for position, model in enumerate(candidates)},
        noise=draw(st.sampled_from([QUIET, NOISY])),
        **{arm: draw(models)._replace(right=rows) for arm, rows in right.items()},
    )


def fields(**limits: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(limits)


SECTIONS = {
    **{name: fields(min=st.floats(0, 0.9)) for name in ("accuracy", *HIGHER)},
    **{name: fields(max=st.floats(0.1, 1)) for name in LOWER},
    "worst_slice": fields(min_accuracy=st.floats(0, 0.9)),
    "retention": fields(min=st.floats(0.1, 1.2)),
    "champion": fields(max_regression=st.floats(0, 1)),
    "hard_label": fields(min_gain=st.floats(-1, 0.5)),
    "latency": fields(
        p50_ms=st.floats(0.01, 4),
        p95_ms=st.floats(0.01, 4),
        p99_ms=st.floats(0.01, 4),
        ratio_to_champion=st.floats(0.1, 4),
        ratio_to_teacher=st.floats(0.1, 4),
    ),
    "size": fields(max_bytes=st.integers(100, 100_000)),
    "memory": fields(max_bytes=st.integers(100, 100_000)),
}


@st.composite
def policies(draw: st.DrawFn, *, every_gate: bool = False) -> Gates:
    names = draw(st.sets(st.sampled_from(sorted(SECTIONS)), min_size=1))
    sections = {name: draw(SECTIONS[name]) for name in (SECTIONS if every_gate else sorted(names))}
    return Gates.model_validate(
        {
            "confidence": draw(st.floats(0.6, 0.95)),
            "prefer": draw(st.sampled_from(["latency", "size", "accuracy"])),
            "first_model": draw(st.sampled_from(["promote", "reject"])),
            "on_noise": draw(st.sampled_from(["judge", "reject"])),
            **sections,
        }
    )


@settings(max_examples=60)
@given(evaluation=evaluations(), gates=policies())
def test_same_arguments_give_the_same_decision_and_promotion_means_that_all_passed(
    evaluation: Evaluation, gates: Gates
) -> None:
    decision = decide(evaluation, gates)
    assert decide(evaluation.model_copy(deep=True), gates) == decision
    assert (decision.verdict == "promote") == any(one.passed for one in decision.candidates)
    for judged in decision.candidates:
        assert judged.passed == all(check.passed for check in judged.checks)
        assert judged.checks
    assert (decision.verdict == "promote") == all(check.passed for check in decision.checks)
    reread = Evaluation.model_validate_json(evaluation.model_dump_json())
    assert decide(reread, gates) == decision


@st.composite
def improvements(draw: st.DrawFn, what: str) -> tuple[Evaluation, Evaluation]:
    """An evaluation, and the same with one measurement of one candidate better."""
    right = {arm: draw(right_strategy) for arm in ARMS}
    arms = {arm: draw(models)._replace(right=rows) for arm, rows in right.items()}
    forms = draw(st.lists(models, min_size=1, max_size=3))
    position = draw(st.integers(0, len(forms) - 1))
    better = draw(improved(forms[position], what))
    before, after = (
        make_evaluation(right, {str(number): form for number, form in enumerate(some)}, **arms)
        for some in (forms, [*forms[:position], better, *forms[position + 1 :]])
    )
    return before, after


@st.composite
def improved(draw: st.DrawFn, model: Made, what: str) -> Made:
    if what == "rows":
        wrong = np.flatnonzero(~model.right)
        right = model.right.copy()
        right[wrong[: draw(st.integers(1, ROWS))]] = True
        return model._replace(right=right)
    if what == "slice":
        region = draw(st.sampled_from(sorted(model.slices)))
        right_ones, rows = model.slices[region]
        assume(right_ones < rows)
        better = draw(st.integers(right_ones + 1, rows))
        return model._replace(slices={**model.slices, region: (better, rows)})
    if what == "segment":
        second = draw(st.integers(0, SEGMENTS - 1))
        ripple = list(model.ripple)
        ripple[second] *= draw(shares)
        return model._replace(ripple=ripple)
    if what in model.metrics:
        value, share = model.metrics[what], draw(shares)
        better = value + share * (1 - value) if what in HIGHER else value * share
        return model._replace(metrics={**model.metrics, what: better})
    field = {"latency": "latency_ms", "size": "size_bytes", "memory": "memory_bytes"}[what]
    value = getattr(model, field) * draw(shares)
    return model._replace(**{field: value if what == "latency" else max(1, int(value))})


@pytest.mark.parametrize(
    "what", ["rows", "slice", "segment", "latency", "size", "memory", *HIGHER, *LOWER]
)
@settings(max_examples=30)
@given(data=st.data())
def test_one_better_measurement_never_turns_promote_into_reject(
    what: str, data: st.DataObject
) -> None:
    pair = data.draw(improvements(what))
    gates = data.draw(policies(every_gate=True))
    before, after = (decide(evaluation, gates) for evaluation in pair)
    assert before.verdict == "reject" or after.verdict == "promote"
    for earlier, later in zip(before.candidates, after.candidates, strict=True):
        for check, again in zip(earlier.checks, later.checks, strict=True):
            assert again.passed or not check.passed
            if check.bound is not None:
                assert not_worse(again, check.bound)


def not_worse(check: Check, than: float) -> bool:
    """Whether the bound moved towards passing, or stayed; up to rounding."""
    assert check.bound is not None
    step = than - check.bound if check.direction == "at most" else check.bound - than
    return step >= -1e-9


@settings(max_examples=60)
@given(
    evaluation=evaluations(most_candidates=1),
    name=st.sampled_from(["accuracy", *HIGHER, *LOWER]),
    field=st.sampled_from(["value", "standard_error"]),
    value=st.sampled_from([np.nan, np.inf, -np.inf, None, -0.1]),
)
def test_unusable_metric_always_rejects_and_is_named(
    evaluation: Evaluation, name: str, field: str, value: float | None
) -> None:
    assume(evaluation.candidates)
    gate = {"max": 10.0} if name in LOWER else {"min": 0.0}
    path = f"measured.metrics.{name}.{field}"
    decision = decide(
        changed(evaluation, f"candidates.0.{path}", value), Gates.model_validate({name: gate})
    )
    assert decision.verdict == "reject"
    assert f"candidates.form-0.{path}" in decision.checks[0].reason


@given(evaluation=evaluations(), confidence=st.floats(0.6, 0.99))
@settings(max_examples=10)
def test_empty_policy_is_always_refused(evaluation: Evaluation, confidence: float) -> None:
    with pytest.raises(ValueError, match="at least one gate"):
        decide(evaluation, Gates.model_construct(confidence=confidence))
