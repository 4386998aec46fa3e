"""The data sets of a configuration: where their images come from.

An entry names images on disk (``path``), in a Python package (``package``), in files that others
publish (``manifest``), or in other data sets (``parts``). Published files and what is unpacked from
them lie in the data folder, ``<data folder>/<data set>/``. Whatever the source, the result is an
index (:mod:`sgaplus.data.images`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sgaplus.data import images, manifest
from sgaplus.data.index import IndexedImage, of_file, read_index
from sgaplus.data.manifest import Row
from sgaplus.data.remote import verify
from sgaplus.errors import ImageError

Progress = Callable[[list[Path]], Iterable[Path]]


def kind(source: Mapping[str, Any]) -> str:
    """Where an entry's images come from; ``path`` goes before what it is laid over."""
    return next(key for key in images.SOURCES if key in source)


def rows_of(source: Mapping[str, Any]) -> list[Row]:
    """The rows of the manifest that an entry names."""
    return manifest.select(manifest.read(), source["manifest"], source.get("splits"))


def count(datasets: Mapping[str, Any], name: str) -> int:
    """The number of images of a data set, known before they are there.

    Raises:
        ImageError: it is known neither from the configuration nor from the manifest nor from the disk.
    """
    source = datasets[name]
    if "count" in source:
        return source["count"]
    if kind(source) in ("path", "package") and "min_side" not in source:
        return len(images.find(source))
    if kind(source) == "parts" and "min_side" not in source:
        return sum(count(datasets, part) for part in source["parts"])
    known = [row.images for row in rows_of(source)] if kind(source) == "manifest" else [None]
    if "min_side" in source or None in known:
        raise ImageError(
            f"datasets.{name}: how many images there are is known only when all are read. "
            "Set its `count`, so that the refinement can be planned."
        )
    return sum(filter(None, known))


def inputs(source: Mapping[str, Any], folder: Path) -> list[Path]:
    """The files and folders that the index of a data set is made from, there or not.

    Raises:
        ImageError: a ``path`` or ``package`` without images.
    """
    if kind(source) in ("path", "package"):
        return images.find(dict(source))
    return [place(row, folder) for row in rows_of(source)] if kind(source) == "manifest" else []


def place(row: Row, folder: Path) -> Path:
    """Where the images of a row are: its own file, a folder, or the index of shards."""
    return folder / {"image": row.key, "zip": row.folder, "tar": f"{row.folder}.csv"}[row.kind]


def archive_of(datasets: Mapping[str, Any], row: Row, default: str | Path) -> Path:
    """The user's own copy of a file that has no address: an entry's ``archive``, or at ``default``.

    Raises:
        ImageError: it is not there; the message says how to get it.
    """
    owners = [name for name, source in datasets.items() if source.get("manifest") == row.dataset]
    given = [datasets[name]["archive"] for name in owners if "archive" in datasets[name]]
    path = Path(given[0]).expanduser() if given else Path(default)
    if not path.is_file():
        raise ImageError(
            f"{path}: no such file. {row.file} is given only to those who register: do so at {row.page}, download it, "
            f"and set datasets.{owners[0] if owners else row.dataset}.archive to its path. To go without it, take it "
            "out of the `parts` that name it."
        )
    return path


def index(
    source: Mapping[str, Any], folder: Path, parts: Mapping[str, str | Path], progress: Progress = iter
) -> list[IndexedImage]:
    """The images of a data set, verified.

    Args:
        source: The data set's entry in the configuration.
        folder: The data folder.
        parts: Index files of its ``parts`` by name.
        progress: Wraps the list of files, for example in a progress bar.

    Raises:
        ImageError: an image is missing, unreadable, or of another size than it must be.
        WrongFileError: a file is not the one that the manifest describes.
    """
    if kind(source) == "parts":
        return images.select(_union({name: read_index(path) for name, path in parts.items()}), source)
    if kind(source) == "manifest":
        return images.select(_published(rows_of(source), folder, progress), source)
    if "manifest" in source:
        _verify_own(source)
    found = images.index(dict(source), progress)
    if "manifest" in source:
        _check_sizes(rows_of(source), found)
    return found


def _union(parts: Mapping[str, Sequence[IndexedImage]]) -> list[IndexedImage]:
    """All images of several sets, named after their set and themselves, so that names stay unique."""
    return [replace(image, name=f"{part}:{image.name}") for part, found in parts.items() for image in found]


def _published(rows: Sequence[Row], folder: Path, progress: Progress) -> list[IndexedImage]:
    """The images of the manifest's rows, which lie in the data folder; several archives are named by their splits."""
    files = {row: _files(row, folder) for row in rows}
    read = {file: of_file(file) for file in progress([file for found in files.values() for file in found])}
    by_row = {row: [read[file] for file in files[row]] for row in rows}
    for row in rows:
        if row.kind == "tar":
            by_row[row] = read_index(place(row, folder))
        _check_count(row, by_row[row], folder)
        _check_sizes([row], by_row[row])
    archives = {row.split: found for row, found in by_row.items() if row.kind != "image"}
    singles = [image for row, found in by_row.items() if row.kind == "image" for image in found]
    return singles + (
        _union(archives) if len(archives) > 1 else [image for found in archives.values() for image in found]
    )


def _files(row: Row, folder: Path) -> list[Path]:
    """The image files of a row; none for shards, which have an index."""
    if row.kind == "image":
        verify(row.remote, folder / row.key)
        return [(folder / row.key).absolute()]
    return images.find({"path": str(place(row, folder))}) if row.kind == "zip" else []


def _check_count(row: Row, found: Sequence[IndexedImage], folder: Path) -> None:
    if row.images is not None and len(found) != row.images:
        raise ImageError(
            f"{place(row, folder)}: {len(found)} images, but {row.file} holds {row.images}. Delete the folder to "
            "unpack it again."
        )


def _verify_own(source: Mapping[str, Any]) -> None:
    """Check a user's copy of a published data set against the manifest: by hash, or by number where it was unpacked."""
    files = images.find(dict(source))
    rows = rows_of(source)
    by_name = {file.name: file for file in files}
    for row in rows:
        if row.kind == "image":
            verify(row.remote, by_name.get(row.file, Path(source["path"]) / row.file))
    expected = [row.images for row in rows]
    if None not in expected and len(files) != sum(filter(None, expected)):
        raise ImageError(
            f"{source['path']}: {len(files)} images, but {source['manifest']} has {sum(filter(None, expected))}. "
            "Complete the folder, or name a data set of your own without `manifest`."
        )


def _check_sizes(rows: Sequence[Row], found: Sequence[IndexedImage]) -> None:
    sizes = {row.size for row in rows}
    if len(sizes) == 1 and None not in sizes:
        (size,) = sizes
        for image in found:
            if (image.width, image.height) != size:
                raise ImageError(
                    f"{image.label}: {image.width}x{image.height} pixels, but all images of {rows[0].dataset} have "
                    f"{rows[0].size[0]}x{rows[0].size[1]}. Replace the file."  # type: ignore[index]
                )
