from __future__ import annotations

import pytest

from sgaplus.progress import heard_by, tqdm


def test_a_bar_is_shown_unless_somebody_hears_it(capsys):
    with tqdm(total=4, desc="work") as bar:
        bar.update(4)
    assert "work: 100%" in capsys.readouterr().err
    shares: list[float] = []
    with heard_by(shares.append), tqdm(total=4, desc="work") as bar:
        bar.update()
        bar.update(3)
    assert shares == pytest.approx([0.25, 0.75])
    assert capsys.readouterr().err == ""
    with tqdm(total=4, desc="more") as bar:
        bar.update()
    assert shares == pytest.approx([0.25, 0.75])
