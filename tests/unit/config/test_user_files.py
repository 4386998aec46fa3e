from __future__ import annotations

import pytest
import yaml

from sgaplus.config.user_files import arranged, check, located, main
from sgaplus.errors import ConfigError

from .configurations import CONFIG, refusal, small

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)

WRONG = {
    "twice": ("run: a\ntraining: {}\nrun: b\n", "line 3: 'run' is in line 1 too. Keep one."),
    "twice within": ("training:\n  seed: 1\n  lr: 1\n  seed: 2\n", "line 4: 'seed' is in line 2 too."),
    "twice in a list": ("a: [{b: 1, b: 2}]\n", "line 1: 'b' is in line 1 too."),
    "twice behind an alias": ("a: &a {b: 1}\nc: {d: *a, d: *a}\n", "line 2: 'd' is in line 2 too."),
    "Latin-1": ("run: a\nlabel: caf\xe9\n".encode("latin-1"), "line 2: is not UTF-8. Save the file in that encoding."),
    "UTF-16": ("run: a\n".encode("utf-16"), "line 1: is not UTF-8."),
    "alias of itself": ("run: a\ndatasets: &a\n  x: *a\n", "line 2: an alias names the very thing that it stands in."),
    "alias of a list": ("a: &a [1, *a]\n", "an alias names the very thing that it stands in."),
    "aliases without end": (LAUGHS, "aliases unfold into more than 1,000,000 values."),
    "too deep": ("a: " + "[" * 3000 + "]" * 3000, "is nested too deeply."),
    "tab": ("training:\n\tlr: 1\n", "line 2: is no YAML (found character '\\t' that cannot start any token)."),
    "bracket": ("run: [a\nb: c\n", "line 2: is no YAML (expected ',' or ']', but got ':')."),
    "no such alias": ("a: *b\n", "line 1: is no YAML (found undefined alias 'b')."),
    "control character": ("run: a\0b\n", "is no YAML (unacceptable character #x0000"),
    "another tag": (
        "a: 1\nb: !mine c\n",
        "line 2: is no YAML (could not determine a constructor for the tag '!mine').",
    ),
    "Python": ("a: !!python/name:os.system\n", "line 1: is no YAML (could not determine a constructor for the tag"),
    "key of a list": ("[a]: 1\n", "line 1: is no YAML (found unhashable key)."),
    "month": ("a: 2024-13-01\n", "holds a value that can't be read (month must be in 1..12)."),
    "list": ("- a\n", "holds no keys."),
    "nothing": ("", "holds no keys."),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_file_that_no_configuration_is_is_refused_with_its_line(tmp_path, monkeypatch, capsys, kind):
    content, said = WRONG[kind]
    path = tmp_path / "my.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as error:
        check(path)
    message = str(error.value)
    assert said in message
    assert message.startswith(str(path))
    assert "\n" not in message
    monkeypatch.chdir(tmp_path)
    assert main(["my.yaml"]) == 1
    assert capsys.readouterr().err == f"error: {message.replace(str(path), 'my.yaml')}\n"


@pytest.mark.parametrize("path", ["none.yaml", "."])
def test_a_file_that_is_not_there_is_refused(tmp_path, path):
    with pytest.raises(ConfigError, match=r"can't be read"):
        check(tmp_path / path)


def test_good_files_pass(tmp_path, capsys):
    (tmp_path / "mine.json").write_text('{\n\t"run": "a",\n\t"training": {"seed": 1}\n}')
    (tmp_path / "mark.yaml").write_bytes("run: a\n".encode("utf-8-sig"))
    (tmp_path / "alias.yaml").write_text("a: &a {seed: 1}\nb: *a\nc: *a\nd: {<<: *a}\n")
    assert main([str(path) for path in (*CONFIG.glob("*.yaml"), *tmp_path.iterdir())]) == 0
    assert not capsys.readouterr().err


MINE = """
training:
  lr: 1.0e-4
  batchsize: 3
models:
  low_lmbda0.01: {lmbda: 0.01, stepz: 3}
  low: {lmbda: 1}
experiments:
  curves:
    steps:
      - 10
      - ten
colours: 3
"""


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("training.lr: 3 is wrong.", 3),
        ("training: unknown key 'batchsize'. Did you mean 'batch_size'?", 4),
        ("models.low_lmbda0.01.lmbda: no.", 6),
        ("models.low_lmbda0.01: unknown key 'stepz'. Known: steps.", 6),
        ("models.low.lmbda: no.", 7),
        ("experiments.curves.steps.1: 'ten' is no integer.", 12),
        ("configuration: unknown key 'colours'.", 13),
        ("training.seed: no.", None),
        ("photos/a.png: no such file.", None),
    ],
)
def test_a_key_is_found_in_the_users_file(tmp_path, monkeypatch, message, line):
    (tmp_path / "base.yaml").write_text("run: a\ntraining: {lr: 1}\n")
    (tmp_path / "mine.yaml").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    found = located(ConfigError(message), ["base.yaml", tmp_path / "mine.yaml"])
    assert found == (f"mine.yaml, line {line}: {message}" if line else message)


def test_a_key_of_the_command_line_is_in_no_file(tmp_path):
    (tmp_path / "mine.yaml").write_text("run: a\n")
    assert located(ConfigError("run: no."), [tmp_path / "mine.yaml"], said=["run"]) == "run: no."


def test_errors_of_the_configuration_begin_with_the_place_of_their_key(tmp_path):
    for place, value in {"training.lr": -1, "methods.ssl.color": "no", "experiments.curves.models": ["lo"]}.items():
        config = small(**{place: value})
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(config))
        assert located(ConfigError(refusal(config)), [path]).startswith(f"{path}, line ")


def test_a_configuration_has_the_order_of_its_first_file_and_what_is_new_comes_last(tmp_path):
    (tmp_path / "first.yaml").write_text("claims: {a: {text: A, steps: 1}, b: {}, gone: {}}\nrun: x\n")
    laid_over = {"run": "y", "claims": {"new": {}, "b": {}, "a": {"steps": 2, "text": "A"}}}
    found = arranged(laid_over, tmp_path / "first.yaml")
    assert found == laid_over
    assert list(found) == ["claims", "run"]
    assert list(found["claims"]) == ["a", "b", "new"]
    assert list(found["claims"]["a"]) == ["text", "steps"]
