from __future__ import annotations

import pytest

from sgaplus.config import targets
from sgaplus.errors import ConfigError

RULES = ["all", "fig2", "fig2_true_loss", "table1", "bd_kodak"]
ARTIFACTS = ["results/paper/tables/fast.md", "results/paper/figures/fig2_true_loss.pdf"]


def test_an_experiment_has_its_own_name_and_a_short_one_that_no_other_has():
    assert targets.of_experiments(["fig2_true_loss", "fig2_other", "table1", "table1_shape", "cost"]) == {
        "fig2": "fig2_true_loss",
        "fig2_true_loss": "fig2_true_loss",
        "fig2_other": "fig2_other",
        "table1": "table1",
        "table1_shape": "table1_shape",
        "cost": "cost",
    }


def check(*asked: str) -> None:
    targets.check(asked, RULES, lambda file: file.startswith("results/paper/datasets/"), ARTIFACTS, "paper")


def test_rules_files_that_are_made_and_files_that_are_there_can_be_asked_for(tmp_path):
    (tmp_path / "there").write_text("")
    check("fig2", "bd_kodak", "results/paper/datasets/kodak.csv", str(tmp_path / "there"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fig22", r"fig22: nothing makes that\. Did you mean fig2\? `snakemake --list` names"),
        ("zzz", r"zzz: nothing makes that\. `snakemake --list` names"),
        ("results/paper/tables/fsat.md", r"Did you mean results/paper/tables/fast\.md\?"),
        ("results/demo/tables/fast.md", r"belongs to run 'demo', and this configuration is of run 'paper'"),
    ],
)
def test_what_nothing_makes_is_refused_with_a_suggestion(name, message):
    with pytest.raises(ConfigError, match=message):
        check("fig2", name)
