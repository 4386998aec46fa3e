"""Photographs: finding, reading, cropping, padding.

A data set is an index, a CSV file with one row per image (:data:`INDEX_COLUMNS`). Refinement and
training read indexes and need not know where the images came from.
"""

from __future__ import annotations

import csv
import importlib.util
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from sgaplus.errors import ImageError, did_you_mean
from sgaplus.files import replacing, sha256

logger = logging.getLogger(__name__)

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".ppm"}
INDEX_COLUMNS = ("name", "path", "sha256", "left", "top", "width", "height")
MAX_PIXELS = 400_000_000
"""Largest picture that is read; beyond it a small file can unpack into all the memory there is."""

Image.MAX_IMAGE_PIXELS = None  # Pillow's own, lower limit; MAX_PIXELS decides


@dataclass(frozen=True)
class IndexedImage:
    """One image of a data set.

    Attributes:
        name: Unique in its data set; seeds the image's random stream.
        path: Absolute path of the file.
        sha256: Hash of the file's bytes.
        left, top, width, height: The part of the picture that is used, in pixels.
    """

    name: str
    path: str
    sha256: str
    left: int
    top: int
    width: int
    height: int

    def read(self) -> np.ndarray:
        """The used part as uint8, shape (height, width, 3).

        Raises:
            ImageError: the file is missing, broken, or not the file that was indexed.
        """
        if not Path(self.path).is_file():
            raise ImageError(f"{self.path}: no such file. Restore it, or index the data set again.")
        if sha256(self.path) != self.sha256:
            raise ImageError(f"{self.path}: changed since the data set was indexed. Index it again.")
        right, bottom = self.left + self.width, self.top + self.height
        return read(self.path)[self.top : bottom, self.left : right]


def read(path: str | Path) -> np.ndarray:
    """Any picture as 8-bit RGB: uint8, shape (H, W, 3).

    Grayscale and palette pictures become RGB, 16-bit ones are scaled to 8 bits, transparent ones
    are laid over white, and the camera's orientation is applied.

    Raises:
        ImageError: missing, unreadable, truncated, or larger than :data:`MAX_PIXELS`.
    """
    if not Path(path).is_file():
        raise ImageError(f"{path}: no such file. Restore it, or correct the path.")
    try:
        with Image.open(path) as picture:
            return _to_rgb(_upright(picture, path), path)
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(
            f"{path}: not a readable image ({error}). Replace the file or take it out of the data set."
        ) from error


def _upright(picture: Image.Image, path: str | Path) -> Image.Image:
    if picture.width * picture.height > MAX_PIXELS:
        raise ImageError(
            f"{path}: {picture.width}x{picture.height} pixels; at most {MAX_PIXELS:,} are read. Crop it first."
        )
    return ImageOps.exif_transpose(picture)


def _to_rgb(picture: Image.Image, path: str | Path) -> np.ndarray:
    if picture.mode == "F":
        raise ImageError(f"{path}: floating-point pixels have no fixed range. Convert it to an 8-bit or 16-bit PNG.")
    if picture.mode.startswith("I"):  # 16-bit or deeper grayscale
        return _deep_to_rgb(np.asarray(picture).astype(np.float64), path)
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        logger.info("%s: transparent; laid over white", path)
        picture = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.asarray(picture.convert("RGB"))


def _deep_to_rgb(gray: np.ndarray, path: str | Path) -> np.ndarray:
    if gray.min() < 0 or gray.max() > 65535:
        raise ImageError(
            f"{path}: values from {gray.min():g} to {gray.max():g}; grayscale deeper than 8 bits must lie "
            "in 0 to 65535. Convert it to an 8-bit or 16-bit PNG."
        )
    return np.repeat(np.round(gray / 257).astype(np.uint8)[..., None], 3, axis=2)


def find(source: dict) -> list[Path]:
    """The image files that a data set's configuration names, sorted by name.

    Args:
        source: A data set's entry: ``path`` (a folder, or a glob) or ``package`` with ``files``.

    Raises:
        ImageError: nothing is there, or not as many as ``count`` says.
    """
    files = _packaged(source) if "package" in source else _on_disk(source["path"])
    count = source.get("count")
    if count is not None and len(files) != count:
        raise ImageError(
            f"{source.get('path', source.get('package'))}: {len(files)} images, but the configuration says "
            f"count: {count}. Complete the folder or correct the count."
        )
    duplicate = _first_duplicate([file.stem for file in files])
    if duplicate:
        raise ImageError(
            f"{source.get('path', source.get('package'))}: two images are called {duplicate!r}. "
            "Names identify images in the results, so rename one."
        )
    return files


def _packaged(source: dict) -> list[Path]:
    """Files that ship inside an installed Python package."""
    spec = importlib.util.find_spec(source["package"].split(".")[0])
    if spec is None or not spec.submodule_search_locations:
        raise ImageError(f"package {source['package']!r} is not installed. Run `make install`.")
    folder = Path(spec.submodule_search_locations[0]).joinpath(*source["package"].split(".")[1:])
    if not folder.is_dir():
        raise ImageError(f"package {source['package']!r}: there is no such folder in it. Correct the name.")
    files = sorted(folder / name for name in source["files"])
    for file in files:
        if not file.is_file():
            there = [name.name for name in folder.iterdir() if name.suffix.lower() in SUFFIXES]
            raise ImageError(
                f"package {source['package']!r} has no file {file.name!r}.{did_you_mean(file.name, there)}"
            )
    return files


def _on_disk(path: str) -> list[Path]:
    folder = Path(path).expanduser()
    if folder.is_dir():
        found = list(folder.iterdir())
    elif folder.is_file():
        found = [folder]
    else:
        found = [Path(name) for name in glob(str(folder), recursive=True)]
    files = sorted((f.absolute() for f in found if f.suffix.lower() in SUFFIXES), key=lambda f: f.name)
    if not files:
        exists = "holds no images" if folder.exists() else "no such folder, and no files match it"
        raise ImageError(
            f"{path}: {exists}. Put images there ({', '.join(sorted(SUFFIXES))}), or set the data set's "
            "`path` in the configuration to the folder that has them."
        )
    return files


def _first_duplicate(names: Sequence[str]) -> str | None:
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), None)  # type: ignore[func-returns-value]


def index(source: dict, progress: Callable[[list[Path]], Iterable[Path]] = iter) -> list[IndexedImage]:
    """Read every image of a data set once, and say what it is.

    Args:
        source: The data set's entry in the configuration; ``crop`` (width, height) takes the centre.
        progress: Wraps the list of files, for example in a progress bar.

    Raises:
        ImageError: an image is unreadable, or smaller than the crop.
    """
    return [_entry(file, source.get("crop")) for file in progress(find(source))]


def _entry(file: Path, crop: Sequence[int] | None) -> IndexedImage:
    height, width, _ = read(file).shape
    left = top = 0
    if crop:
        if width < crop[0] or height < crop[1]:
            raise ImageError(
                f"{file}: {width}x{height} is smaller than the crop of {crop[0]}x{crop[1]}. "
                "Choose a smaller `crop`, or leave the image out."
            )
        left, top = (width - crop[0]) // 2, (height - crop[1]) // 2
        width, height = crop
    return IndexedImage(file.stem, str(file), sha256(file), left, top, width, height)


def write_index(images: Sequence[IndexedImage], path: str | Path) -> None:
    """Write an index as CSV, all or nothing."""
    with replacing(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(INDEX_COLUMNS)
        writer.writerows([getattr(image, column) for column in INDEX_COLUMNS] for image in images)


def read_index(path: str | Path) -> list[IndexedImage]:
    """The images of an index, in its order."""
    with open(path, newline="") as file:
        return [
            IndexedImage(
                row["name"],
                row["path"],
                row["sha256"],
                int(row["left"]),
                int(row["top"]),
                int(row["width"]),
                int(row["height"]),
            )
            for row in csv.DictReader(file)
        ]
