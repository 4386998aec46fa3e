"""The files around the code: what a contributor meets agrees with what there is."""

from __future__ import annotations

import re
import subprocess
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import yaml

from sgaplus import __version__

REPOSITORY = Path(__file__).parents[2]
MAKEFILE = (REPOSITORY / "Makefile").read_text()
TARGETS = re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)[1].split()
WORKFLOWS = sorted((REPOSITORY / ".github/workflows").glob("*.yml"))


def commands(workflow: Path) -> list[str]:
    jobs = yaml.safe_load(workflow.read_text())["jobs"].values()
    return [step["run"] for job in jobs for step in job.get("steps", []) if "run" in step]


def test_make_help_lists_every_target():
    listed = subprocess.run(["make", "help"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^make (\S+)  ", listed, re.MULTILINE)) == set(TARGETS)


@pytest.mark.parametrize(
    "file", [*WORKFLOWS, *(REPOSITORY / name for name in (".ci/run", "README.md", "CONTRIBUTING.md"))]
)
def test_every_target_that_is_named_is_there(file):
    named = re.findall(
        r"(?:^ *|: |`|# |sudo env \S+ )make ((?:[a-z]+(?:-[a-z]+)? ?)+)(?=`|$|\s+#|;)", file.read_text(), re.M
    )
    assert {target for targets in named for target in targets.split()} <= set(TARGETS)
    assert named or file.name == "release.yml"


def test_continuous_integration_does_what_the_one_machine_does():
    there = "\n".join(commands(REPOSITORY / ".github/workflows/ci.yml"))
    here = (REPOSITORY / ".ci/run").read_text()
    for target in ("lint", "lint-actions", "docs", "demo", "test-slurm"):
        assert re.search(rf"make .*\b{target}\b", there)
        assert re.search(rf"make .*\b{target}\b", here)
    assert "tests/unit" in there
    assert "tests/workflow" in there


@pytest.fixture(scope="module")
def notes():
    """The function that takes a release's notes out of the changelog."""
    spec = spec_from_file_location("release_notes", REPOSITORY / ".github/release_notes.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.notes


def test_a_release_has_the_version_and_a_dated_section(tmp_path, notes):
    (tmp_path / "workflow/sgaplus").mkdir(parents=True)
    (tmp_path / "workflow/sgaplus/__init__.py").write_text('__version__ = "2.0.1"\n')
    changelog = "# Changelog\n\n## 2.0.1 (2031-04-05)\n\n- This.\n\n## 2.0 (2030-01-01)\n\n- That.\n"
    (tmp_path / "CHANGELOG.md").write_text(changelog)
    assert notes("v2.0.1", tmp_path) == "- This."
    with pytest.raises(SystemExit, match=r"the tag is v2\.0, and"):
        notes("v2.0", tmp_path)
    (tmp_path / "CHANGELOG.md").write_text(changelog.replace("2031-04-05", "unreleased"))
    with pytest.raises(SystemExit, match=r"has no heading '## 2\.0\.1 \(<year>-<month>-<day>\)'"):
        notes("v2.0.1", tmp_path)


def test_the_citation_names_this_version():
    assert yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())["version"] == __version__


def test_the_site_has_a_page_for_every_package():
    pages = re.findall(r"library/(\w+)\.md", (REPOSITORY / "mkdocs.yml").read_text())
    packages = {path.parent.name for path in (REPOSITORY / "workflow/sgaplus").glob("*/__init__.py")}
    assert set(pages) == packages | {"modules"}


def test_the_hooks_run_the_locked_linters():
    (local,) = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())["repos"]
    locked = (REPOSITORY / "envs/requirements.lock").read_text()
    for hook in local["hooks"]:
        program = hook["entry"].split()[0]
        assert program.startswith(".venv/bin/")
        assert f"\n{Path(program).name}==" in locked


def test_an_editor_finds_the_schema_of_the_configuration():
    file = REPOSITORY / "config/config.yaml"
    (schema,) = re.findall(r"^# yaml-language-server: \$schema=(.+)$", file.read_text(), re.MULTILINE)
    assert (file.parent / schema).resolve() == REPOSITORY / "workflow/schemas/config.schema.yaml"
    assert file.read_text().startswith("# yaml-language-server")
    assert f"$schema={schema}" in (REPOSITORY / "config/README.md").read_text()
