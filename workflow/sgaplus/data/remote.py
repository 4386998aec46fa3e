"""A file that is downloaded: its addresses, and the check that a copy is the published file."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from sgaplus.errors import ManifestError, MissingFileError, WrongFileError
from sgaplus.files import digest, replacing


@dataclass(frozen=True)
class RemoteFile:
    """A published file.

    Attributes:
        name: Its name.
        urls: Its addresses, in the order to try; none where one must register.
        page: Address of the page on which a person reads about it, or registers.
        bytes: Its length; None if it is not published.
        hash_kind, hash: Its hash in hex; empty if it is not published (the first copy is trusted then).
    """

    name: str
    urls: tuple[str, ...]
    page: str
    bytes: int | None = None
    hash_kind: str = ""
    hash: str = ""

    @classmethod
    def at(cls, url: str, sha256: str | None = None) -> RemoteFile:
        """The file at an address, called by the last part of it, of unknown length."""
        name = PurePosixPath(urlsplit(url).path).name
        return cls(name, (url,), url, hash_kind="sha256" if sha256 else "", hash=sha256 or "")


def verify(file: RemoteFile, path: str | Path, content: str | Path | None = None) -> None:
    """Check that a copy is the published file.

    Where no hash is published, the hash of the first copy is recorded beside it, in the format of
    sha256sum, and must stay the same from then on.

    Args:
        file: The published file.
        path: The place of the copy.
        content: The file that holds its bytes until they are checked; ``path`` itself if absent.

    Raises:
        MissingFileError: there is no copy.
        WrongFileError: it has another length or hash.
    """
    path, content = Path(path), Path(content or path)
    if not content.is_file():
        raise MissingFileError(f"{path}: no such file. Put {file.name} there; {file.page} has it.")
    verify_length(file, path, content.stat().st_size)
    verify_hash(file, path, digest(content, file.hash_kind or "sha256"))


def verify_length(file: RemoteFile, path: Path, found: int) -> None:
    """The first part of :func:`verify`, for a length in bytes; raises the same."""
    if file.bytes is not None and found != file.bytes:
        raise WrongFileError(path, f"expected {file.bytes:,} bytes, found {found:,}")


def verify_hash(file: RemoteFile, path: Path, found: str) -> None:
    """The second part of :func:`verify`, for a hash that is already computed; raises the same."""
    record = path.with_name(f"{path.name}.sha256")
    if file.hash:
        if found != file.hash:
            raise WrongFileError(path, f"expected {file.hash_kind} {file.hash}, found {found}")
    elif record.is_file():
        expected = record.read_text().split()[0]
        if found != expected:
            wrong = f"expected sha256 {expected}, as {record.name} recorded when it was first there, found {found}"
            raise WrongFileError(path, wrong, if_changed=f"delete {record.name} too")
    else:
        with replacing(record) as temporary:
            temporary.write_text(f"{found}  {path.name}\n")


def require_secure(url: str) -> None:
    """Refuse all but https, and http to this machine itself.

    Raises:
        ManifestError: the address is of another kind.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme != "http" or not _is_loopback(parts.hostname or ""):
        raise ManifestError(f"{url!r} is not an https address. Use https; http is for this machine's own servers.")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
