from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sgaplus.cli import outputs
from sgaplus.codec import bitstream
from sgaplus.data import photographs, pictures
from sgaplus.errors import ImageError, SgaplusError
from tests.unit.making import SWAPPED, XMP, XMP_UPRIGHT, exif

from .running import names, run


@pytest.mark.parametrize("suffix", outputs.FORMATS)
def test_every_format_holds_the_decoded_pixels(suffix, coded, tmp_path):
    assert run("decompress", coded / "a.sga", "-o", tmp_path / "a.png") == 0
    assert run("decompress", coded / "a.sga", "-o", tmp_path / f"b{suffix.upper()}") == 0
    assert (pictures.read(tmp_path / f"b{suffix.upper()}") == pictures.read(tmp_path / "a.png")).all()
    assert run("decompress", coded, "-o", tmp_path / "decoded", "--format", suffix[1:]) == 0
    assert names(tmp_path / "decoded") == [f"a{suffix}", f"b{suffix}"]
    with Image.open(tmp_path / "decoded" / f"a{suffix}") as picture:
        assert picture.format == outputs.FORMATS[suffix][0]


def test_a_picture_too_wide_for_webp_is_refused(tmp_path):
    with pytest.raises(SgaplusError, match="16384x1 pixels are too many for WebP"):
        outputs.write_picture(tmp_path / "a.webp", np.zeros((1, 16384, 3), np.uint8), {}, ".webp")
    assert names(tmp_path) == []


def test_standard_input_and_output_take_the_place_of_files(photos, coded, tmp_path):
    command = [sys.executable, "-m", "sgaplus"]
    compress = [*command, "compress", "-", "-o", "-", "--steps", "0", "--seed", "0"]
    first = subprocess.run(compress, input=(photos / "a.png").read_bytes(), capture_output=True, check=True)
    assert first.stdout == (coded / "a.sga").read_bytes()
    assert b"standard input -> standard output: " in first.stderr
    decompress = [*command, "decompress", "-", "-o", "-", "--format", "ppm", "-q"]
    second = subprocess.run(decompress, input=first.stdout, capture_output=True, check=True)
    assert second.stderr == b""
    assert run("decompress", coded / "a.sga", "-o", tmp_path / "a.png") == 0
    assert (np.asarray(Image.open(io.BytesIO(second.stdout))) == pictures.read(tmp_path / "a.png")).all()
    info = subprocess.run([*command, "info", "-"], input=first.stdout, capture_output=True, check=True)
    assert info.stdout.startswith(b"standard input\n")
    truncated = subprocess.run([*command, "info", "-"], input=first.stdout[:99], capture_output=True)
    assert (truncated.returncode, truncated.stdout) == (1, b"")
    assert b"standard input: truncated after 99" in truncated.stderr


def test_a_terminal_gets_no_binary_data(coded, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run("decompress", coded / "a.sga", "-o", "-") == 2
    assert "a terminal shows no binary data" in capsys.readouterr().err


@pytest.fixture
def coloured(tmp_path, photograph) -> Path:
    """A photograph with a colour profile, EXIF and XMP."""
    path = tmp_path / "photo.jpg"
    picture = Image.fromarray(photograph(64, 80).pixels)
    picture.save(path, icc_profile=SWAPPED, exif=exif(x0112=6), xmp=XMP)
    assert run("compress", path, "-o", tmp_path / "photo.sga", "--steps", 1, "-q") == 0
    return path


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_profile_and_metadata_come_back(suffix, coloured, tmp_path):
    decoded = tmp_path / f"decoded{suffix}"
    assert run("decompress", tmp_path / "photo.sga", "-o", decoded) == 0
    before, after = photographs.read(coloured), photographs.read(decoded)
    assert after.pixels.shape == before.pixels.shape == (80, 64, 3)
    assert {name: after.metadata[name] for name in ("icc", "xmp")} == {"icc": SWAPPED, "xmp": XMP_UPRIGHT}
    with Image.open(decoded) as picture:
        assert picture.getexif().get_ifd(0x8769)[0x9003] == "2020:01:01 00:00:00"
        assert 0x0112 not in picture.getexif()
    assert run("decompress", tmp_path / "photo.sga", "-o", decoded, "--strip", "--force") == 0
    stripped = photographs.read(decoded)
    assert stripped.metadata == {}
    assert (stripped.pixels == photographs.to_srgb(after.pixels, SWAPPED)).all()


def test_a_ppm_file_shows_the_right_colours_and_says_what_is_missing(coloured, tmp_path, capsys):
    assert run("decompress", tmp_path / "photo.sga", "-o", tmp_path / "a.png") == 0
    capsys.readouterr()
    assert run("decompress", tmp_path / "photo.sga", "-o", tmp_path / "a.ppm") == 0
    expected = photographs.read(tmp_path / "a.png", strip=True).pixels
    assert (pictures.read(tmp_path / "a.ppm") == expected).all()
    changes = "colours turned to sRGB; icc, exif, xmp left out, which no PPM file holds"
    assert capsys.readouterr().err == f"{tmp_path / 'photo.sga'}: {changes}\n"


@pytest.mark.parametrize("suffix", outputs.FORMATS)
@pytest.mark.parametrize(
    "metadata", [{"exif": b"II*\0"}, {"exif": b"x"}, {"xmp": b"\0\xff"}, {"icc": b"x"}, {"exif": b""}]
)
def test_metadata_that_is_none_stops_no_picture(suffix, metadata, tmp_path):
    path, picture = tmp_path / f"a{suffix}", np.full((8, 8, 3), 7, np.uint8)
    if suffix == ".ppm" and "icc" in metadata:
        with pytest.raises(ImageError, match="colour profile is broken"):
            outputs.write_picture(path, picture, metadata, suffix)
        return
    outputs.write_picture(path, picture, metadata, suffix)
    with Image.open(path) as found:
        assert (np.asarray(found) == picture).all()


def test_a_stripped_bitstream_holds_the_picture_alone(coloured, tmp_path, capsys):
    capsys.readouterr()
    assert run("compress", coloured, "-o", tmp_path / "bare.sga", "--steps", 0, "--strip") == 0
    assert f"{coloured}: colours turned from sRGB built-in to sRGB\n" in capsys.readouterr().err
    data = bitstream.read(tmp_path / "bare.sga")
    assert bitstream.read_chunks(data) == {}
    assert not bitstream.read_header(data).has_chunks


def test_evaluation_compares_the_colours_that_were_coded(coloured, tmp_path, capsys):
    """Whether they are those of the profile or of sRGB."""
    folder = tmp_path / "coded"
    quality = []
    for more in ([], ["--strip"]):
        assert run("compress", coloured, "-o", folder, "--steps", 0, "--force", *more) == 0
        capsys.readouterr()
        assert run("evaluate", coloured, "-b", folder, "--json") == 0
        quality.append(json.loads(capsys.readouterr().out)["mean"]["psnr"])
    assert quality[0] == pytest.approx(quality[1], abs=1.5)
