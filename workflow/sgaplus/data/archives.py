"""Reading untrusted archives: zip, tar, and tar of tars.

Nothing is extracted by the archive's own names, so tarfile's filters of extraction have no part in it. Links, devices
and sparse files are refused, and the number and sizes of members are held to :class:`Limits`. Files that start with a
dot and macOS's ``__MACOSX`` are passed over.
"""

from __future__ import annotations

import errno
import lzma
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from sgaplus.errors import ArchiveError
from sgaplus.files import room_for, shorten, size_text

BUFFER = 1 << 20
LONGEST_NAME = 255
"""Bytes of a file's name that the usual file systems allow."""

BROKEN = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError),
    *(ValueError, IndexError, OverflowError, struct.error),  # malformed headers
    RecursionError,  # a chain of headers
    MemoryError,  # a huge header
)
"""All that tarfile and zipfile raise at a broken archive, beside these errors of the system."""

BROKEN_ERRNO = (None, errno.EINVAL)
"""bz2 raises an OSError without a number; a place before the beginning of the file is an invalid argument."""


@dataclass(frozen=True)
class Limits:
    """Limits that an archive of photographs stays far below.

    Attributes:
        members: Files.
        member_bytes: Bytes of a file.
        total_bytes: Bytes of all files of a zip.
        ratio: Bytes of a file per byte that it takes in a zip; photographs are packed already.
    """

    members: int = 2_000_000
    member_bytes: int = 1_000_000_000
    total_bytes: int = 100_000_000_000
    ratio: int = 100


class Member(NamedTuple):
    """A file in an archive: its path there, its size in bytes as stated, its content to read once."""

    path: PurePosixPath
    size: int
    content: IO[bytes]


@contextmanager
def reading(archive: str | Path) -> Iterator[None]:
    """Tell a broken archive from other errors of the block, which reads its members.

    Raises:
        ArchiveError: the archive is missing or broken.
    """
    if not Path(archive).is_file():
        raise ArchiveError(f"{archive}: no such file. Get it from where its publisher has it.")
    try:
        yield
    except (*BROKEN, OSError) as error:
        if isinstance(error, OSError) and error.errno not in BROKEN_ERRNO:
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ArchiveError(f"{archive}: broken ({shorten(reason)}). {_UNTRUSTED}") from error


def safe_path(name: str, archive: str | Path) -> PurePosixPath:
    """A member's name as a path that stays below the folder it starts in.

    Raises:
        ArchiveError: it is absolute, has ``..``, or is not a path on all systems.
    """
    path = PurePosixPath(name)
    odd = "\\" in name or any(ord(sign) < 32 for sign in name) or name[1:2] == ":"
    if odd or not path.parts or path.is_absolute() or ".." in path.parts:
        raise ArchiveError(
            f"{archive}: the member {shorten(name)!r} would leave the archive's folder. {_UNTRUSTED}",
        )
    long = max(len(os.fsencode(part)) for part in path.parts) > LONGEST_NAME
    _require(not long, archive, f"the member {shorten(name, 100)!r} has a name of more than {LONGEST_NAME} bytes")
    return path


def unpack(
    archive: str | Path,
    folder: str | Path,
    suffixes: set[str],
    within: str = "",
    limits: Limits | None = None,
) -> int:
    """Unpack the images of a zip or tar file into one folder, all or nothing.

    Args:
        archive: The zip or tar file.
        folder: Where to; must not exist. Folders within the archive are not kept.
        suffixes: File name endings to take, lower case with their dot.
        within: Take only files in this folder of the archive; all files for "".
        limits: The largest numbers and sizes that the archive may have.

    Returns:
        The number of images.

    Raises:
        ArchiveError: broken, unsafe, beyond the limits, without images, or with two of one name.
        DiskError: the disk is full.
    """
    folder = Path(folder)
    temporary = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(temporary, ignore_errors=True)  # of an attempt that was killed
    temporary.mkdir(parents=True)
    try:
        with room_for(temporary), reading(archive):
            count = _unpack_flat(archive, temporary, suffixes, within, limits or Limits())
        os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return count


def _unpack_flat(archive: str | Path, folder: Path, suffixes: set[str], within: str, limits: Limits) -> int:
    count = 0
    for member in members(archive, limits):
        if member.path.suffix.lower() not in suffixes or f"/{within}/".replace("//", "/") not in f"/{member.path}":
            continue
        try:
            with open(folder / member.path.name, "xb") as file:
                shutil.copyfileobj(member.content, file, BUFFER)
        except FileExistsError:
            raise ArchiveError(f"{archive}: two images are called {member.path.name!r}. {_UNTRUSTED}") from None
        count += 1
    if not count:
        where = f" in a folder {within}" if within else ""
        raise ArchiveError(f"{archive}: holds no images ({', '.join(sorted(suffixes))}){where}. {_UNTRUSTED}")
    return count


def members(archive: str | Path, limits: Limits | None = None) -> Iterator[Member]:
    """The files of a zip or tar file, in its order; each must be read before the next is asked for.

    To be read in a ``with reading(archive)``.

    Raises:
        ArchiveError: unsafe, or beyond the limits.
    """
    if zipfile.is_zipfile(archive):
        yield from _zip_members(archive, limits or Limits())
    else:
        with open(archive, "rb") as file:
            yield from tar_members(file, archive, limits or Limits())


def tar_members(stream: IO[bytes], archive: str | Path, limits: Limits | None = None) -> Iterator[Member]:
    """As :func:`members`, of an uncompressed tar that is read from front to back."""
    limits = limits or Limits()
    with tarfile.open(fileobj=stream, mode="r|", bufsize=BUFFER) as tar:
        for number, info in enumerate(tar, start=1):
            _require(number <= limits.members, archive, f"more than {limits.members:,} members")
            path = safe_path(info.name, archive)
            if info.isdir():
                continue
            _require(info.isreg(), archive, f"the member {info.name!r} is a link or a device")
            _require(not info.issparse(), archive, f"the member {info.name!r} is sparse")
            _check_size(info.name, info.size, limits, archive)
            content = tar.extractfile(info)
            if _is_wanted(path) and content is not None:
                yield Member(path, info.size, content)
            tar.members.clear()  # type: ignore[attr-defined]  # tarfile remembers every member that it passed


def _zip_members(archive: str | Path, limits: Limits) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as content:
        infos = content.infolist()
        _require(len(infos) <= limits.members, archive, f"more than {limits.members:,} members")
        for info in infos:
            safe_path(info.orig_filename, archive)
            mode = stat.S_IFMT(info.external_attr >> 16)
            kind = stat.S_IFDIR if info.is_dir() else stat.S_IFREG
            _require(mode in (0, kind), archive, f"the member {info.filename!r} is a link or a device")
            _require(not info.flag_bits & 1, archive, f"the member {info.filename!r} is encrypted")
            _check_size(info.filename, info.file_size, limits, archive)
            _require(
                info.file_size <= max(limits.ratio * info.compress_size, BUFFER),
                archive,
                f"the member {info.filename!r} grows more than {limits.ratio} times when unpacked",
            )
        total = sum(info.file_size for info in infos)
        _require(total <= limits.total_bytes, archive, f"unpacks into more than {size_text(limits.total_bytes)}")
        for info in infos:
            path = PurePosixPath(info.filename)
            if not info.is_dir() and _is_wanted(path):
                with content.open(info) as file:
                    yield Member(path, info.file_size, file)


def _is_wanted(path: PurePosixPath) -> bool:
    return not any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def _check_size(name: str, size: int, limits: Limits, archive: str | Path) -> None:
    _require(
        size <= limits.member_bytes, archive, f"the member {name!r} has more than {size_text(limits.member_bytes)}"
    )


def _require(right: bool, archive: str | Path, wrong: str) -> None:
    if not right:
        raise ArchiveError(f"{archive}: {shorten(wrong)}. {_UNTRUSTED}")


_UNTRUSTED = "Delete it and get it again, from where its publisher has it."
