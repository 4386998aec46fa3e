"""ImageNet's tar of tars, packed into a few hundred shards.

ImageNet's training images come as one tar of a thousand tars of 1,300 JPEGs. It is read once, from
front to back, and its images are written into shards: uncompressed tar files of some hundred
megabytes, which file systems like better than 1.3 million small files. The index says in which
shard, and where in it, each image lies. Images keep the archive's order, class by class, because
to shuffle them would cost a second pass over the disk; training draws them at random by index.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import shutil
import tarfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, cast

from sgaplus.data.archives import BUFFER, reading, tar_members
from sgaplus.data.formats import SUFFIXES
from sgaplus.data.index import IndexedImage, first_duplicate, name_of, write_index
from sgaplus.data.pictures import decode
from sgaplus.data.remote import RemoteFile, verify_hash, verify_length
from sgaplus.errors import ImageError
from sgaplus.files import room_for

logger = logging.getLogger(__name__)

SHARD_BYTES = 500_000_000

Examined = tuple[str, bytes, IndexedImage | ImageError]
"""An image's file name, its bytes, and its line of the index or the reason why it can't be read."""


class _Watched(io.RawIOBase):
    """A file that is read once, and hashed and counted on the way."""

    def __init__(self, file: IO[bytes], hash_kind: str, progress: Callable[[int], Any]) -> None:
        self.file = file
        self.hash = hashlib.new(hash_kind, usedforsecurity=False)
        self.progress = progress

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        content = self.file.read(size)
        self.hash.update(content)
        self.progress(len(content))
        return content

    def finish(self) -> str:
        """The hash of the whole file in hex, after the rest of it is read."""
        while self.read(BUFFER):
            pass
        return self.hash.hexdigest()


def pack(
    archive: str | Path,
    published: RemoteFile,
    folder: str | Path,
    index: str | Path,
    threads: int = 1,
    shard_bytes: int = SHARD_BYTES,
    progress: Callable[[int], Any] = lambda count: None,
) -> list[IndexedImage]:
    """Pack the images of a tar, or of the tars in it, into shards, all or nothing.

    Images that can't be read are left out, with a warning for each.

    Args:
        archive: The tar file.
        published: The file that it must be: its length is checked before it is read, its hash after.
        folder: Folder for the shards; its former content is removed.
        index: CSV file for the index of all images.
        threads: Threads that decode.
        shard_bytes: A shard is closed when it is as large.
        progress: Told of every piece that is read, in bytes.

    Raises:
        WrongFileError: it is not the published file.
        ArchiveError: it is broken or unsafe.
        ImageError: two of its images have one name.
        DiskError: the disk is full.
    """
    archive, folder = Path(archive), Path(folder)
    verify_length(published, archive, archive.stat().st_size)
    temporary = folder.with_name(f".{folder.name}.packing")
    shutil.rmtree(temporary, ignore_errors=True)  # of an attempt that was killed
    temporary.mkdir(parents=True)
    try:
        with room_for(temporary):
            with open(archive, "rb") as file, reading(archive):
                watched = _Watched(file, published.hash_kind or "sha256", progress)
                examined = examine(images_of(cast("IO[bytes]", watched), archive), threads)
                with _Shards(temporary, shard_bytes) as shards:
                    packed = [shards.add(*one) for one in _readable(examined)]
                verify_hash(published, archive, watched.finish())
            _check_names(packed, archive)
            shutil.rmtree(folder, ignore_errors=True)
            os.rename(temporary, folder)
            packed = [replace(image, path=str(folder.absolute() / image.path)) for image in packed]
            write_index(packed, index)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return packed


def images_of(stream: IO[bytes], archive: str | Path, nested: bool = True) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every image of a tar and, if ``nested``, of every tar in it."""
    for member in tar_members(stream, archive):
        if member.path.suffix == ".tar" and nested:
            yield from images_of(member.content, f"{archive} ({member.path.name})", nested=False)
        elif member.path.suffix.lower() in SUFFIXES:
            yield member.path.name, member.content.read()


def examine(images: Iterable[tuple[str, bytes]], threads: int) -> Iterator[Examined]:
    """Decode images on several threads; they come out in their order, with their lines of the index."""
    waiting: deque[Future[Examined]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for name, content in images:
            waiting.append(pool.submit(_examine, name, content))
            if len(waiting) > 8 * threads:  # enough ahead to keep all busy, little enough for the memory
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _examine(name: str, content: bytes) -> Examined:
    try:
        height, width, _ = decode(content, name).shape
    except ImageError as error:
        return name, content, error
    digest = hashlib.sha256(content).hexdigest()
    return name, content, IndexedImage(name_of(Path(name)), "", digest, 0, 0, width, height, 0, len(content))


def _readable(examined: Iterable[Examined]) -> Iterator[tuple[str, bytes, IndexedImage]]:
    """The images that can be read; a warning for each of the others."""
    dropped = 0
    for name, content, outcome in examined:
        if isinstance(outcome, ImageError):
            logger.warning("dropped: %s", str(outcome).split(". Replace")[0])
            dropped += 1
        else:
            yield name, content, outcome
    if dropped:
        logger.warning("%d images dropped because they can't be read", dropped)


class _Shards:
    """Tar files in a folder, one after the other."""

    def __init__(self, folder: Path, shard_bytes: int) -> None:
        self.folder, self.shard_bytes = folder, shard_bytes
        self.number = 0
        self.tar = self._open()

    def _open(self) -> tarfile.TarFile:
        return tarfile.open(self.folder / f"shard{self.number:04}.tar", "w")

    def add(self, name: str, content: bytes, image: IndexedImage) -> IndexedImage:
        """Append an image; returns it with the shard's name and its place in it."""
        if self.tar.offset >= self.shard_bytes:
            self.tar.close()
            self.number += 1
            self.tar = self._open()
        info = tarfile.TarInfo(name)
        info.size = len(content)
        header = info.tobuf(self.tar.format, self.tar.encoding or "utf-8", self.tar.errors or "strict")
        offset = self.tar.offset + len(header)
        self.tar.addfile(info, io.BytesIO(content))
        return replace(image, path=Path(str(self.tar.name)).name, offset=offset)

    def __enter__(self) -> _Shards:
        return self

    def __exit__(self, *_: object) -> None:
        self.tar.close()


def _check_names(packed: list[IndexedImage], archive: Path) -> None:
    duplicate = first_duplicate([image.name for image in packed])
    if duplicate:
        raise ImageError(f"{archive}: two images are called {duplicate!r}. Names identify images, so rename one.")
