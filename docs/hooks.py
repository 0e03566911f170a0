"""What MkDocs adds to the site's pages: the README as home, and CITATION.cff."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
# The home page has no neighbours to list beside it.
HIDDEN = "---\nhide: [navigation]\n---\n\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the files that live outside of `docs/`.

    The home page is the README, so that nothing is said twice.

    Args:
        files: The site's files.
        config: The site's configuration.

    Returns:
        The files, with `index.md` and `CITATION.cff`.
    """
    readme = (ROOT / "README.md").read_text()
    home = re.sub(r"\]\(docs/", "](", readme)
    files.append(File.generated(config, "index.md", content=HIDDEN + home))
    citation = str(ROOT / "CITATION.cff")
    files.append(File.generated(config, "CITATION.cff", abs_src_path=citation))
    return files
