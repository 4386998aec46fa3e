from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from sgaplus.artifacts import comparison_page
from sgaplus.artifacts.comparison_page import Compared, Pair, Picture
from sgaplus.paths import shipped

BASE = pd.Series({"model": "low", "model_lmbda": 0.01, "target_lmbda": 0.01, "step": 0, "bpp": 0.2, "psnr": 30.0})
REFINED = BASE.copy()
REFINED[["step", "bpp", "psnr"]] = 500, 0.199, 30.5


def grey(level: int) -> np.ndarray:
    return np.full((60, 90, 3), level, np.uint8)


@pytest.fixture
def compared(tmp_path):
    """A page of two photographs, each under two models: shades of grey, lighter from one picture to the next."""
    images = []
    for name, level in (("first", 0), ("second", 100)):
        pairs = []
        for k in (10, 20):
            base = Picture("Base", "1 bpp", grey(level + k + 1))
            pairs.append(Pair(f"model {k}", base, Picture("SSL", "0.9 bpp", grey(level + k + 2))))
        images.append(Compared(name, Picture("Original", "24 bpp", grey(level)), pairs))
    template = shipped("workflow/report/compare.html").read_text()
    file = tmp_path / "compare.html"
    file.write_text(comparison_page.page(template, "Pictures of <a>", "Only a </script> test.", images))
    return file


def test_pictures_say_rate_quality_and_how_they_differ():
    base = comparison_page.base_picture(BASE, grey(0))
    assert (base.name, base.numbers) == ("Base model, λ = 0.01", "0.200 bpp, 30.00 dB")
    refined = comparison_page.refined_picture(REFINED, BASE, "SSL", grey(0))
    assert (refined.name, refined.numbers) == ("SSL, 500 steps", "0.199 bpp (−0.5 %), 30.50 dB (+0.50 dB)")


def test_a_picture_from_another_model_or_toward_another_target_says_so():
    other = REFINED.copy()
    other[["model", "model_lmbda", "target_lmbda"]] = "high", 0.05, 0.01
    name = comparison_page.refined_picture(other, BASE, "SSL", grey(0)).name
    assert name == "SSL, 500 steps, model of λ = 0.05 toward λ = 0.01"


def test_the_page_asks_for_nothing_else(compared):
    text = compared.read_text()
    assert "http" not in text
    assert "TITLE" not in text
    assert "<title>Pictures of &lt;a&gt;</title>" in text
    assert "Only a &lt;/script&gt; test." in text


SEEN = """(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d"), level = {};
  for (const id of ["over", "under"]) {
    canvas.drawImage(document.getElementById(id), 0, 0);
    level[id] = canvas.getImageData(0, 0, 1, 1).data[0];
  }
  return level;
})()"""


def choose(page, id, value):
    page.run(f"at('{id}').value = {value!r}; at('{id}').dispatchEvent(new Event('change'))")
    page.until("at('over').complete && at('under').complete && at('over').naturalWidth > 0")
    page.run("Promise.all([at('over').decode(), at('under').decode()])")


def test_original_base_and_refined_of_every_photograph_and_model_can_be_laid_over_one_another(page, compared):
    page.open(compared)
    for image, level in ((0, 0), (1, 100)):
        choose(page, "image", image)
        for pair, k in ((0, 10), (1, 20)):
            choose(page, "pair", pair)
            assert page.run(SEEN) == {"over": level + k + 1, "under": level + k + 2}
            assert page.run("at('of-right').innerText") == "SSL\n0.9 bpp"
    choose(page, "left", "original")
    assert page.run(SEEN) == {"over": 100, "under": 122}


def share(page) -> float:
    """The share of the left picture that is seen, from its clip path: inset(top right bottom left) or inset(all)."""
    cut = re.findall(r"[\d.]+", page.run("at('over').style.clipPath"))
    return 1 - float(cut[min(1, len(cut) - 1)]) / page.run("at('canvas').offsetWidth")


def test_the_slider_the_mouse_and_flip_move_the_line(page, compared):
    page.open(compared)
    assert share(page) == pytest.approx(0.5, abs=0.01)
    page.run("at('split').value = 250; at('split').dispatchEvent(new Event('input'))")
    assert share(page) == pytest.approx(0.25, abs=0.01)
    left, top, width = page.run("(r => [r.left, r.top, r.width])(at('canvas').getBoundingClientRect())")
    page.drag((left + 0.3 * width, top + 50), (left + 0.8 * width, top + 50))
    assert share(page) == pytest.approx(0.8, abs=0.02)
    for expected in (0, 1, 0):
        page.run("at('flip').click()")
        assert share(page) == pytest.approx(expected, abs=0.01)


def test_a_zoom_is_exact_and_keeps_the_line_in_view(page, compared):
    page.open(compared, 400, 500)
    page.run("[...at('zooms').children].find(button => button.textContent == '8×').click()")
    assert page.run("at('canvas').offsetWidth") == 8 * 90
    page.run("at('view').scrollLeft = 300")
    page.until("at('view').scrollLeft == 300")
    page.run("cut()")
    line, view = page.run("[at('line').getBoundingClientRect().left, at('view').getBoundingClientRect().left]")
    assert line - view == pytest.approx(page.run("at('view').clientWidth") / 2, abs=3)


def test_it_fits_a_phone(page, compared):
    page.open(compared, 390, 844, phone=True)
    assert page.run("document.documentElement.scrollWidth") <= 390
    assert page.run("at('split').getBoundingClientRect().bottom") <= 844
