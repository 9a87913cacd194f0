"""Reading a fragment of HTML back, strictly."""

from html.parser import HTMLParser

import pytest

VOID = {"br"}
ALLOWED = {"div", "style", "table", "tr", "th", "td", "span", "br"}


class Fragment(HTMLParser):
    """A fragment whose tags are known, balanced and without behaviour, and the text that it shows."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.open = []
        self.shown = []
        self.feed(source)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        assert tag in ALLOWED
        assert {name for name, _ in attrs} <= {"class"}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.shown.append(data)

    @property
    def text(self):
        return " ".join(self.shown)


@pytest.fixture(scope="session")
def read_html():
    def read(source):
        assert source.startswith('<div class="mlk">')
        assert len(source.encode()) <= 30_000
        return Fragment(source).text

    return read
