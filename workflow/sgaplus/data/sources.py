"""The sources of images that a data set may have: a class for each kind.

A source knows how many images it has, from which files its index is made, and the index itself. For a
further kind, write a class here and make it in :func:`make`.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from glob import glob
from pathlib import Path
from typing import Any

from sgaplus.data import manifest
from sgaplus.data.formats import SUFFIXES
from sgaplus.data.index import IndexedImage, first_duplicate, name_of, of_file, read_index
from sgaplus.data.manifest import Row
from sgaplus.data.remote import verify
from sgaplus.errors import ImageError, UnknownImagesError, did_you_mean
from sgaplus.files import shorten

logger = logging.getLogger(__name__)

Progress = Callable[[list[Path]], Iterable[Path]]

KINDS = ("path", "package", "manifest", "parts")
"""Keys of an entry of the configuration that name a source; :func:`make` says what two of them mean."""


def make(entry: Mapping[str, Any], rows: Iterable[Row] = ()) -> Source:
    """The source that a data set's entry in the configuration describes.

    A ``path`` is laid over ``manifest``, as one's own copy of a published data set, or over ``parts``.

    Args:
        entry: The entry, of a checked configuration.
        rows: The rows of the manifest.
    """
    shared = {key: entry[key] for key in ("min_side", "count") if key in entry}
    shared |= {key: tuple(entry[key]) for key in ("crop", "images") if key in entry}
    match entry:
        case {"path": path, "manifest": dataset}:
            return OwnCopy(dataset, _selected(rows, entry), path, archive=entry.get("archive"), **shared)
        case {"path": path}:
            return Folder(path, **shared)
        case {"package": package, "files": names}:
            return Package(package, tuple(names), **shared)
        case {"manifest": dataset}:
            return Published(dataset, _selected(rows, entry), archive=entry.get("archive"), **shared)
        case {"parts": parts}:
            return Union(tuple(parts), **shared)
    raise ValueError(f"no source: {dict(entry)}")


def _selected(rows: Iterable[Row], entry: Mapping[str, Any]) -> tuple[Row, ...]:
    return tuple(manifest.select(rows, entry["manifest"], entry.get("splits")))


@dataclass(frozen=True, kw_only=True)
class Source(ABC):
    """A source of images, and which part of them a data set takes.

    Attributes:
        images: Names of the images that are taken; () for all.
        min_side: Images with a side of fewer pixels are left out.
        crop: Width and height in pixels of the centre that is taken of an image; the whole image if None.
        count: Number of images that must remain; any if None.
    """

    images: tuple[str, ...] = ()
    min_side: int = 0
    crop: tuple[int, int] | None = None
    count: int | None = None

    @property
    @abstractmethod
    def label(self) -> str:
        """The name of the source in errors."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the data sets whose indexes are read for this one's."""
        return ()

    @abstractmethod
    def inputs(self, folder: Path) -> list[Path]:
        """The files and folders that the index is made from, there or not.

        Args:
            folder: The data folder.

        Raises:
            ImageError: a folder or a package without images.
        """

    def known_names(self, folder: Path, names_of: Callable[[str], set[str] | None]) -> set[str] | None:
        """The names of the images, also of those under :attr:`min_side`, if they can be told before they are read.

        Args:
            folder: The data folder.
            names_of: Gives those of a data set that this one needs.

        Raises:
            ImageError: one of :attr:`images` is not there, or as :meth:`inputs`.
        """
        names = self._names_of_all(folder, names_of)
        if names is None or not self.images:
            return names
        self._check_named(names)
        return set(self.images)

    def check_count(self, count_of: Callable[[str], int]) -> None:
        """Compare :attr:`count` with the number of images, if that can be told before they are read.

        Raises:
            ImageError: there are more or less, or as :meth:`known_count`.
        """
        if self.count is not None and not self.min_side:
            found = len(self.images) or self._count_of_all(count_of)
            self._check_count(self.count if found is None else found)

    def known_count(self, count_of: Callable[[str], int]) -> int | None:
        """The number of images, if it can be told before they are read.

        Args:
            count_of: Gives the number of images of a data set that this one needs.

        Raises:
            ImageError: as :meth:`inputs`.
        """
        if self.count is not None:
            return self.count
        return len(self.images) or self._count_of_all(count_of) if not self.min_side else None

    def index(
        self, folder: Path = Path(), indexes: Mapping[str, str | Path] | None = None, progress: Progress = iter
    ) -> list[IndexedImage]:
        """The images of the data set, verified.

        Args:
            folder: The data folder, in which published data sets lie.
            indexes: Index files of the data sets that this one needs, by name.
            progress: Wraps the list of files, for example in a progress bar.

        Raises:
            ImageError: an image is missing, unreadable, or of another size than it must be.
            WrongFileError: a file is not the file that the manifest describes.
        """
        return self.select(self._all(folder, indexes or {}, progress))

    def select(self, found: Sequence[IndexedImage]) -> list[IndexedImage]:
        """The images that the data set takes, cropped.

        Args:
            found: All images of the source.

        Raises:
            ImageError: one of :attr:`images` is not there, one is smaller than the crop, or not :attr:`count` remain.
        """
        if self.images:
            self._check_named({image.name for image in found})
            found = [image for image in found if image.name in self.images]
        large = [image for image in found if min(image.width, image.height) >= self.min_side]
        if len(large) < len(found):
            logger.info("%d images dropped: a side under %d pixels", len(found) - len(large), self.min_side)
        self._check_count(len(large))
        return [_cropped(image, self.crop) for image in large] if self.crop else large

    def unregistered(self, folder: Path) -> list[Row]:
        """The files of the manifest that only registered users get and whose images are not in the data folder."""
        return []

    def _names_of_all(self, folder: Path, names_of: Callable[[str], set[str] | None]) -> set[str] | None:
        """The names of all images of the source, if they can be told before they are read."""
        return None

    @abstractmethod
    def _count_of_all(self, count_of: Callable[[str], int]) -> int | None:
        """The number of images of all sizes, if it can be told before they are read."""

    @abstractmethod
    def _all(self, folder: Path, indexes: Mapping[str, str | Path], progress: Progress) -> list[IndexedImage]:
        """All images, verified and whole."""

    def _check_named(self, names: set[str]) -> None:
        for name in self.images:
            if name not in names:
                raise ImageError(f"{self.label}: no image {name!r}.{shorten(did_you_mean(name, names), 300)}")

    def _check_count(self, found: int) -> None:
        if self.count is not None and found != self.count:
            raise ImageError(
                f"{self.label}: {found} images, but the configuration says count: {self.count}. "
                "Complete the folder or correct the count."
            )


class Files(Source):
    """Image files that are there and can be listed: the base of :class:`Folder` and :class:`Package`."""

    def files(self) -> list[Path]:
        """The files, sorted by name.

        Raises:
            ImageError: there are none, not :attr:`count` of them, or two of one name.
        """
        files = self._listed()
        if not (self.min_side or self.images):  # else the number is known only when all are read
            self._check_count(len(files))
        duplicate = first_duplicate([file.stem for file in files])
        if duplicate:
            raise ImageError(
                f"{self.label}: two images are called {duplicate!r}. "
                "Names identify images in the results, so rename one."
            )
        return files

    @abstractmethod
    def _listed(self) -> list[Path]:
        """The files, unchecked."""

    def inputs(self, folder: Path) -> list[Path]:
        return self.files()

    def _names_of_all(self, folder: Path, names_of: Callable[[str], set[str] | None]) -> set[str] | None:
        return {name_of(file) for file in self.files()}

    def _count_of_all(self, count_of: Callable[[str], int]) -> int:
        return len(self.files())

    def _all(self, folder: Path, indexes: Mapping[str, str | Path], progress: Progress) -> list[IndexedImage]:
        return [of_file(file) for file in progress(self.files())]


@dataclass(frozen=True)
class Folder(Files):
    """Image files on disk.

    Attributes:
        path: A folder, an image, or a glob such as ``photos/**/*.png``; ``~`` is the home folder.
    """

    path: str

    @property
    def label(self) -> str:
        return self.path

    def _listed(self) -> list[Path]:
        folder = Path(os.path.expanduser(self.path))
        if os.path.isdir(folder):  # a name that no file may have is no folder
            found = list(folder.iterdir())
        elif os.path.isfile(folder):
            found = [folder]
        else:
            found = [Path(name) for name in glob(str(folder), recursive=True)]
        files = sorted((f.absolute() for f in found if f.suffix.lower() in SUFFIXES), key=lambda f: f.name)
        if not files:
            exists = "holds no images" if os.path.exists(folder) else "no such folder, and no files match it"
            raise UnknownImagesError(
                f"{self.path}: {exists}. Put images there ({', '.join(sorted(SUFFIXES))}), or set the data set's "
                "`path` in the configuration to the folder that has them."
            )
        return files


@dataclass(frozen=True)
class Package(Files):
    """Image files that ship inside an installed Python package.

    Where a run is planned, the package may be missing that the jobs' environment has.

    Attributes:
        package: A package, or a folder in one, such as ``skimage.data``.
        names: File names there.
    """

    package: str
    names: tuple[str, ...]

    @property
    def label(self) -> str:
        return self.package

    def known_names(self, folder: Path, names_of: Callable[[str], set[str] | None]) -> set[str] | None:
        if self._folder() is None:
            return {name_of(Path(name)) for name in self.names}
        return super().known_names(folder, names_of)

    def _count_of_all(self, count_of: Callable[[str], int]) -> int:
        return len(self.names) if self._folder() is None else super()._count_of_all(count_of)

    def _folder(self) -> Path | None:
        """The folder of the files; None if the package is not installed."""
        top, *below = self.package.split(".")
        spec = importlib.util.find_spec(top)
        if spec is None or not spec.submodule_search_locations:
            return None
        return Path(spec.submodule_search_locations[0]).joinpath(*below)

    def _listed(self) -> list[Path]:
        folder = self._folder()
        if folder is None:
            raise ImageError(f"package {self.package!r} is not installed. Run `make install`.")
        if not folder.is_dir():
            raise ImageError(f"package {self.package!r}: there is no such folder in it. Correct the name.")
        files = sorted(folder / name for name in self.names)
        for file in files:
            if not os.path.isfile(file):
                there = [name.name for name in folder.iterdir() if name.suffix.lower() in SUFFIXES]
                raise ImageError(f"package {self.package!r} has no file {file.name!r}.{did_you_mean(file.name, there)}")
        return files


@dataclass(frozen=True)
class Published(Source):
    """Files of the manifest, which lie in the data folder.

    Attributes:
        dataset: Name of the data set in the manifest.
        rows: Its rows, of all splits or of some.
        archive: The user's own copy of a file that only registered users may download, if it is elsewhere.
    """

    dataset: str
    rows: tuple[Row, ...]
    archive: str | None = field(default=None, kw_only=True)

    @property
    def label(self) -> str:
        return self.dataset

    @property
    def taken(self) -> tuple[Row, ...]:
        """The rows without those of single images that are not among :attr:`images`."""
        if not self.images:
            return self.rows
        return tuple(row for row in self.rows if row.is_archive or name_of(Path(row.file)) in self.images)

    def inputs(self, folder: Path) -> list[Path]:
        return [folder / row.images_at for row in self.taken]

    def _names_of_all(self, folder: Path, names_of: Callable[[str], set[str] | None]) -> set[str] | None:
        several = sum(row.is_archive for row in self.rows) > 1
        names: set[str] = set()
        for row in self.rows:
            place = folder / row.images_at
            if row.kind == "tar" or (row.kind == "zip" and not place.is_dir()):
                return None
            files = Folder(str(place)).files() if row.kind == "zip" else [Path(row.file)]
            names |= {f"{row.split}:{name_of(file)}" if several and row.is_archive else name_of(file) for file in files}
        return names

    def unregistered(self, folder: Path) -> list[Row]:
        return [row for row in self.taken if not row.urls and not (folder / row.images_at).exists()]

    def _count_of_all(self, count_of: Callable[[str], int]) -> int | None:
        return _total(self.rows)

    def _all(self, folder: Path, indexes: Mapping[str, str | Path], progress: Progress) -> list[IndexedImage]:
        """All images; several archives are told apart by their splits."""
        files = {row: _files(row, folder) for row in self.taken}
        read = {file: of_file(file) for file in progress([file for found in files.values() for file in found])}
        singles: list[IndexedImage] = []
        archives: dict[str, list[IndexedImage]] = {}
        for row in self.taken:
            found = read_index(folder / row.images_at) if row.kind == "tar" else [read[file] for file in files[row]]
            _check_number(row, found, folder)
            _check_sizes([row], found)
            if row.is_archive:
                archives[row.split] = found
            else:
                singles += found
        if len(archives) > 1:
            return singles + _joined(archives)
        return singles + [image for found in archives.values() for image in found]


@dataclass(frozen=True)
class OwnCopy(Published):
    """A user's own copy of a published data set, verified by hashes, or by the number of images of unpacked archives.

    Attributes:
        path: As in :class:`Folder`.
    """

    path: str

    @property
    def label(self) -> str:
        return self.path

    @property
    def own(self) -> Folder:
        """The files of the copy."""
        return Folder(self.path, images=self.images, min_side=self.min_side, count=self.count)

    def inputs(self, folder: Path) -> list[Path]:
        return self.own.files()

    def _names_of_all(self, folder: Path, names_of: Callable[[str], set[str] | None]) -> set[str] | None:
        return {name_of(file) for file in self.own.files()}

    def unregistered(self, folder: Path) -> list[Row]:
        return []

    def _count_of_all(self, count_of: Callable[[str], int]) -> int:
        return len(self.own.files())

    def _all(self, folder: Path, indexes: Mapping[str, str | Path], progress: Progress) -> list[IndexedImage]:
        files = self.own.files()
        by_name = {file.name: file for file in files}
        for row in self.rows:
            if not row.is_archive:
                verify(row.remote, by_name.get(row.file, Path(self.path) / row.file))
        expected = _total(self.rows)
        if expected is not None and len(files) != expected:
            raise ImageError(
                f"{self.path}: {len(files)} images, but {self.dataset} has {expected}. "
                "Complete the folder, or name a data set of your own without `manifest`."
            )
        found = [of_file(file) for file in progress(files)]
        _check_sizes(self.rows, found)
        return found


@dataclass(frozen=True)
class Union(Source):
    """All images of other data sets.

    Attributes:
        parts: Names of the data sets.
    """

    parts: tuple[str, ...]

    @property
    def label(self) -> str:
        return str(list(self.parts))

    @property
    def needs(self) -> tuple[str, ...]:
        return self.parts

    def inputs(self, folder: Path) -> list[Path]:
        return []

    def _names_of_all(self, folder: Path, names_of: Callable[[str], set[str] | None]) -> set[str] | None:
        names: set[str] = set()
        for part in self.parts:
            of_part = names_of(part)
            if of_part is None:
                return None
            names |= {f"{part}:{name}" for name in of_part}
        return names

    def _count_of_all(self, count_of: Callable[[str], int]) -> int:
        return sum(count_of(part) for part in self.parts)

    def _all(self, folder: Path, indexes: Mapping[str, str | Path], progress: Progress) -> list[IndexedImage]:
        return _joined({part: read_index(indexes[part]) for part in self.parts})


def _joined(sets: Mapping[str, Sequence[IndexedImage]]) -> list[IndexedImage]:
    """All images of several sets, named after their set and themselves, so that names stay unique."""
    return [replace(image, name=f"{name}:{image.name}") for name, found in sets.items() for image in found]


def _cropped(image: IndexedImage, crop: tuple[int, int]) -> IndexedImage:
    """The centre of an image."""
    width, height = crop
    if image.width < width or image.height < height:
        raise ImageError(
            f"{image.label}: {image.width}x{image.height} is smaller than the crop of {width}x{height}. "
            "Choose a smaller `crop`, or leave the image out."
        )
    left, top = image.left + (image.width - width) // 2, image.top + (image.height - height) // 2
    return replace(image, left=left, top=top, width=width, height=height)


def _files(row: Row, folder: Path) -> list[Path]:
    """The image files of a row; none for a tar, whose images are in shards."""
    place = folder / row.images_at
    if not row.is_archive:
        verify(row.remote, place)
        return [place.absolute()]
    return Folder(str(place)).files() if row.kind == "zip" else []


def _total(rows: Iterable[Row]) -> int | None:
    """The number of images of all rows together; None if one of them does not say it."""
    numbers = [row.images for row in rows]
    return None if None in numbers else sum(filter(None, numbers))


def _check_number(row: Row, found: Sequence[IndexedImage], folder: Path) -> None:
    if row.images is not None and len(found) != row.images:
        raise ImageError(
            f"{folder / row.images_at}: {len(found)} images, but {row.file} holds {row.images}. Delete the folder to "
            "unpack it again."
        )


def _check_sizes(rows: Sequence[Row], found: Sequence[IndexedImage]) -> None:
    """Check the size of images where all images of these rows have the same."""
    sizes = {row.size for row in rows}
    if len(sizes) == 1 and None not in sizes:
        (size,) = sizes
        for image in found:
            if (image.width, image.height) != size:
                raise ImageError(
                    f"{image.label}: {image.width}x{image.height} pixels, but all images of {rows[0].dataset} have "
                    f"{rows[0].size[0]}x{rows[0].size[1]}. Replace the file."  # type: ignore[index]
                )
