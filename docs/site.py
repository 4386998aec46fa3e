"""A hook of mkdocs: pages for the texts that lie elsewhere in the repository, and for the docstrings of each package.

Links are written for a reader of the repository. Here a link to a text becomes one to its page, and a file of
another kind comes with the site.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "workflow/sgaplus"

PAGES = {
    "README.md": "index.md",
    "config/README.md": "configuration.md",
    "profiles/slurm/README.md": "slurm.md",
    "workflow/models/README.md": "models.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}
"""The texts outside docs/, and their pages."""

LINK = re.compile(r"(\]\()(?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")

BADGE = re.compile(r"^\[!\[.+\n", re.MULTILINE)
"""A line with a badge: it says something of the project's page, and comes from another host."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and the files that they link to."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=_page(source, page, files, config)))
    for file in list(files):
        if file.src_uri.endswith(".md") and file.src_uri not in PAGES.values() and file.generated_by is None:
            files.remove(file)
            content = _page(f"docs/{file.src_uri}", file.src_uri, files, config)
            files.append(File.generated(config, file.src_uri, content=content))
    for stage in ("modules", *(path.parent.name for path in LIBRARY.glob("*/__init__.py"))):
        files.append(File.generated(config, f"library/{stage}.md", content=_docstrings(stage)))
    return files


def _page(source: str, page: str, files: Files, config: MkDocsConfig) -> str:
    """A text of the repository, with the links of its page in the site."""

    def linked(match: re.Match[str]) -> str:
        target = os.path.normpath(os.path.join(os.path.dirname(source), match[2]))
        place = os.path.relpath(_place(target, files, config), os.path.dirname(page))
        return f"{match[1]}{place}{match[3] or ''})"

    return LINK.sub(linked, BADGE.sub("", (ROOT / source).read_text()))


def _place(target: str, files: Files, config: MkDocsConfig) -> str:
    """The place in the site of a file or folder of the repository."""
    if (ROOT / target).is_dir():
        target = f"{target}/README.md"
    if target in PAGES:
        return PAGES[target]
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    if not (ROOT / target).is_file():
        return target  # mkdocs says that it is not there
    place = f"files/{PurePosixPath(target)}"
    if place not in files.src_uris:
        files.append(File.generated(config, place, abs_src_path=str(ROOT / target)))
    return place


def _docstrings(stage: str) -> str:
    """A page with the docstrings of a package, or of the single modules below all packages."""
    paths = LIBRARY.glob("*.py") if stage == "modules" else LIBRARY.joinpath(stage).rglob("*.py")
    modules = sorted(path.relative_to(LIBRARY.parent).with_suffix("") for path in paths if path.name[:2] != "__")
    title = "Single modules" if stage == "modules" else stage.capitalize()
    return f"# {title}\n\n" + "\n".join(f"::: {'.'.join(module.parts)}\n" for module in modules)
