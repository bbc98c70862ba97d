"""The pages, and the code blocks in them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts),
]

#: What a test runs, by the name after the backticks. `text` is output and pictures, and is only looked at.
RUN = {"python", "shell", "json", "ini"}
SHOWN = {"text"}
#: Sphinx's own, which hold no code.
DIRECTIVES = {"{toctree}", "{eval-rst}", "{include}"}

_BLOCK = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^\1```$", flags=re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """
    One code block.

    :param page: the file that it stands in.
    :param line: where it begins there.
    :param kind: the name after the backticks.
    :param text: what is in it.
    """

    page: Path
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def is_test(self) -> bool:
        return "def test_" in self.text

    @property
    def is_conftest(self) -> bool:
        return self.text.startswith("# conftest.py\n")

    @property
    def dag_id(self) -> str | None:
        """The DAG that it defines, unless it is a test."""
        found = None if self.is_test else re.search(r'^with DAG\(\s*"(\w+)"', self.text, flags=re.MULTILINE)
        return found[1] if found else None


def read_blocks(page: Path) -> Iterator[Block]:
    """Yield the code blocks of a page; those of Sphinx's directives are its own business."""
    text = page.read_text()
    for found in _BLOCK.finditer(text):
        indent, kind, body = found.groups()
        if kind not in DIRECTIVES:
            yield Block(page, text[: found.start()].count("\n") + 1, kind, textwrap.dedent(body) if indent else body)


BLOCKS = [block for page in PAGES for block in read_blocks(page)]


def of_kind(kind: str) -> list[Block]:
    """Return the blocks of a kind on all pages."""
    return [block for block in BLOCKS if block.kind == kind]


def shell_lines(block: Block) -> list[str]:
    """Return the commands of a shell block."""
    return [line for line in block.text.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
