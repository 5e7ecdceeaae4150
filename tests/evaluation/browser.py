"""Laying pages out in a headless browser, and measuring what overflows or overlaps."""

import html
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

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
    const letters = [...page.querySelectorAll("svg text")]
      .filter(e => e.getBoundingClientRect().width > 0)
      .map(e => parseFloat(seen.getComputedStyle(e).fontSize) * e.getScreenCTM().a);
    return { page: frame.title, width: seen.innerWidth, scroll: page.documentElement.scrollWidth,
      labels: boxes.length, clash, outside, least_letters: Math.min(...letters),
      answers: [...page.querySelectorAll(".answers tbody td")]
        .map(e => e.getBoundingClientRect().right <= seen.innerWidth + 1) };
  });
  document.body.innerHTML = "<pre></pre>";
  document.querySelector("pre").textContent = JSON.stringify(results);
});
</script>
"""


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)


def measure(
    folder: Path, pages: Mapping[str, str], widths: tuple[int, ...]
) -> Iterator[dict[str, Any]]:
    """Lay the pages out in frames of some widths, which a window could not be as narrow as."""
    frames = [
        f'<iframe title="{title}" style="width:{width}px;height:900px;border:0" '
        f'srcdoc="{html.escape(source)}"></iframe>'
        for title, source in pages.items()
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
    try:
        done = run(command)
    except subprocess.SubprocessError:  # on a busy machine it sometimes hangs, or dies at its start
        done = run(command)
    found = re.search(r"<pre>(\[.*\])</pre>", done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    yield from json.loads(html.unescape(found[1]))
