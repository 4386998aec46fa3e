"""A result is what its inputs make it: what is done anew after a change, and what is not."""

from __future__ import annotations

import ast
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from sgaplus import code_version
from sgaplus.artifacts import kinds
from sgaplus.refinement import rounding_source

from .conftest import CONFIG, LIBRARY, REPOSITORY, TINY, edited, started, write_config

SHOWN = {"draw_figure": "fig2_true_loss", "draw_qualitative": "fig5_qualitative", "make_table": "bd_kodak"}
"""An experiment of the paper for each rule whose code depends on it."""

FAMILIES = {"draw_figure": "figure", "draw_qualitative": "figure", "make_table": "table", "judge_claims": "check"}
"""The kinds that a script may call."""

# What others made is verified by its hash, and no rule makes it again; a training takes days, and is known by its
# recipe; a run is described by the code that describes it now.
WITHOUT_CODE = {"download", "download_model", "unpack", "pack_shards", "train_model", "describe_run"}


def test_every_rule_that_can_make_a_result_anew_has_the_version_of_its_scripts_code(rules):
    scripts = {name: rule for name, rule in rules.items() if rule.script}
    assert set(scripts) > WITHOUT_CODE
    for name, rule in scripts.items():
        code = rule.params.get("code")
        assert (code is None) == (name in WITHOUT_CODE), name
        if code:
            shown = SimpleNamespace(experiment=SHOWN.get(name))
            assert code_version.of_script(Path(rule.script).stem) in versions(code(shown)), name


def versions(code: str | list[str]) -> list[str]:
    """The versions that a rule's parameter holds: of its script, and of a kind where it makes one."""
    return [code] if isinstance(code, str) else code


def test_a_figure_or_a_table_has_the_version_of_its_kind_too(rules):
    kinds_of = {"draw_figure": ("figure", "loss_curves"), "make_table": ("table", "bd")}
    for name, (family, kind) in kinds_of.items():
        shown = SimpleNamespace(experiment=SHOWN[name])
        assert kinds.find(family, kind).code() in rules[name].params.get("code")(shown)


@pytest.fixture(scope="module")
def called(finished) -> dict[str, set[tuple[str, str]]]:
    """The definitions of the library that each script called in the tiny run: module and name."""
    found: dict[str, set] = {}
    for path in (finished / "trace").glob("*.json"):
        names = {(module, name) for module, name in json.loads(path.read_text()) if module not in code_version.PLUMBING}
        found.setdefault(path.name.split(".")[0], set()).update(names)
    return found


def covered(script: str) -> set[tuple[str, str]]:
    """The definitions in the versions that a script's rule has: of the script, of roundings and of kinds."""
    names = set(code_version.reached(code_version.SCRIPTS / f"{script}.py"))
    for rounding in rounding_source.names():
        names |= set(code_version.reached(*rounding_source.find(rounding)))
    for kind in kinds.kinds(FAMILIES[script]).values() if script in FAMILIES else ():
        names |= set(code_version.reached(kind.file, kind.name))
    return names


def test_what_a_script_calls_is_in_its_version(called):
    assert set(called) >= {"refine", "train_model", "index_dataset", "make_table", "draw_figure", "judge_claims"}
    for script, names in called.items():
        assert names, script
        assert names <= covered(script), script


def test_a_changed_statement_in_any_module_that_a_script_calls_changes_its_version_and_a_docstring_does_not(
    called, tmp_path, monkeypatch
):
    workflow = tmp_path / "workflow"
    shutil.copytree(REPOSITORY / "workflow/sgaplus", workflow / "sgaplus")
    shutil.copytree(REPOSITORY / "workflow/scripts", workflow / "scripts")
    monkeypatch.setattr(code_version, "LIBRARY", workflow / "sgaplus")
    monkeypatch.setattr(code_version, "SCRIPTS", workflow / "scripts")
    for script, names in called.items():
        before = code_version.of_script(script)
        own = set(code_version.reached(workflow / "scripts" / f"{script}.py"))
        for module, name in sorted(dict(names & own).items()):
            path = workflow.joinpath(*module.split(".")).with_suffix(".py")
            text = path.read_text()
            path.write_text(with_line(text, name, '"""Other words."""'))
            assert code_version.of_script(script) == before, (script, module, name)
            path.write_text(with_line(text, name, "changed = True"))
            assert code_version.of_script(script) != before, (script, module, name)
            path.write_text(text)


def with_line(text: str, name: str, line: str) -> str:
    """A module with a line before the last statement of one of its definitions."""
    (node,) = (node for node in ast.parse(text).body if getattr(node, "name", "") == name)
    last = node.body[-1]
    start = min([last.lineno, *(decorator.lineno for decorator in getattr(last, "decorator_list", []))])
    lines = text.splitlines(keepends=True)
    return "".join([*lines[: start - 1], f"{' ' * last.col_offset}{line}\n", *lines[start - 1 :]])


def test_comments_docstrings_layout_and_dates_make_nothing_anew(finished, snakemake):
    """As an update would bring them, to every file of the library, the scripts, the rules and the models."""
    before = {path: path.read_text() for path in (finished / "workflow").rglob("*") if path.suffix in (".py", ".smk")}
    for path, text in before.items():
        more = '\n"""A text that nobody reads."""\n' if path.suffix == ".py" else "\n"
        path.write_text(f"# a comment\n{text}{more}")
    for path in (finished / "workflow/models").iterdir():
        path.touch()
    try:
        assert "Nothing to be done" in snakemake(finished, "-n", *CONFIG).stdout
    finally:
        for path, text in before.items():
            path.write_text(text)


def test_plumbing_makes_nothing_anew(finished, snakemake):
    with (
        edited(finished / LIBRARY / "errors.py", "Did you mean", "Perhaps"),
        edited(finished / LIBRARY / "files.py", "no room left on this disk", "this disk is full"),
        edited(finished / LIBRARY / "refinement/engine.py", 'unit="image-step"', 'unit="step"'),
        edited(
            finished / LIBRARY / "refinement/measurements.py", "the loss stopped being finite", "the loss is not finite"
        ),
    ):
        assert "Nothing to be done" in snakemake(finished, "-n", *CONFIG).stdout


def test_how_a_job_is_run_makes_nothing_anew(finished, snakemake):
    changed = {
        "refinement": TINY["refinement"] | {"memory_mb": 600, "threads": 2, "cuda_graphs": True},
        "training": TINY["training"] | {"save_minutes": 1, "cache_mb": 10, "workers": 1, "threads": 2},
    }
    write_config(finished, changed)
    try:
        jobs = started(snakemake(finished, "-n", *CONFIG).stdout)
    finally:
        write_config(finished)
    # the configuration is a part of what describes a run
    assert all(job.startswith("Saving the effective configuration") for job in jobs)


def test_a_change_of_the_arithmetic_makes_anew_what_it_touches(finished, snakemake):
    with edited(finished / LIBRARY / "analysis/rd_curves.py", "PchipInterpolator", "CubicSpline"):
        jobs = started(snakemake(finished, "-n", *CONFIG).stdout)
    assert {"Making table fig4_multi_rate", "Drawing fig4_multi_rate"} <= set(jobs)
    assert not any(job.startswith(("Refining", "Training", "Reading")) for job in jobs)
    assert "Making table table3_classes" not in jobs  # which has no curves
    with edited(
        finished / LIBRARY / "refinement/rounding.py", "return self.a * torch.logit(d)", "return torch.logit(d)"
    ):
        jobs = started(snakemake(finished, "-n", *CONFIG).stdout)
    assert any(job.startswith("Refining") for job in jobs)
    assert not any(job.startswith(("Training", "Reading")) for job in jobs)


def test_new_training_code_trains_nothing_anew_and_says_so_in_one_line(finished, snakemake):
    with edited(finished / LIBRARY / "training/initialisation.py", "MIDDLE_GRAY = 0.45", "MIDDLE_GRAY = 0.5"):
        printed = snakemake(finished, "-n", *CONFIG).stdout
    assert "Nothing to be done" in printed
    (line,) = (line for line in printed.splitlines() if "Trained by another version" in line)
    assert "kept: high, low. To train one anew, delete its folder, such as results/tiny/models/high" in line


def test_a_changed_recipe_is_said_in_the_plan_and_trained_and_the_former_model_comes_back(finished, snakemake):
    folder = finished / "results/tiny/models/high"
    target = ("results/tiny/models/high/model.pth", *CONFIG)
    before = (folder / "model.pth").read_bytes()
    write_config(finished, {"models": TINY["models"] | {"high": TINY["models"]["high"] | {"steps": 12}}})
    try:
        planned = snakemake(finished, "-n", *target).stdout
        assert "models.high: its recipe changed (steps 10 -> 12), so it is trained anew." in planned
        assert started(planned) == ["Training high"]
        snakemake(finished, *target)
        assert (folder / "model.pth").read_bytes() != before
    finally:
        write_config(finished)
    assert "trained before" in snakemake(finished, *target).stdout
    assert (folder / "model.pth").read_bytes() == before
