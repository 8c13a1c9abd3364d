"""README and docs as tests see them: headings, code blocks, tables, links, and the commands in bash blocks."""

import re
import shlex
from dataclasses import dataclass

from tests.helpers.synth import ROOT

PAGES = {"README.md": "README_CN.md", **{f"docs/en/{path.name}": f"docs/zh/{path.name}"
                                         for path in sorted((ROOT / "docs" / "en").glob("*.md"))}}  # English: Chinese
CONTROL = {"&&", "||", "|", "&", ";"}
COMMENT = re.compile(r"(^|\s+)#.*$")


@dataclass
class Page:
    """A markdown file.

    Attributes:
        headings (list[tuple]): (level, text).
        blocks (list[tuple]): (language, lines) of fenced code.
        prose (list[str]): all other lines.
    """

    path: str
    headings: list
    blocks: list
    prose: list

    @property
    def text(self):
        return "\n".join(self.prose)

    @property
    def code_spans(self):
        """What stands between single backticks."""
        return re.findall(r"`([^`]+)`", self.text)

    @property
    def links(self):
        """Targets of links and pictures."""
        return re.findall(r"\]\(([^)\s]+)\)", self.text)

    @property
    def cells(self):
        """Texts of all table cells."""
        rows = [line for line in self.prose if line.startswith("|")]
        return [cell.strip() for row in rows for cell in re.split(r"(?<!\\)\|", row)[1:-1]]

    @property
    def commands(self):
        """Every command of the bash blocks, as words."""
        return [words for language, lines in self.blocks if language == "bash" for words in split_commands(lines)]


def read_page(path):
    """The page at ``path`` below the repository's root."""
    headings, blocks, prose, block = [], [], [], None
    for line in (ROOT / path).read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            if block is None:
                block = (line[3:], [])
                blocks.append(block)
            else:
                block = None
        elif block is not None:
            block[1].append(line)
        else:
            found = re.match(r"(#+) (.*)", line)
            if found:
                headings.append((len(found[1]), found[2]))
            prose.append(line)
    assert block is None, f"{path}: a code block without an end"
    return Page(path, headings, blocks, prose)


def without_comments(block):
    """A code block without its comments, which are in the page's own language."""
    language, lines = block
    return language, lines if language == "text" else [COMMENT.sub("", line) for line in lines]


def split_commands(lines):
    """The commands of a bash block: comments, redirections and variables before a command are dropped."""
    text = "\n".join(COMMENT.sub("", line) for line in lines).replace("\\\n", " ")
    found = []
    for line in text.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = []
        for word in [*lexer, ";"]:
            if word in CONTROL:
                if words:
                    found.append(_plain(words))
                words = []
            else:
                words.append(word)
    return found


def _plain(words):
    while re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    return words[: words.index(">")] if ">" in words else words


def slug(heading):
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def words_in(cell):
    """How many words a table cell has. A code span counts as one; so do two Chinese characters."""
    text = re.sub(r"`[^`]+`", " code ", cell)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    chinese = re.findall(r"[\u4e00-\u9fff]", text)
    return len(re.findall(r"[^\W\u4e00-\u9fff]+(?:[.,'’-]\w+)*", text)) + len(chinese) / 2
