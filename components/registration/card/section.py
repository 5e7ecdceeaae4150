"""A part of a model card."""

from dataclasses import dataclass

from components.shared.markdown import clip, escape


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it, in Markdown."""

    title: str
    text: str
    rank: int
    """What is left out first where room is short: the section with the highest number."""

    @property
    def markdown(self) -> str:
        """The section as it stands in the card."""
        return f"## {self.title}\n\n{self.text}"


def paragraphs(*parts: str) -> str:
    """Parts that are not empty, each a paragraph of its own."""
    return "\n\n".join(part for part in parts if part)


def listed(names: list[str], most: int, length: int = 40) -> str:
    """Names of users as a list in a sentence, the first ones of many.

    Args:
        names: such as classes or columns.
        most: how many are told.
        length: characters of each that are shown.
    """
    told = ", ".join(escape(clip(name, length)) for name in names[:most])
    return f"{told} and {len(names) - most:,} more" if len(names) > most else told
