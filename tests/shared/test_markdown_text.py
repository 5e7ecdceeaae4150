"""Markdown shows text of users as it is."""

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from components.shared.markdown import clip, code, escape, facts, table

RENDERER = MarkdownIt("commonmark").enable("table")
MARKS = st.text("aZ0 \n\t-+=:.)|*_`[]()<>#~!&$@\\", max_size=30)


def shown(markdown: str) -> str:
    """The text that a reader sees."""
    tokens = [inner for token in RENDERER.parse(markdown) for inner in token.children or ()]
    assert {token.type for token in tokens} <= {"text", "text_special"}
    return "".join(token.content for token in tokens)


@given(MARKS.filter(str.strip))
@example("a|b <b>x</b> *y* _z_ int8_static [l](u) ![i](u)")
@example("12. not a list")
@example("- nor this")
@example("=====")
@example("&amp; is not unescaped")
def test_text_is_one_paragraph_that_reads_as_it_was_written(text: str) -> None:
    markdown = escape(text)

    assert [token.type for token in RENDERER.parse(markdown)] == [
        "paragraph_open",
        "inline",
        "paragraph_close",
    ]
    assert shown(markdown) == " ".join(text.split())


@given(MARKS, MARKS)
def test_text_stays_within_its_cell(first: str, second: str) -> None:
    markdown = table(["name", "value"], [[escape(first), escape(second)]], "lr")

    cells = [t.content for t in RENDERER.parse(markdown) if t.type == "inline"]

    assert cells[:2] == ["name", "value"]
    assert len(cells) == 4
    assert [shown(cell) for cell in cells[2:]] == [" ".join(t.split()) for t in (first, second)]


def test_names_inside_of_words_stay_readable() -> None:
    assert escape("int8_static of gates.hard_label") == "int8_static of gates.hard_label"


def test_mention_is_no_link_to_an_account() -> None:
    assert "@" not in escape("ask @champion")


def test_long_text_ends_with_an_ellipsis() -> None:
    assert clip("four words of text", 11) == "four words…"
    assert clip("short", 5) == "short"


def test_facts_are_a_list_with_bold_names() -> None:
    assert facts([("Rows", "3"), ("Digest", code("ab"))]) == "- **Rows:** 3\n- **Digest:** `ab`"
