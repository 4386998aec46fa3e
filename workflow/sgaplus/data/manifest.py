"""The manifest: one row per file of published data sets (config/datasets.csv).

Columns:

    dataset, split     its data set and split; an archive is unpacked into the folder <dataset>/<split>
    file               its name: an image, a zip of images, or a tar of images or of tars of images
    url, mirrors       its addresses (mirrors with spaces between); no url where one must register
    bytes              its length; empty where it is not published
    hash_kind, hash    its hash in hex; empty where it is not published (trusted on first use then)
    members            the folder within the archive whose images are taken; empty for all
    images, size       number of its images, and WIDTHxHEIGHT where all have the same size; empty if not known
    page               address of the page on which a person reads about it, or registers
    licence, use       its terms of use, and its use in the paper
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sgaplus.data.remote import RemoteFile, require_secure
from sgaplus.errors import ManifestError, did_you_mean
from sgaplus.paths import shipped

MANIFEST = shipped("config/datasets.csv")
COLUMNS = (
    *("dataset", "split", "file", "url", "mirrors", "bytes", "hash_kind", "hash"),
    *("members", "images", "size", "page", "licence", "use"),
)
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
IMAGE_SUFFIXES = (".png",)
HASHES = ("sha256", "sha512", "sha1", "md5")


@dataclass(frozen=True)
class Row:
    """One file of the manifest, with the columns that the module lists."""

    dataset: str
    split: str
    file: str
    url: str
    mirrors: tuple[str, ...]
    bytes: int | None
    hash_kind: str
    hash: str
    members: str
    images: int | None
    size: tuple[int, int] | None
    page: str
    licence: str
    use: str

    @property
    def key(self) -> str:
        """The file's place in the data folder."""
        return f"{self.dataset}/{self.file}"

    @property
    def folder(self) -> str:
        """The place in the data folder of an archive's images."""
        return f"{self.dataset}/{self.split}"

    @property
    def kind(self) -> str:
        """The kind of the file: image, zip or tar."""
        suffix = PurePosixPath(self.file).suffix
        return "image" if suffix in IMAGE_SUFFIXES else suffix[1:]

    @property
    def is_archive(self) -> bool:
        """Whether the file holds images: a zip is unpacked into its folder, a tar packed into shards there."""
        return self.kind != "image"

    @property
    def images_at(self) -> str:
        """The place in the data folder from which images are read: the file, a zip's folder, an index of shards."""
        return {"image": self.key, "zip": self.folder, "tar": f"{self.folder}.csv"}[self.kind]

    @property
    def places(self) -> tuple[str, ...]:
        """All places in the data folder that the row fills: its file, and the folder of an archive."""
        return (self.key, self.folder) if self.is_archive else (self.key,)

    @property
    def urls(self) -> tuple[str, ...]:
        """Its addresses, in the order to try; none where one must register."""
        return (self.url, *self.mirrors) if self.url else ()

    @property
    def remote(self) -> RemoteFile:
        """The row as a file to download and to verify."""
        return RemoteFile(self.file, self.urls, self.page, self.bytes, self.hash_kind, self.hash)


def read(path: str | Path | None = None) -> list[Row]:
    """All rows of a manifest, checked.

    Args:
        path: The manifest; the project's own if absent.

    Raises:
        ManifestError: one line that names the row, the column, the mistake and the remedy.
    """
    path = Path(path or MANIFEST)
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, strict=True)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise ManifestError(f"{path}: row 1: the columns must be {','.join(COLUMNS)}.")
            rows = [_row(cells, f"{path}: row {number}") for number, cells in enumerate(reader, start=2)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(f"{path}: can't be read as CSV ({error}). Restore the file.") from error
    _check_unique(rows, path)
    return rows


def select(rows: Iterable[Row], dataset: str, splits: Iterable[str] | None = None) -> list[Row]:
    """The rows of a data set, or of some of its splits, in the manifest's order."""
    wanted = None if splits is None else set(splits)
    return [row for row in rows if row.dataset == dataset and (wanted is None or row.split in wanted)]


def filling(rows: Iterable[Row], place: str) -> Row:
    """The one row that fills a place in the data folder, a file or an archive's folder."""
    (row,) = [row for row in rows if place in row.places]
    return row


def _row(cells: dict[str, str], where: str) -> Row:
    if None in cells or None in cells.values():
        raise ManifestError(f"{where}: has another number of columns than the {len(COLUMNS)} of the first row.")
    for column in ("dataset", "split", "file"):
        _require(
            re.fullmatch(NAME, cells[column]), where, column, cells[column], "a name of letters, digits, '.', '_', '-'"
        )
    suffix = PurePosixPath(cells["file"]).suffix
    _require(suffix in (*IMAGE_SUFFIXES, ".zip", ".tar"), where, "file", cells["file"], "a .png, .zip or .tar file")
    for column in ("page", "licence", "use"):
        _require(cells[column].strip(), where, column, cells[column], "said")
    _require(not cells["mirrors"] or cells["url"], where, "url", "", "said where there are mirrors")
    size = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", cells["size"])
    _require(size or not cells["size"], where, "size", cells["size"], "WIDTHxHEIGHT in pixels, or empty")
    _check_hash(cells, where)
    return Row(
        **{key: cells[key] for key in ("dataset", "split", "file", "url", "hash_kind", "hash")},
        **{key: cells[key] for key in ("members", "page", "licence", "use")},
        mirrors=_addresses(cells, where),
        bytes=_count(cells, "bytes", where),
        images=_count(cells, "images", where),
        size=(int(size[1]), int(size[2])) if size else None,
    )


def _require(right: object, where: str, column: str, value: str, wanted: str) -> None:
    if not right:
        raise ManifestError(f"{where}: {column}: {value!r} must be {wanted}.")


def _addresses(cells: dict[str, str], where: str) -> tuple[str, ...]:
    """The mirrors, after the check of all addresses."""
    for column in ("url", "mirrors", "page"):
        for url in cells[column].split():
            try:
                require_secure(url)
            except ManifestError as error:
                raise ManifestError(f"{where}: {column}: {error}") from None
    return tuple(cells["mirrors"].split())


def _count(cells: dict[str, str], column: str, where: str) -> int | None:
    value = cells[column]
    _require(not value or re.fullmatch(r"[1-9]\d*", value), where, column, value, "a whole number above 0, or empty")
    return int(value) if value else None


def _check_hash(cells: dict[str, str], where: str) -> None:
    kind, value = cells["hash_kind"], cells["hash"]
    if not kind and not value:
        return
    if kind not in HASHES:
        raise ManifestError(f"{where}: hash_kind: no hash is called {kind!r}.{did_you_mean(kind, HASHES)}")
    digits = 2 * hashlib.new(kind, usedforsecurity=False).digest_size
    _require(re.fullmatch(rf"[0-9a-f]{{{digits}}}", value), where, "hash", value, f"{digits} lower-case hex digits")


def _check_unique(rows: list[Row], path: Path) -> None:
    """No two rows fill one place in the data folder."""
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=2):
        for column, place in zip(("file", "split"), row.places, strict=False):
            if place in seen:
                raise ManifestError(
                    f"{path}: row {number}: {column}: {place} is also what row {seen[place]} makes. Rename one."
                )
            seen[place] = number
