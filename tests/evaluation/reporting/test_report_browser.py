from pathlib import Path

import pytest
import report_example as example

from tests.evaluation.browser import CHROMIUM, measure
from tests.evaluation.reporting.report_page import render


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to render with")
def test_nothing_overflows_or_overlaps_in_a_browser(tmp_path: Path) -> None:
    long_names = [f"Sphyrna-lewini-with-a-name-of-one-word-{n:03d}" for n in range(100)]
    tie = dict.fromkeys(example.ACCURACY, 0.95)
    pages = {
        "champion, rejected": render(
            example.with_champion("ee" * 32), gates=example.GATES | {"latency": {"p95_ms": 1e-5}}
        ),
        "hundred classes": render(example.make_evaluation(classes=long_names)),
        "25 classes": render(example.make_evaluation(classes=long_names[:25])),
        "everything": render(
            example.full(noise=0.1),
            example.champion_record(),
            gates=example.GATES | {"accuracy": {"min": 0.94}},
        ),
        "everything, 12 classes": render(
            example.full(classes=[f"{n} o'clock" for n in range(12)]), example.champion_record()
        ),
        "two classes, all arms alike": render(
            example.make_evaluation({**tie, "champion": 0.95}, ["no", "yes"], "12")
        ),
    }
    sources = {title: page.source for title, page in pages.items()}
    measured = list(measure(tmp_path, sources, widths=(390, 768, 1440)))
    assert len(measured) == len(pages) * 3
    for result in measured:
        assert result["scroll"] <= result["width"], result
        assert result["outside"] == [], result
        assert result["labels"] >= 4, result
        assert not result["clash"], result
        assert all(result["answers"]), "an answer of the diagnosis is read without scrolling"
    assert any(result["answers"] for result in measured)
