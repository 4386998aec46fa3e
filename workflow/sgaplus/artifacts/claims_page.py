"""The claims of the paper with their verdicts, as files and as a part of the report's first page."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from sgaplus.analysis.intervals import FEWEST
from sgaplus.artifacts.claims import CONDITIONS, HOLDS, NOT, NOT_JUDGED, UNDECIDED, Judged
from sgaplus.artifacts.table import Table

PAGE = """<style>
  .claims {{ font: 14px/1.45 sans-serif; max-width: 62em; }}
  .claim {{ display: flex; gap: 1.2em; padding: 0.9em 0; border-top: 1px solid #ccc; }}
  .claim > div {{ flex: 1; }}
  .claim img {{ width: 26em; height: auto; margin: 0; }}
  .claim p {{ margin: 0 0 0.3em; }}
  .evidence, .source {{ color: #444; font-size: 12px; }}
  .claim ul.evidence {{ margin: 0 0 0.3em; padding-left: 1.3em; }}
  .claim .evidence li {{ margin: 0; }}
  .verdict {{ display: inline-block; padding: 0 0.6em; border-radius: 0.8em; color: white; font-weight: bold; }}
</style>
<div class="claims">
<p>{summary}</p>
<p>{rule} {conditions}</p>
{claims}
</div>
"""

CLAIM = """<div class="claim"><div>
<p><span class="verdict" style="background: {color}">{verdict}</span></p>
<p>{text}</p>
<p class="source">{source}; judged by {experiment}</p>
{numbers}
</div>{picture}</div>"""

COLORS = {HOLDS: "#1b7837", NOT: "#b2182b", UNDECIDED: "#b35806", NOT_JUDGED: "#666666"}

RULE = (
    "A number below 0, or as asked, speaks for a claim. A claim holds if the whole interval, in brackets, does so for "
    "all its numbers; it does not hold if one interval lies wholly on the other side; it is undecided otherwise; and "
    f"it is not judged by fewer than {FEWEST} images."
)

# to a figure or table of the report, with its caption
LINK = (
    "javascript:app.setView({{navbarMode: 'resultinfo', resultPath: '{0}', content: '{1}', "
    "contentPath: results['{0}'].data_uri}})"
)


def table(judged: Sequence[Judged], notice: str = "") -> Table:
    """The claims as a table, a row each, below a notice."""
    rows = [(one.text, one.printed, one.evidence, one.source, one.experiment, one.images) for one in judged]
    columns = ["claim", "verdict", "evidence", "source", "experiment", "images"]
    values = pd.DataFrame(rows, columns=columns).set_index("claim")
    return Table(values, hidden=("experiment", "images"), notice=notice, notes=(summary(judged), RULE, CONDITIONS))


def markdown(judged: Sequence[Judged], titles: Mapping[str, str], notice: str = "") -> str:
    """The claims in Markdown, to be read: under each verdict its claims, each with its numbers as a list.

    Args:
        judged: The claims.
        titles: Title of each experiment.
        notice: What stands first; may be empty.
    """
    parts = [notice] if notice else []
    parts += ["# What the paper claims, and what this run says", summary(judged), RULE, CONDITIONS]
    for kind in COLORS:
        own = [one for one in judged if one.verdict == kind]
        if own:
            parts.append(f"## {kind.capitalize()}")
            parts += [_markdown(one, titles[one.experiment]) for one in own]
    return "\n\n".join(parts) + "\n"


def _markdown(one: Judged, title: str) -> str:
    remark = f" ({one.remark})" if one.remark else ""
    basis = f" {one.basis}." if one.basis else ""
    lines = [f"**{one.text}**{remark}", f"{one.source}. Judged by: {title}.{basis}"]
    return "\n\n".join([*lines, "\n".join(f"- {number}" for number in one.numbers or [one.evidence])])


def page(judged: Sequence[Judged], artifacts: Mapping[str, str]) -> str:
    """The claims as a part of the report's first page, in HTML.

    Args:
        judged: The claims.
        artifacts: For each experiment that is shown its figure (PNG) or, if it has none, its table (HTML).
    """
    claims = "\n".join(_html(one, artifacts.get(one.experiment)) for one in judged)
    return PAGE.format(summary=summary(judged), rule=RULE, conditions=CONDITIONS, claims=claims)


def summary(judged: Sequence[Judged]) -> str:
    """How many claims of how many hold."""
    count = {kind: sum(one.verdict == kind for one in judged) for kind in COLORS}
    return (
        f"Of {len(judged)} claims {count[HOLDS]} hold in this run, {count[NOT]} do not, {count[UNDECIDED]} are "
        f"undecided and {count[NOT_JUDGED]} are not judged."
    )


def _html(one: Judged, artifact: str | None) -> str:
    picture, experiment = "", html.escape(one.experiment)
    if artifact:
        is_figure = artifact.endswith(".png")
        link = LINK.format(artifact, "img" if is_figure else "html")
        if is_figure:
            data = base64.b64encode(Path(artifact).read_bytes()).decode()
            picture = f'<a href="{link}"><img alt="{experiment}" src="data:image/png;base64,{data}"></a>'
        experiment = f'<a href="{link}">{experiment}</a>'
    numbers = "".join(f"<li>{html.escape(number)}</li>" for number in one.numbers or [one.evidence])
    return CLAIM.format(
        numbers=f'<ul class="evidence">{numbers}</ul>\n<p class="source">{html.escape(one.basis)}</p>',
        color=COLORS[one.verdict],
        experiment=experiment,
        picture=picture,
        verdict=html.escape(one.printed),
        **{key: html.escape(getattr(one, key)) for key in ("text", "source")},
    )
