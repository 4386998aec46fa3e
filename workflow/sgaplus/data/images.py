"""Photographs: finding, reading, cropping, padding.

A data set is an index, a CSV file with one row per image (:data:`INDEX_COLUMNS`). Refinement and
training read indexes and need not know where the images came from.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import io
import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from glob import glob
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps

from sgaplus.errors import ImageError, did_you_mean
from sgaplus.files import replacing, sha256

logger = logging.getLogger(__name__)

FORMATS = {
    "PNG": {".png"},
    "JPEG": {".jpg", ".jpeg"},  # and what phones make of two, MPO
    "WEBP": {".webp"},
    "TIFF": {".tif", ".tiff"},
    "BMP": {".bmp"},
    "PPM": {".ppm"},
}
"""Formats that are read, by Pillow's names, and suffixes of their files. Content decides, not the suffix."""

SUFFIXES = set().union(*FORMATS.values())
INDEX_COLUMNS = ("name", "path", "sha256", "left", "top", "width", "height", "offset", "length")
SOURCES = ("path", "package", "manifest", "parts")
"""Keys of a data set's entry that say where its images come from; what stands first goes first."""

MAX_PIXELS = 400_000_000
"""Largest picture that is read; beyond it a small file can unpack into all the memory there is."""

Image.MAX_IMAGE_PIXELS = None  # Pillow's own, lower limit; MAX_PIXELS decides


@dataclass(frozen=True, slots=True)
class IndexedImage:
    """One image of a data set.

    Attributes:
        name: Unique in its data set; seeds the image's random stream.
        path: Absolute path of the file, of the image's own or of a shard that holds many.
        sha256: Hash of the image's bytes.
        left, top, width, height: The part of the picture that is used, in pixels.
        offset, length: Where the image's bytes lie in the file; both 0 for the whole file.
    """

    name: str
    path: str
    sha256: str
    left: int
    top: int
    width: int
    height: int
    offset: int = 0
    length: int = 0

    def read(self) -> np.ndarray:
        """The used part as uint8, shape (height, width, 3).

        Raises:
            ImageError: the file is missing, broken, or not the file that was indexed.
        """
        content = self.content()
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise ImageError(f"{self.label}: changed since the data set was indexed. Index it again.")
        right, bottom = self.left + self.width, self.top + self.height
        return decode(content, self.label)[self.top : bottom, self.left : right]

    def content(self) -> bytes:
        """The image's bytes, unchecked; raises an ImageError if there is no such file."""
        try:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                return file.read(self.length or -1)
        except (FileNotFoundError, IsADirectoryError):
            raise ImageError(f"{self.path}: no such file. Restore it, or index the data set again.") from None

    @property
    def label(self) -> str:
        """What errors call the image."""
        return f"{self.path} ({self.name})" if self.length else self.path


def read(path: str | Path) -> np.ndarray:
    """Any picture as 8-bit RGB: uint8, shape (H, W, 3).

    Grayscale and palette pictures become RGB, 16-bit ones are scaled to 8 bits, transparent ones
    are laid over white, and the camera's orientation is applied.

    Raises:
        ImageError: missing, unreadable, truncated, or larger than :data:`MAX_PIXELS`.
    """
    if not Path(path).is_file():
        raise ImageError(f"{path}: no such file. Restore it, or correct the path.")
    return _decode(path, path)


def decode(content: bytes, label: str | Path) -> np.ndarray:
    """As :func:`read`, of an image file's bytes; ``label`` is what errors call it."""
    return _decode(io.BytesIO(content), label)


def _decode(file: str | Path | BinaryIO, label: str | Path) -> np.ndarray:
    try:
        with Image.open(file, formats=tuple(FORMATS)) as picture:  # Pillow's others run Ghostscript, for one
            return _to_rgb(_upright(picture, label), label)
    except ImageError:
        raise
    except Exception as error:  # wrong bytes make decoders raise anything
        reason = _reason(error).replace(f" {file!r}", "")  # Pillow names an object in memory
        raise ImageError(
            f"{label}: not a readable image ({reason}). Replace the file or take it out of the data set; "
            f"{', '.join(FORMATS)} are read."
        ) from error


def _reason(error: Exception) -> str:
    """An error's text in one line; after its type, where it was not raised to be read."""
    text = " ".join(str(error).split())
    if text and isinstance(error, OSError | SyntaxError | ValueError):
        return text
    return f"{type(error).__name__}: {text}".removesuffix(": ")


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
        ImageError: nothing is there, not as many as ``count`` says, or two of one name.
    """
    files = _packaged(source) if "package" in source else _on_disk(source["path"])
    if "min_side" not in source:  # else it is known only when all are read
        _check_count(len(files), source)
    duplicate = first_duplicate([file.stem for file in files])
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


def first_duplicate(names: Sequence[str]) -> str | None:
    """The first name that is there twice, if any."""
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), None)  # type: ignore[func-returns-value]


def _check_count(found: int, source: Mapping[str, Any]) -> None:
    count = source.get("count")
    if count is not None and found != count:
        name = next(str(source[key]) for key in SOURCES if key in source)
        raise ImageError(
            f"{name}: {found} images, but the configuration says count: {count}. "
            "Complete the folder or correct the count."
        )


def index(source: dict, progress: Callable[[list[Path]], Iterable[Path]] = iter) -> list[IndexedImage]:
    """Read every image of a folder, a glob or a package once, and say what it is.

    Args:
        source: The data set's entry in the configuration.
        progress: Wraps the list of files, for example in a progress bar.

    Raises:
        ImageError: an image is unreadable, or smaller than the crop.
    """
    return select([entry(file) for file in progress(find(source))], source)


def entry(file: Path) -> IndexedImage:
    """An image file's line of an index; raises an ImageError if it can't be read."""
    height, width, _ = read(file).shape
    return IndexedImage(file.stem, str(file), sha256(file), 0, 0, width, height)


def select(found: Sequence[IndexedImage], source: Mapping[str, Any]) -> list[IndexedImage]:
    """What a data set's entry leaves of its images.

    Args:
        found: All of them.
        source: The entry: ``min_side`` (pixels) drops smaller ones, ``crop`` (width, height) takes the
            centre of the others, and ``count`` is how many must remain.

    Raises:
        ImageError: an image is smaller than the crop, or there are not as many as ``count`` says.
    """
    side = source.get("min_side", 0)
    large = [image for image in found if image.width >= side and image.height >= side]
    if len(large) < len(found):
        logger.info("%d images dropped: a side under %d pixels", len(found) - len(large), side)
    _check_count(len(large), source)
    return [_cropped(image, source["crop"]) for image in large] if "crop" in source else large


def _cropped(image: IndexedImage, crop: Sequence[int]) -> IndexedImage:
    width, height = crop
    if image.width < width or image.height < height:
        raise ImageError(
            f"{image.label}: {image.width}x{image.height} is smaller than the crop of {width}x{height}. "
            "Choose a smaller `crop`, or leave the image out."
        )
    left, top = image.left + (image.width - width) // 2, image.top + (image.height - height) // 2
    return replace(image, left=left, top=top, width=width, height=height)


def digest_of(images: Iterable[IndexedImage]) -> str:
    """A hash of what images are, in their order, wherever they lie."""
    digest = hashlib.sha256()
    for image in images:
        digest.update(f"{image.name}/{image.sha256}/{image.left},{image.top},{image.width},{image.height}\n".encode())
    return digest.hexdigest()


def write_index(images: Sequence[IndexedImage], path: str | Path) -> None:
    """Write an index as CSV, all or nothing."""
    with replacing(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(INDEX_COLUMNS)
        writer.writerows([getattr(image, column) for column in INDEX_COLUMNS] for image in images)


def read_index(path: str | Path) -> list[IndexedImage]:
    """The images of an index, in its order; a million take some seconds.

    Raises:
        ImageError: the file is no index.
    """
    with open(path, newline="") as file:
        rows = csv.reader(file)
        if tuple(next(rows, ())) != INDEX_COLUMNS:
            raise ImageError(f"{path}: not an index of images. Delete it, and run again to make it anew.")
        # many images of one file share its path
        return [
            IndexedImage(name, sys.intern(file_name), digest, *map(int, numbers))
            for name, file_name, digest, *numbers in rows
        ]
