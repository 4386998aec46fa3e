from __future__ import annotations

import matplotlib.pyplot as plt
import pytest
import seaborn as sns

from sgaplus.artifacts.figures import style


@pytest.fixture(autouse=True)
def _styled():
    """As ``save`` sets it; figures are closed afterwards."""
    with plt.rc_context():
        sns.set_theme(context="paper", style="ticks", rc=style.STYLE)
        yield
    plt.close("all")
