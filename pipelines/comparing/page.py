"""The page of a comparison: one HTML file that needs nothing but itself, in the report's look."""

from pathlib import Path

from components.evaluation.reporting.environment import environment
from pipelines.comparing.picture import NARROW, WIDE, picture
from pipelines.comparing.records import MethodComparison
from pipelines.comparing.table import difference, share, title, why_left_out

_TEMPLATES = Path(__file__).parent / "templates"


def render_page(comparison: MethodComparison) -> str:
    """Write the page.

    Returns:
        An HTML page without scripts and without references to anything outside of it.
    """
    template = environment(_TEMPLATES).get_template("methods.html.j2")
    return template.render(
        comparison=comparison,
        created=comparison.created,
        wide=picture(comparison, WIDE),
        narrow=picture(comparison, NARROW),
        why_left_out=why_left_out,
        title=title,
        share=share,
        difference=difference,
    )
