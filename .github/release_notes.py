"""Print the section of CHANGELOG.md on a release, given as its tag: the notes of the release.

Refuses a tag that is not the version of the library, and a section that is missing or not dated.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def notes(tag: str, root: Path = ROOT) -> str:
    """The text below the heading ``## <version> (<year>-<month>-<day>)``."""
    (version,) = re.findall(r'^__version__ = "(.+)"', (root / "workflow/sgaplus/__init__.py").read_text(), re.MULTILINE)
    if tag != f"v{version}":
        sys.exit(f"error: the tag is {tag}, and workflow/sgaplus/__init__.py says {version}.")
    for section in re.split(r"^## ", (root / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1:]:
        heading, text = section.split("\n", 1)
        if re.fullmatch(rf"{re.escape(version)} \(\d{{4}}-\d\d-\d\d\)", heading):
            return text.strip()
    sys.exit(f"error: CHANGELOG.md has no heading '## {version} (<year>-<month>-<day>)'.")


if __name__ == "__main__":
    print(notes(sys.argv[1]))
