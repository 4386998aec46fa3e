"""The report in a browser."""

from __future__ import annotations

import pytest

from .conftest import CONFIG, PAPER, TINY, write_config

LINKS = "[...document.querySelectorAll('.claims a')]"
ENTRIES = "[...document.querySelectorAll('nav tbody tr')]"
BROKEN = "[...document.images].filter(image => image.complete && !image.naturalWidth).length"
LOADED = "[...document.images].every(image => image.complete)"


@pytest.fixture(scope="module")
def report(finished, snakemake):
    snakemake(finished, *CONFIG, "report")
    return finished / "results/tiny/report.html"


def click(page, entry):
    """Click on an entry of the menu."""
    page.run("app.setView({navbarMode: 'menu'})")
    page.run(f"[...document.querySelectorAll('nav li a')].find(a => a.textContent == '{entry}').click()")


def view(page, place):
    """Click on the eye of an entry of a category, and wait for what it shows."""
    page.run(f"{ENTRIES}[{place}].querySelector('a').click()")
    page.until(LOADED)
    assert page.run(BROKEN) == 0


def test_every_entry_of_the_menu_opens_and_shows_its_artifacts(page, report):
    page.open(report)
    assert page.run("document.title") == "sgaplus: run tiny"
    for entry in ("Workflow", "Statistics", "About"):
        click(page, entry)
        assert page.run("document.querySelector('#app').innerText.length") > 50
    experiments = PAPER["experiments"].values()
    expected = {
        "Figures": sum("figure" in entry for entry in experiments),
        "Tables": sum("table" in entry for entry in experiments) + 1,
        "Models": 2 + 2,
    }
    for category, count in expected.items():
        click(page, category)
        assert page.run(f"{ENTRIES}.length") == count
        for place in range(count):
            if category != "Models" or place < 2:
                view(page, place)


def test_vector_graphics_can_be_taken_out_of_the_report(page, report):
    page.open(report)
    figures = [name for name, entry in PAPER["experiments"].items() if "figure" in entry]
    places = [f"results/tiny/figures/{name}.pdf" for name in (*figures, "training")]
    for place in places:
        head = page.run(f"fetch(results['{place}'].data_uri).then(r => r.text()).then(text => text.slice(0, 4))")
        assert head == "%PDF"


def test_every_link_and_picture_of_the_first_page_leads_somewhere(page, report):
    page.open(report)
    page.until(LOADED)
    assert page.run(BROKEN) == 0
    assert "What made this run" in page.run("document.querySelector('details').innerText")
    assert page.run("document.querySelector('a[href=\"compare.html\"]') !== null")
    assert (report.parent / "compare.html").is_file()
    links = page.run(f"{LINKS}.map(a => a.getAttribute('href'))")
    assert len(links) >= len([claim for claim in TINY["claims"].values() if claim is not None])
    for link in sorted(set(links)):
        page.run("app.setView({navbarMode: 'menu', content: 'metadata'})")
        page.run(link.removeprefix("javascript:"))
        page.until("document.querySelector('nav').innerText.includes('Methods: ')")
        page.until("document.querySelector('.grow img, .grow iframe') !== null")
        page.until(LOADED)
        assert page.run(BROKEN) == 0
    page.run("app.setView({navbarMode: 'menu', content: 'metadata'})")
    page.run(f"{LINKS}[0].click()")
    page.until("document.querySelector('nav').innerText.includes('Methods: ')")


def test_the_first_page_fits_a_phone(page, report):
    page.open(report, 390, 844, phone=True)
    assert page.run("document.querySelector('h1 ~ p, .heading').getBoundingClientRect().right") <= 390
    assert page.run("document.documentElement.scrollWidth") <= 390


def test_the_models_of_a_run_that_trains_one_are_shown(page, finished, snakemake):
    """Their labels made a switch of two values with missing combinations, and the page turned white."""
    experiments = dict.fromkeys(PAPER["experiments"]) | {"fig2_true_loss": TINY["experiments"]["fig2_true_loss"]}
    changes = {"run": "one", "experiments": experiments, "comparison": None}
    changes["claims"] = dict.fromkeys(PAPER["claims"])
    write_config(finished, changes, "one.yaml")
    snakemake(finished, "--configfile", "one.yaml", "--cores", "2", "report")
    page.open(finished / "results/one/report.html")
    click(page, "Models")
    assert page.run(f"{ENTRIES}.length") == 3
    for place in range(2):
        view(page, place)
