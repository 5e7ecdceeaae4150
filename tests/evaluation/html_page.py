"""Reading a rendered page in tests."""

from html.parser import HTMLParser

APART = {"td", "th", "dt", "dd", "p", "h2", "h3", "li"}
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """The elements of a page, with their attributes and the text inside."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        self.elements: list[tuple[str, dict[str, str], list[str]]] = []
        self._open: list[tuple[str, dict[str, str], list[str]]] = []
        self.unbalanced: list[str] = []
        self.feed(source)
        self.close()
        self.unbalanced += [element[0] for element in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = (tag, {key: value or "" for key, value in attrs}, [])
        self.elements.append(element)
        if tag in APART:
            self.handle_data(" ")
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}, []))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop()[0] != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        for _, _, text in self._open:
            text.append(data)

    def all(self, tag: str, **attributes: str) -> list[tuple[str, dict[str, str], str]]:
        """Elements by tag and attributes (``class`` as one of its words), with their text."""
        wanted = {key.rstrip("_"): value for key, value in attributes.items()}
        return [
            (name, found, " ".join("".join(text).split()))
            for name, found, text in self.elements
            if name == tag
            and all(
                value in found.get(key, "").split() if key == "class" else found.get(key) == value
                for key, value in wanted.items()
            )
        ]

    def text(self, tag: str, **attributes: str) -> str:
        """Text of the only element that fits."""
        (element,) = self.all(tag, **attributes)
        return element[2]
