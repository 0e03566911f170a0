"""What the README and the pages of the site say, against the code and the files."""

import re
from pathlib import Path

import click
import pytest

from phdnet_tf.cli import main

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def commands(page: Path) -> list[list[str]]:
    """The calls of phdnet-tf in a page's shell examples, without its name."""
    blocks = re.findall(
        r"^ *```(?:sh|bash)\b[^\n]*\n(.*?)^ *```", page.read_text(), re.M | re.S
    )
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    calls = [line.partition("phdnet-tf ") for line in lines if "phdnet-tf " in line]
    return [
        # Without what follows a call: a comment, a redirection, another command.
        re.split(r" [#>&|]", call)[0].split()
        for before, _, call in calls
        if not re.search(r"[#'\"]", before)
    ]


def taken(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that some words call, and the words that are left for it."""
    command: click.Command = main
    while isinstance(command, click.Group) and words and words[0][:1] != "-":
        assert words[0] in command.commands, f"there is no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    return command, words


@pytest.mark.parametrize("page", [p for p in PAGES if commands(p)], ids=name_of)
def test_every_command_shown_is_there_with_its_options(page):
    for call in commands(page):
        command, words = taken(call)
        known = {name for each in command.params for name in each.opts}
        known |= {name for each in command.params for name in each.secondary_opts}
        used = {word.split("=")[0] for word in words if word.startswith("--")}
        assert used <= known | {"--help", "--version"}, call


def test_every_page_stands_once_in_the_site():
    nav = (ROOT / "mkdocs.yml").read_text().split("\nnav:\n")[1]
    listed = re.findall(r": (\S+\.md)$", nav, re.M)

    own = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}
    assert len(listed) == len(set(listed))
    assert set(listed) == own | {"index.md"}


def test_every_link_of_the_readme_leads_to_a_file():
    links = re.findall(r"\]\(([^)#\s]+)", (ROOT / "README.md").read_text())
    local = [link for link in links if "://" not in link]

    assert len(local) > 10
    for link in local:
        assert (ROOT / link).is_file(), link


def test_the_tutorial_stops_at_a_command_that_fails():
    blocks = re.findall(
        r"^```bash [^\n]*exec[^\n]*\n(.*?)^```",
        (DOCS / "tutorial.md").read_text(),
        re.M | re.S,
    )

    assert len(blocks) >= 10
    for block in blocks:
        # bash looks at the last one only, unless it is told.
        assert block.startswith("set -e") or block.strip().count("\n") == 0, block


def test_the_site_loads_nothing_from_elsewhere():
    configuration = (ROOT / "mkdocs.yml").read_text()

    assert "font: false" in configuration
    assert "://" not in configuration
    assert "://" not in (DOCS / "assets" / "site.css").read_text()
    assert "://" not in (DOCS / "assets" / "iframe-worker.js").read_text()
