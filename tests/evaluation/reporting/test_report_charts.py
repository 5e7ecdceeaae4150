import math
import re
from itertools import pairwise

import pytest
import report_example as example

from components.evaluation.reporting.chart_interval import interval_plot
from components.evaluation.reporting.chart_labels import Box, Request, place, spread
from components.evaluation.reporting.chart_latency import span
from components.evaluation.reporting.chart_panels import thin
from components.evaluation.reporting.chart_tradeoff import pareto_front
from components.evaluation.reporting.charts import Scale, linear_ticks, log_ticks, tag
from components.evaluation.reporting.listing import Model, listed
from components.evaluation.reporting.statements import Comparison
from components.shared.bundle import CurvePoint


def test_svg_helper_escapes_text_and_attributes() -> None:
    assert tag("text", "<b>", fill='"&') == '<text fill="&#34;&amp;">&lt;b&gt;</text>'


def test_ticks_are_round_and_inside() -> None:
    assert linear_ticks(0.87, 0.975, 6) == [0.88, 0.9, 0.92, 0.94, 0.96]
    assert log_ticks(0.004, 1.5, 6) == pytest.approx([0.01, 0.03, 0.1, 0.3, 1])
    assert log_ticks(0.0051, 0.0079, 6) == []


def test_points_at_one_place_are_spread_and_keep_their_order() -> None:
    moved = spread([100.0, 101.0, 99.0, 300.0], 17)
    assert moved == [100.0, 117.0, 83.0, 300.0]
    crowd = spread([0.0, 10.0, 25.0, 26.0, 60.0], 17)
    assert all(b - a >= 17 - 1e-9 for a, b in pairwise(sorted(crowd)))


def test_labels_of_points_at_one_place_cover_nothing() -> None:
    area = Box(0, 0, 400, 300)
    points = [Request(100 + 17 * n, 150, 90, 30) for n in range(5)]
    drawn = [Box(point.x - 5, 100, 10, 100) for point in points]
    labels = place(points, drawn, area)
    for position, label in enumerate(labels):
        assert not any(label.overlaps(other, 0) for other in labels[position + 1 :] + drawn)
        assert label.x >= 0
        assert label.x + label.width <= 400


def test_long_curves_are_thinned_to_their_means() -> None:
    curve = [CurvePoint(step=step, loss=float(step)) for step in range(1, 1001)]
    thinned = thin(curve, 100)
    assert len(thinned) == 100
    assert thinned[0] == CurvePoint(step=10, loss=5.5)
    assert thinned[-1].step == 1000


def test_axis_without_a_power_of_ten_still_has_ticks() -> None:
    narrow = Scale((0.0051, 0.0079), (0.0, 100.0), log=True)
    assert narrow.ticks(5) == pytest.approx([0.006, 0.007])


def at(key: str, accuracy: float, p50_ms: float, candidate: bool = True) -> Model:
    """A model of given figures."""
    result = example.make_evaluation().arms["student"]
    estimate = result.metrics["accuracy"].model_copy(update={"value": accuracy})
    p50 = result.latency_ms.p50.model_copy(update={"value": p50_ms})
    latency = result.latency_ms.model_copy(update={"p50": p50})
    metrics = {**result.metrics, "accuracy": estimate}
    result = result.model_copy(update={"metrics": metrics, "latency": [latency]})
    return Model(key, key, "", "student", result, candidate)


def test_pareto_front_leaves_out_what_another_candidate_beats() -> None:
    slow_good, fast_bad, beaten = at("a", 0.96, 3), at("b", 0.9, 1), at("c", 0.9, 2)
    teacher = at("d", 0.99, 0.5, candidate=False)
    nowhere = at("e", math.nan, 0.5)
    front = pareto_front([slow_good, fast_bad, beaten, teacher, nowhere])
    assert [model.key for model in front] == ["b", "a"]


def test_margin_is_drawn_beyond_the_bound_only_where_the_gate_passes() -> None:
    comparison = Comparison(difference=0.0, lower=-0.015, upper=0.015, standing="level")
    for margin, passes in ((0.02, True), (0.01, False)):
        drawing = interval_plot(comparison, margin, "the student", "the champion")
        at_margin = float(re.search(r'x1="([\d.]+)"[^>]*class="gate"', drawing)[1])
        bound = float(re.search(r'x1="([\d.]+)"[^>]*class="span arm-student"', drawing)[1])
        assert (at_margin <= bound) is passes


def test_figures_that_are_not_finite_are_not_drawn() -> None:
    comparison = Comparison(difference=math.nan, lower=-1.0, upper=1.0, standing="level")
    assert interval_plot(comparison, 0.02, "the student", "the champion") == ""


def test_axes_of_all_latency_panels_span_the_same_ratio() -> None:
    evaluation = example.make_evaluation(noise=0.1)
    models = listed(evaluation, example.make_decision(evaluation))
    ratios = [
        max(one.p99.segments) / min(one.p50.segments)
        for one in (model.result.latency_ms for model in models)
    ]
    assert span(models) == pytest.approx(max(ratios))
