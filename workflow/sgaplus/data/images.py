"""Finding the images of a data set, and choosing among them."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from glob import glob
from pathlib import Path
from typing import Any

from sgaplus.data.index import IndexedImage, first_duplicate, of_file
from sgaplus.data.pictures import SUFFIXES
from sgaplus.errors import ImageError, did_you_mean

logger = logging.getLogger(__name__)

SOURCES = ("path", "package", "manifest", "parts")
"""Keys of a data set's entry that say where its images come from; what stands first goes first."""


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
    return select([of_file(file) for file in progress(find(source))], source)


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
