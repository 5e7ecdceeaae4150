import html
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import report_example as example

from tests.evaluation.reporting.report_page import Page, render

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
MEASURE = """
<script>
addEventListener("load", () => {
  const results = [...document.querySelectorAll("iframe")].map(frame => {
    const page = frame.contentDocument, seen = frame.contentWindow;
    const labels = page.querySelectorAll(".arm-label, .gate-title");
    const boxes = [...labels].map(e => e.getBoundingClientRect())
      .filter(b => b.width > 0);
    const clash = boxes.some((a, i) => boxes.slice(i + 1).some(b =>
      a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom));
    const outside = [...page.querySelectorAll("main *")].filter(e => !e.closest(".scroll, .hidden"))
      .filter(e => { const b = e.getBoundingClientRect();
        return b.width > 0 && (b.left < -1 || b.right > seen.innerWidth + 1); })
      .map(e => e.outerHTML.slice(0, 120));
    return { page: frame.title, width: seen.innerWidth, scroll: page.documentElement.scrollWidth,
      labels: boxes.length, clash, outside };
  });
  document.body.innerHTML = "<pre></pre>";
  document.querySelector("pre").textContent = JSON.stringify(results);
});
</script>
"""


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
    measured = list(_measure(tmp_path, pages, widths=(390, 768, 1440)))
    assert len(measured) == len(pages) * 3
    for result in measured:
        assert result["scroll"] <= result["width"], result
        assert result["outside"] == [], result
        assert result["labels"] >= 4, result
        assert not result["clash"], result


def _measure(folder: Path, pages: dict[str, Page], widths: tuple[int, ...]) -> Iterator[dict]:
    """Lay the pages out in frames of some widths, which a window could not be as narrow as."""
    frames = [
        f'<iframe title="{title}" style="width:{width}px;height:900px;border:0" '
        f'srcdoc="{html.escape(page.source)}"></iframe>'
        for title, page in pages.items()
        for width in widths
    ]
    wrapper = folder / "frames.html"
    wrapper.write_text(f"<!DOCTYPE html><meta charset=utf-8>{MEASURE}<body>{''.join(frames)}")
    assert CHROMIUM is not None
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={folder / 'profile'}",
        "--dump-dom",
        wrapper.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r"<pre>(\[.*\])</pre>", done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    yield from json.loads(html.unescape(found[1]))
