"""The names and files that a user can ask Snakemake for."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from sgaplus.config.plan import short_name
from sgaplus.errors import ConfigError


def of_experiments(experiments: Iterable[str]) -> dict[str, str]:
    """The experiment behind each name that one can ask for: ``fig2_true_loss``, and ``fig2`` unless another has it."""
    experiments = list(experiments)
    short = {short_name(experiment): experiment for experiment in reversed(experiments)}
    return short | {experiment: experiment for experiment in experiments}


def check(
    asked: Iterable[str], rules: Collection[str], is_made: Callable[[str], bool], artifacts: Iterable[str], run: str
) -> None:
    """Refuse what nothing makes, before Snakemake does without a word about what there is.

    Args:
        asked: What the user asks for.
        rules: The names of all rules.
        is_made: Whether a rule makes a file.
        artifacts: The files that the run shows.
        run: The run's name.

    Raises:
        ConfigError: it is neither a rule nor a file.
    """
    for name in sorted(asked):
        if name not in rules and not is_made(name) and not Path(name).exists():
            raise ConfigError(_advice(name, rules, artifacts, run))


def _advice(name: str, rules: Iterable[str], artifacts: Iterable[str], run: str) -> str:
    parts = Path(name).parts
    if len(parts) > 2 and parts[0] == "results" and parts[1] != run:
        return (
            f"{name}: belongs to run {parts[1]!r}, and this configuration is of run {run!r}. Add its --configfile "
            "after what you ask for."
        )
    near = difflib.get_close_matches(name, artifacts if len(parts) > 1 else rules, n=1)
    question = f" Did you mean {near[0]}?" if near else ""
    return f"{name}: nothing makes that.{question} `snakemake --list` names what can be asked for."
