"""Indexes of images: a data set as a CSV file, with one row per image (:data:`INDEX_COLUMNS`).

Refinement and training read indexes and need not know where the images came from.
"""

from __future__ import annotations

import csv
import hashlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sgaplus.errors import ImageError
from sgaplus.files import ANY_NAME, replacing, sha256

if TYPE_CHECKING:
    import numpy as np

INDEX_COLUMNS = ("name", "path", "sha256", "left", "top", "width", "height", "offset", "length")


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
        from sgaplus.data.pictures import decode  # here, because a run is planned without numpy and Pillow

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
        """The name of the image in errors."""
        return f"{self.path} ({self.name})" if self.length else self.path


def of_file(file: Path) -> IndexedImage:
    """The image of a whole file, as an index describes it; raises an ImageError if it can't be read."""
    from sgaplus.data.pictures import read  # here, because a run is planned without numpy and Pillow

    height, width, _ = read(file).shape
    return IndexedImage(name_of(file), str(file), sha256(file), 0, 0, width, height)


def name_of(file: Path) -> str:
    """The name of a file's image: the file's own without suffix, with bytes that are no UTF-8 written as \\xe9."""
    return file.stem.encode(errors="surrogateescape").decode(errors="backslashreplace")


def first_duplicate(names: Sequence[str]) -> str | None:
    """The first name that is there twice, if any."""
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), None)  # type: ignore[func-returns-value]


def digest_of(images: Iterable[IndexedImage]) -> str:
    """A hash of the names, contents and used parts of images in their order, wherever their files lie."""
    digest = hashlib.sha256()
    for image in images:
        digest.update(f"{image.name}/{image.sha256}/{image.left},{image.top},{image.width},{image.height}\n".encode())
    return digest.hexdigest()


def write_index(images: Sequence[IndexedImage], path: str | Path) -> None:
    """Write an index as CSV, all or nothing."""
    with replacing(path) as temporary, open(temporary, "w", newline="", **ANY_NAME) as file:
        writer = csv.writer(file)
        writer.writerow(INDEX_COLUMNS)
        writer.writerows([getattr(image, column) for column in INDEX_COLUMNS] for image in images)


def read_chunk(path: str | Path, number: int, size: int) -> list[IndexedImage]:
    """The images of an index that are in a chunk, of those of ``size`` images that it is cut into; ``number`` from 0.

    Raises:
        ImageError: as :func:`read_index`.
    """
    return read_index(path)[number * size : (number + 1) * size]


def read_index(path: str | Path) -> list[IndexedImage]:
    """The images of an index, in its order; a million take some seconds.

    Raises:
        ImageError: the file is no index.
    """
    with open(path, newline="", **ANY_NAME) as file:
        rows = csv.reader(file)
        if tuple(next(rows, ())) != INDEX_COLUMNS:
            raise ImageError(f"{path}: not an index of images. Delete it, and run again to make it anew.")
        # many images of one file share its path
        return [
            IndexedImage(name, sys.intern(file_name), digest, *map(int, numbers))
            for name, file_name, digest, *numbers in rows
        ]
