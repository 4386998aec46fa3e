from __future__ import annotations

import pytest

from sgaplus.config import methods
from sgaplus.errors import ConfigError


def test_the_methods_alone_are_those_of_the_whole_configuration(paper):
    assert methods.read() == paper["methods"]


def test_a_wrong_entry_is_refused_by_its_place(tmp_path, monkeypatch):
    (tmp_path / "config.yaml").write_text("methods:\n  sga: {label: SGA, rounding: sga, lrr: 1}\n")
    monkeypatch.setattr(methods, "CONFIG", tmp_path / "config.yaml")
    with pytest.raises(ConfigError, match=r"^methods\.sga: unknown key 'lrr'\. Did you mean 'lr'\?"):
        methods.read()
