"""From a server to refined images: download, unpack, pack, index, and the table of data sets."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from sgaplus.codec.hyperprior import load_state
from sgaplus.data import manifest
from sgaplus.data.index import read_index

from ..server import cut, fail, serving
from ..unit.data.test_shards import inner
from ..unit.making import encoded
from .conftest import checkout, write_config

CONFIG = ("--cores", "2", "--configfile", "tiny.yaml")
DATASETS = {
    "kodak": {"manifest": "kodak", "count": 2},
    "clic": {"manifest": "clic", "min_side": 64},
    "imagenet": {"manifest": "imagenet", "min_side": 64},
    "train": {"parts": ["clic", "imagenet"]},
}
EXPERIMENT = {"dataset": "kodak", "models": ["low"], "methods": ["ste"], "steps": [2]}


def png(number: int, side: int = 80) -> bytes:
    return encoded("PNG", size=(side, side), seed=number)


PHOTOGRAPHS = {f"kodim0{number}.png": png(number) for number in (1, 2)}
CLASSES = {"n01.tar": inner(n01_1=png(5), n01_2=png(6, 40)), "n02.tar": inner(n02_1=b"broken", n02_2=png(7))}


def clips() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in {"v/a.png": png(3), "v/small.png": png(4, 40), "__MACOSX/v/._a.png": b"x"}.items():
            archive.writestr(name, data)
    return content.getvalue()


def pack_tars(path: Path, files: dict[str, bytes]) -> bytes:
    """A tar of tars, as ImageNet's."""
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path.read_bytes()


def row(dataset: str, split: str, file: str, content: bytes, url: str, images: object = "") -> dict[str, object]:
    said = {"page": "https://a.org/register", "licence": "free", "use": "test", "images": images}
    empty = dict.fromkeys(manifest.COLUMNS, "")
    known = {"bytes": len(content), "hash_kind": "sha256", "hash": hashlib.sha256(content).hexdigest()}
    return empty | said | known | {"dataset": dataset, "split": split, "file": file, "url": url}


def write_manifest(folder: Path, rows: list[dict[str, object]]) -> None:
    with open(folder / "config/datasets.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, manifest.COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def write_tiny(folder: Path, archive: bool, min_side: int = 64) -> None:
    """The tiny configuration on the data sets of the server, with or without an archive of ImageNet."""
    model = {"lmbda": 0.01, "N": 8, "M": 8, "steps": 2, "dataset": "train"}
    own = {"imagenet": {"archive": "mine.tar", "min_side": min_side}} if archive else {}
    training = {"batch_size": 2, "crop": 64, "threads": 1}
    experiments = {"fig2_true_loss": EXPERIMENT}
    changes = {"datasets": own, "training": training, "models": {"low": model}, "experiments": experiments}
    write_config(folder, changes | {"claims": {}, "comparison": None})


class Place:
    """A checkout, its server and its manifest."""

    def __init__(self, folder: Path, server) -> None:
        self.folder, self.server = checkout(folder), server
        config = yaml.safe_load((folder / "config/config.yaml").read_text())
        # nothing but figure 2 and the server's data sets
        config |= {
            "datasets": DATASETS,
            "models": {},
            "claims": {},
            "comparison": None,
            "experiments": {"fig2_true_loss": config["experiments"]["fig2_true_loss"]},
        }
        (folder / "config/config.yaml").write_text(yaml.safe_dump(config))
        self.rows = [
            row("kodak", "all", name, content, server.add(f"/{name}", content), 1)
            for name, content in PHOTOGRAPHS.items()
        ]
        self.rows.append(row("clic", "valid", "valid.zip", clips(), server.add("/valid.zip", clips()), 2))
        self.rows.append(row("imagenet", "train", "train.tar", pack_tars(folder / "mine.tar", CLASSES), ""))
        write_manifest(folder, self.rows)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with serving() as server:
        yield Place(tmp_path_factory.mktemp("data"), server)


@pytest.fixture(scope="module")
def without_imagenet(place, snakemake) -> str:
    """What `snakemake datasets` prints where ImageNet's archive is not there, and a server stumbles."""
    place.server.script["/kodim01.png"] = [fail(500), cut(5000)]
    write_tiny(place.folder, archive=False)
    return snakemake(place.folder, "datasets", *CONFIG, ok=False).stdout


@pytest.fixture(scope="module")
def complete(place, snakemake, without_imagenet) -> str:
    """What it prints once the archive is there."""
    write_tiny(place.folder, archive=True)
    return snakemake(place.folder, "datasets", *CONFIG).stdout


def table(printed: str) -> dict[str, list[str]]:
    """The rows of the printed table by data set."""
    rows = printed.split("\ndata set ")[1].split("\n\n")[0].split("\n[")[0].splitlines()[2:]
    return {row.split()[0]: row.split()[1:] for row in rows}


def test_what_can_be_had_is_fetched_and_the_rest_named_with_what_to_do(place, without_imagenet):
    rows = table(without_imagenet)
    assert rows["kodak"][-1] == rows["clic"][-1] == "ready"
    assert rows["imagenet"] == rows["train"] == ["missing"]
    assert re.search(r"error: data/imagenet/train\.tar: no such file\. .*https://a\.org/register", without_imagenet)
    assert "datasets.imagenet.archive" in without_imagenet
    assert "Traceback" not in without_imagenet


def test_a_stumbling_server_is_asked_again_for_the_rest(place, without_imagenet):
    assert place.server.ranges("/kodim01.png") == [None, None, "bytes=5000-"]
    assert "status 500 Internal Server Error; again in" in without_imagenet
    for name, content in PHOTOGRAPHS.items():
        assert (place.folder / "data/kodak" / name).read_bytes() == content


def test_every_data_set_becomes_the_same_kind_of_index(place, complete):
    found = {
        name: read_index(place.folder / f"results/tiny/datasets/{name}.csv")
        for name in ("kodak", "clic", "imagenet", "train")
    }
    names = {name: [image.name for image in index] for name, index in found.items()}
    assert names == {
        "kodak": ["kodim01", "kodim02"],
        "clic": ["a"],
        "imagenet": ["n01_1", "n02_2"],
        "train": ["clic:a", "imagenet:n01_1", "imagenet:n02_2"],
    }
    for image in found["train"]:
        assert image.read().shape == (80, 80, 3)
    assert "dropped: n02_1.JPEG: not a readable image" in complete


def test_the_table_is_printed_and_written(place, complete):
    rows = table(complete)
    assert rows["train"][0] == "3"
    with open(place.folder / "results/tiny/datasets.csv") as file:
        written = {row["name"]: row for row in csv.DictReader(file)}
    assert {row["state"] for row in written.values()} == {"ready"}
    assert written["kodak"]["pixels"] == str(2 * 80 * 80)
    assert written["kodak"]["bytes"] == str(sum(map(len, PHOTOGRAPHS.values())))
    assert rows.keys() == written.keys()


def test_nothing_is_fetched_or_made_again(place, complete, snakemake):
    """Not after a second run, a new address, newer scripts, or the loss of what is unpacked."""
    asked = len(place.server.asked)
    assert "Nothing to be done" in snakemake(place.folder, "datasets", *CONFIG).stdout
    write_manifest(place.folder, [row | {"url": row["url"] and "https://elsewhere.org/a"} for row in place.rows])
    for script in (place.folder / "workflow/scripts").iterdir():
        os.utime(script)
    (place.folder / "data/clic/valid.zip").unlink()
    (place.folder / "mine.tar").rename(place.folder / "away.tar")
    printed = snakemake(place.folder, "datasets", "-n", *CONFIG).stdout
    (place.folder / "away.tar").rename(place.folder / "mine.tar")
    write_manifest(place.folder, place.rows)
    assert not re.search(r"Downloading|Unpacking|Packing", printed)
    assert len(place.server.asked) == asked


def test_another_run_takes_what_is_in_the_data_folder_without_network(place, complete, snakemake):
    asked = len(place.server.asked)
    printed = snakemake(place.folder, "datasets", *CONFIG, "--config", "run=other").stdout
    assert not re.search(r"Downloading|Unpacking|Packing", printed)
    assert table(printed) == table(complete)
    assert len(place.server.asked) == asked


def test_refinement_and_training_are_planned_on_what_came(place, complete, snakemake):
    printed = snakemake(place.folder, "results/tiny/records/fig2_true_loss.parquet", "-n", *CONFIG).stdout
    assert "Training low" in printed
    assert "Refining kodak (chunk 0) under low: ste" in printed
    assert not re.search(r"Downloading|Unpacking|Packing", printed)


def test_published_weights_are_downloaded_once_and_become_a_model(place, trained, snakemake):
    """As CompressAI publishes them: older names of weights, and the hash in the file's name."""
    old = {name.replace("bottleneck.matrices.", "bottleneck._matrices."): v for name, v in trained.state_dict().items()}
    content = io.BytesIO()
    torch.save(old, content)
    name = f"mbt2018-mean-1-{hashlib.sha256(content.getvalue()).hexdigest()[:8]}.pth.tar"
    models = {"published": {"lmbda": 0.0018, "url": place.server.add(f"/{name}", content.getvalue())}}
    experiments = {"fig2_true_loss": EXPERIMENT | {"models": ["published"]}}
    changes = {"datasets": {}, "training": {}, "models": models, "experiments": experiments}
    write_config(place.folder, changes | {"claims": {}, "comparison": None}, "published.yaml")
    target = ("results/tiny/models/published/model.pth", "--cores", "2", "--configfile", "published.yaml")
    assert f"Downloading models/published/{name}" in snakemake(place.folder, *target).stdout
    model = load_state(place.folder / target[0])
    assert torch.equal(model["entropy_bottleneck.matrices.0"], trained.state_dict()["entropy_bottleneck.matrices.0"])
    asked = len(place.server.asked)
    (place.folder / target[0]).unlink()
    assert "Downloading" not in snakemake(place.folder, *target).stdout
    assert len(place.server.asked) == asked


def copy_without_results(checkout, folder):
    """Copy a checkout without what was made in it."""
    made = {"results", "data", ".snakemake"}
    shutil.copytree(checkout, folder, ignore=lambda inside, names: made if Path(inside) == checkout else set())


def test_a_file_that_was_put_there_by_hand_is_used_and_a_wrong_one_refused(place, snakemake, tmp_path):
    folder = tmp_path / "clone"
    copy_without_results(place.folder, folder)
    (folder / "data/kodak").mkdir(parents=True)
    for name, content in PHOTOGRAPHS.items():
        (folder / "data/kodak" / name).write_bytes(content)
        os.utime(folder / "data/kodak" / name, (0, 0))  # older than anything of the workflow
    write_tiny(folder, archive=True)
    asked = len(place.server.asked)
    target = "results/tiny/datasets/kodak.csv"
    assert "Downloading" not in snakemake(folder, target, *CONFIG).stdout
    (folder / "data/kodak/kodim02.png").write_bytes(png(9))
    printed = snakemake(folder, target, *CONFIG, ok=False).stdout
    assert re.search(r"error: data/kodak/kodim02\.png: expected .*, found .*\. Delete the file", printed)
    assert (folder / "data/kodak/kodim02.png").read_bytes() == png(9)
    assert len(place.server.asked) == asked


def test_a_wrong_manifest_stops_before_the_dag_with_one_clear_line(place, snakemake, tmp_path):
    folder = tmp_path / "clone"
    copy_without_results(place.folder, folder)
    write_manifest(folder, [place.rows[0] | {"url": "http://a.org/a.png"}, *place.rows[1:]])
    printed = snakemake(folder, "-n", *CONFIG, ok=False).stdout
    (line,) = [line for line in printed.splitlines() if "is not an https address" in line]
    assert "datasets.csv: row 2: url: " in line
    assert "Traceback" not in printed


def test_imagenets_rule_packs_real_photographs(place, photographs_of_imagenet, snakemake, tmp_path):
    """With a CMYK JPEG and a PNG that is named .JPEG, of which ImageNet has some."""
    folder = tmp_path / "clone"
    copy_without_results(place.folder, folder)
    odd = {"cmyk": encoded("JPEG", "CMYK", (300, 260)), "png": encoded("PNG", size=(300, 260))}
    files = sorted(photographs_of_imagenet.iterdir())
    content = {file.stem: file.read_bytes() for file in files} | odd
    halves = [dict(list(content.items())[start::2]) for start in range(2)]
    archive = pack_tars(folder / "mine.tar", {f"n{number}.tar": inner(**half) for number, half in enumerate(halves)})
    write_manifest(folder, [*place.rows[:-1], row("imagenet", "train", "train.tar", archive, "")])
    write_tiny(folder, archive=True, min_side=256)
    snakemake(folder, "results/tiny/datasets/imagenet.csv", *CONFIG)
    found = {image.name: image for image in read_index(folder / "results/tiny/datasets/imagenet.csv")}
    large = {file.stem for file in files if min(Image.open(file).size) >= 256}
    assert found.keys() == large | odd.keys()
    assert len(large) < len(files)
    for name in (*list(large)[:20], *odd):
        assert found[name].content() == content[name]
        assert found[name].read().shape == (found[name].height, found[name].width, 3)
