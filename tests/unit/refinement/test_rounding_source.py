from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from sgaplus import code_version
from sgaplus.errors import ConfigError
from sgaplus.refinement import rounding, rounding_source
from sgaplus.refinement.rounding import Rounding, TwoClass

OWN = """
from dataclasses import dataclass

import torch

from sgaplus.refinement import rounding
from sgaplus.refinement.rounding import SSL, TwoClass


def power(x, n):
    return x.sign() * x.abs() ** n


@dataclass(frozen=True)
class Power(TwoClass):
    n: float = 3.0

    def log_odds(self, d):
        return power(torch.logit(d), self.n)


@dataclass(frozen=True)
class Steep(SSL):
    b: float = 1.0

    def log_odds(self, d):
        return super().log_odds(d) * self.b


class ByModule(rounding.StraightThrough):
    pass


class Lacking(TwoClass):
    pass


class Other:
    pass
"""


@pytest.fixture
def own(tmp_path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return path


@pytest.fixture
def library(tmp_path, monkeypatch) -> Path:
    """A copy of the library's roundings that may be edited."""
    folder = tmp_path / "sgaplus"
    shutil.copytree(code_version.LIBRARY / "refinement", folder / "refinement")
    monkeypatch.setattr(code_version, "LIBRARY", folder)
    monkeypatch.setattr(rounding_source, "LIBRARY", folder / "refinement" / "rounding.py")
    return folder / "refinement" / "rounding.py"


def test_the_source_tells_the_same_roundings_and_parameters_as_the_classes():
    told = {name: rounding_source.parameters(name) for name in rounding_source.names()}
    assert told == {name: cls.parameters() for name, cls in Rounding.registry.items()}


def test_a_class_added_to_the_library_is_known_and_leaves_every_other_version_as_it_is(library):
    before = {name: rounding_source.code(name) for name in rounding_source.names()}
    with open(library, "a") as file:
        file.write(
            "\n\ndef _cube(x):\n    return x ** 3\n\n\n@dataclass(frozen=True)\nclass Cubic(SSL):\n"
            "    name = 'cubic'\n    b: float = 3.0\n    def log_odds(self, d):\n        return _cube(d)\n"
        )
    assert rounding_source.parameters("cubic") == ("a", "b")
    assert {name: rounding_source.code(name) for name in before} == before


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("return self.a * torch.logit(d)", "return self.a * d", {"ssl"}),
        ("return torch.atanh(d) - torch.atanh(1 - d)", "return torch.atanh(d)", {"sga", "deterministic"}),
        ("EDGE = 1e-5", "EDGE = 1e-6", set(Rounding.registry) - {"ste", "uniform"}),
        ("return torch.log1p(-x)", "return torch.log(1 - x)", {"linear3"}),
    ],
)
def test_a_change_of_a_class_or_of_what_it_uses_changes_its_version_and_those_of_its_heirs(library, old, new, changed):
    before = {name: rounding_source.code(name) for name in rounding_source.names()}
    text = library.read_text()
    assert old in text
    library.write_text(text.replace(old, new))
    after = {name: rounding_source.code(name) for name in before}
    assert {name for name in before if before[name] != after[name]} == changed


def test_a_class_of_the_users_own_is_found_with_its_parameters_and_rounds(own):
    assert rounding_source.parameters(f"{own}:Power") == ("n",)
    assert rounding_source.parameters(f"{own}:Steep") == ("a", "b")
    assert rounding_source.parameters(f"{own}:ByModule") == ()
    made = rounding.make(f"{own}:Power", n=2.0)
    assert isinstance(made, TwoClass)
    assert made.n == 2.0
    down, up = made.probabilities(torch.tensor([0.1, 0.5, 0.9]))
    torch.testing.assert_close(down + up, torch.ones(3))
    assert set(Rounding.registry) == set(rounding_source.names())


def test_the_version_of_the_users_class_follows_its_file_and_the_library(own, library):
    before = {name: rounding_source.code(f"{own}:{name}") for name in ("Power", "Steep")}
    own.write_text(OWN.replace("x.abs() ** n", "x.abs() ** (n + 1)") + "# a comment\n")
    assert rounding_source.code(f"{own}:Power") != before["Power"]
    assert rounding_source.code(f"{own}:Steep") == before["Steep"]
    library.write_text(library.read_text().replace("return self.a * torch.logit(d)", "return torch.logit(d)"))
    assert rounding_source.code(f"{own}:Steep") != before["Steep"]


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("absent.py:Power", r"absent\.py: no such file"),
        (f"{'x' * 300}.py:Power", r"x\.py: no such file"),
        ("~nobody_here/own.py:Power", r"own\.py: no such file"),
        ("{own}:Powr", r"own\.py has no class 'Powr'\. Did you mean 'Power'\?"),
        ("{own}:Other", r"Other: no rounding\. Derive the class from sgaplus\.refinement\.rounding\.Rounding"),
        ("{own}:Lacking", r"Lacking: lacks the method log_odds\(self, d: Tensor\)"),
        ("sls", r"no rounding 'sls'\. Did you mean 'ssl'\?.*`file\.py:Class`"),
    ],
)
def test_what_is_no_rounding_is_refused_with_what_would_be_right(own, reference, message):
    with pytest.raises(ConfigError, match=message) as error:
        rounding_source.find(reference.format(own=own))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"def (", b"\xff\xfe\x00", b"a = '\x00'"])
def test_a_file_that_is_no_python_is_named(tmp_path, content):
    (tmp_path / "own.py").write_bytes(content)
    with pytest.raises(ConfigError, match=r"own\.py: not a Python file"):
        rounding_source.find(f"{tmp_path / 'own.py'}:Power")


def test_a_class_that_derives_from_itself_is_refused(tmp_path):
    (tmp_path / "own.py").write_text("class Mine(Other):\n    pass\n\n\nclass Other(Mine):\n    pass\n")
    with pytest.raises(ConfigError, match="Mine: derives from itself"):
        rounding_source.find(f"{tmp_path / 'own.py'}:Mine")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return v.sum()", r"returns torch\.float32 of shape \(\) for torch\.float32 of shape \(4, 5\)"),
        ("return v.double()", r"returns torch\.float64"),
        ("return v / 0", "not finite"),
        ("return v.round().detach()", "relax fails"),
        ("return self.missing", "relax fails .*missing"),
    ],
)
def test_a_class_that_does_not_round_is_refused_before_it_refines(tmp_path, body, message):
    path = tmp_path / "own.py"
    path.write_text(
        "from sgaplus.refinement.rounding import Rounding\n\n"
        f"class Mine(Rounding):\n    def relax(self, v, tau, draw):\n        {body}\n"
    )
    with pytest.raises(ConfigError, match=message) as error:
        rounding.make(f"{path}:Mine")
    assert f"{path}:Mine" in str(error.value)


def test_a_file_that_fails_when_it_is_imported_is_named(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(
        "import no_such_package\nfrom sgaplus.refinement.rounding import SSL\n\nclass Mine(SSL):\n    pass\n"
    )
    with pytest.raises(ConfigError, match=r"own\.py: can't be imported \(ModuleNotFoundError: .*no_such_package"):
        rounding.make(f"{path}:Mine")
