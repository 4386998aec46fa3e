"""Downloading one file: resumed, retried, from mirrors in turn, and checked.

A download grows under the name ``<file>.part`` and is renamed to ``<file>`` only when its length and
hash are right; ``<file>.part.json`` remembers its address. Both survive an interruption, and the next
attempt asks for the missing bytes alone.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import random
import re
import shutil
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urljoin

import requests
from tqdm import tqdm
from urllib3.exceptions import HTTPError, ReadTimeoutError

from sgaplus import __version__
from sgaplus.data.remote import RemoteFile, require_secure, verify
from sgaplus.errors import DiskError, DownloadError, ManifestError, WrongFileError
from sgaplus.files import digest, replacing, room_for, size_text

logger = logging.getLogger(__name__)

BUFFER = 1 << 20
RETRIED = {408, 425, 429}
"""Statuses below 500 after which another attempt may succeed."""


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for.

    Attributes:
        connect: Seconds for a connection.
        silence: Seconds without a byte until a connection counts as dead.
        attempts: Attempts per address in a row without a new byte.
        pause: Seconds before the second attempt; doubled at each further one, less a random part.
        longest: Longest pause in seconds, also if the server asks for a longer one.
    """

    connect: float = 20
    silence: float = 60
    attempts: int = 5
    pause: float = 1
    longest: float = 60

    def before(self, attempt: int, asked: float) -> float:
        """Seconds to wait before the attempt after this one; ``asked`` is the server's own wish."""
        return min(max(self.pause * 2 ** (attempt - 1) * random.uniform(0.5, 1), asked), self.longest)


class _Interrupted(Exception):
    """An attempt that failed for a reason that may pass; ``pause`` is the server's wish in seconds."""

    def __init__(self, reason: str, pause: float = 0) -> None:
        super().__init__(reason)
        self.pause = pause


class _Refused(Exception):
    """An attempt that failed for a reason that stays: this address has not got the file."""


class _Changed(_Refused):
    """This address has a file of that name, and it is another one; ``if_changed`` as in a WrongFileError."""

    def __init__(self, wrong: str, if_changed: str = "correct config/datasets.csv") -> None:
        super().__init__(wrong)
        self.if_changed = if_changed


class _Session(requests.Session):
    """Follows redirections only to addresses that :func:`require_secure` allows."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """The next address of a redirection, if any."""
        target = super().get_redirect_target(resp)
        if target:
            require_secure(urljoin(resp.url, target))
        return target


def fetch(wanted: RemoteFile, path: str | Path, patience: Patience | None = None) -> None:
    """Download a file to ``path`` unless it is there.

    A file that is there is verified and kept; the network is not touched then.

    Raises:
        DownloadError: no address gave the file, or there is none; the message says each answer.
        WrongFileError: the file that is already there is not the right one.
        DiskError: the disk is full.
    """
    path = Path(path)
    if path.is_file():
        verify(wanted, path)
        logger.info("%s: already there, and right", path)
        return
    if not wanted.urls:
        raise DownloadError(f"{path}: {wanted.name} can't be downloaded by a program. Register at {wanted.page}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(path), _Session() as session:
        failures = []
        for url in wanted.urls:
            failure = _fetch_from(session, url, wanted, path, patience or Patience())
            if failure is None:
                return
            failures.append((url, failure))
    answers = "; ".join(f"{url}: {failure}" for url, failure in failures)
    changes = [failure.if_changed for _, failure in failures if isinstance(failure, _Changed)]
    raise DownloadError(
        f"{path}: could not be downloaded ({answers}). Run again later, or get {wanted.name} by hand "
        f"({wanted.page}) and put it there."
        + "".join(f" If its publisher changed it, {change}." for change in changes[:1])
    )


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Keep two runs that share a data folder from writing one file."""
    with open(path.with_name(f".{path.name}.lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DownloadError(f"{path}: another process is downloading it. Wait for that to end.") from None
        except OSError:  # a file system without locks
            logger.info("%s: this file system has no locks; don't download into it from two runs at once", path.parent)
        try:
            yield
        finally:
            with suppress(FileNotFoundError):
                os.unlink(lock.name)


def fetch_weights(url: str, path: str | Path, sha256: str | None = None, patience: Patience | None = None) -> None:
    """Download the weights of a model to ``path`` unless they are there, as :func:`fetch` does.

    Where no hash is given, that of the first download is recorded and enforced from then on. Eight or more
    hex digits before the suffix of a file name, as in ``mbt2018-mean-1-e522738d.pth.tar``, must be the
    beginning of the hash, as in torch's own downloads.

    Raises:
        DownloadError, WrongFileError, DiskError: as :func:`fetch`.
    """
    path = Path(path)
    fetch(RemoteFile.at(url, sha256), path, patience)
    claimed = re.search(r"-([0-9a-f]{8,64})\.", path.name)
    found = digest(path, "sha256")
    if claimed and not found.startswith(claimed[1]):
        for wrong in (path, path.with_name(f"{path.name}.sha256")):
            wrong.unlink(missing_ok=True)
        raise WrongFileError(path, f"its name says sha256 {claimed[1]}..., found {found}", "correct the model's url")


def _fetch_from(
    session: requests.Session, url: str, wanted: RemoteFile, path: Path, patience: Patience
) -> Exception | None:
    """Try one address until the file is there or there is no hope; returns the reason then."""
    part = _part(path)
    most, attempt = _size(part), 0
    while True:
        try:
            _attempt(session, url, wanted, path, patience)
            return None
        except _Refused as error:
            logger.warning("%s: %s", url, error)
            return error
        except _Interrupted as error:
            # new bytes are a new start; the same ones over and over are not
            attempt = 1 if _size(part) > most else attempt + 1
            most = max(most, _size(part))
            if attempt >= patience.attempts:
                logger.warning("%s: %s; given up after %d attempts", url, error, attempt)
                return error
            pause = patience.before(attempt, error.pause)
            logger.warning("%s: %s; again in %.1f s", url, error, pause)
            time.sleep(pause)


def _attempt(session: requests.Session, url: str, wanted: RemoteFile, path: Path, patience: Patience) -> None:
    """Ask once for the missing bytes; put the file in place if they make it whole."""
    part = _part(path)
    if wanted.bytes is not None and _size(part) == wanted.bytes:  # stopped just before its check
        _put_in_place(wanted, part, path, resumed=True)
        return
    asked = _resuming(part, url, wanted)
    headers = {"Accept-Encoding": "identity", "User-Agent": f"sgaplus/{__version__}"} | asked
    timeout = (patience.connect, patience.silence)
    try:
        with session.get(url, headers=headers, timeout=timeout, stream=True) as response:
            resumed = _receive(response, wanted, part, url, resuming=bool(asked))
    except (requests.exceptions.Timeout, ReadTimeoutError):
        raise _Interrupted(f"no answer for {patience.silence:g} s") from None
    except HTTPError:
        raise _Interrupted(f"the connection broke after {_size(part):,} bytes") from None
    except requests.exceptions.ConnectionError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise _Refused(f"not who it says it is ({_cause(error)})") from None
        raise _Interrupted(f"no answer ({_cause(error)})") from None
    except (requests.exceptions.RequestException, ManifestError) as error:
        raise _Refused(str(error)) from None
    _put_in_place(wanted, part, path, resumed)


def _resuming(part: Path, url: str, wanted: RemoteFile) -> dict[str, str]:
    """The headers that ask for the rest of a part, if a rest that does not fit will be noticed.

    The server notices it if the part has a validator (If-Range), and the check of the whole file does if
    its hash is published.
    """
    size, source = _size(part), _read_source(part)
    if not size or (wanted.bytes is not None and size > wanted.bytes):
        _drop(part)
        return {}
    validator = source.get("validator") if source.get("url") == url else None
    if not validator and not wanted.hash:
        _drop(part)
        return {}
    return {"Range": f"bytes={size}-"} | ({"If-Range": validator} if validator else {})


def _receive(response: requests.Response, wanted: RemoteFile, part: Path, url: str, resuming: bool) -> bool:
    """Check the answer and append its body to the part; returns whether the part had a beginning."""
    _check_status(response, part)
    start = _size(part) if response.status_code == 206 and resuming else 0
    if response.status_code == 206:
        _check_range(response, start, part)
    length = response.headers.get("Content-Length", "")
    total = start + int(length) if length.isdigit() else wanted.bytes
    if wanted.bytes is not None and total != wanted.bytes:
        raise _Changed(f"expected {wanted.bytes:,} bytes, offered {total:,}")
    _check_room(part, (total or 0) - start)
    if not start:
        _write_source(part, url, response)
    with room_for(part), open(part, "ab" if start else "wb") as file:
        _copy(response, file, wanted.name, start, total)
    if total is not None and _size(part) < total:
        raise _Interrupted(f"the connection broke after {_size(part):,} of {total:,} bytes")
    return start > 0


def _check_status(response: requests.Response, part: Path) -> None:
    status = response.status_code
    if status == 416:  # the part is no beginning of the file at this address
        _drop(part)
        raise _Interrupted("status 416 (no such range)")
    if status in RETRIED or status >= 500:
        wait = response.headers.get("Retry-After", "")
        raise _Interrupted(f"status {status} {response.reason}", float(wait) if wait.isdigit() else 0)
    if status not in (200, 206):
        raise _Refused(f"status {status} {response.reason}")
    if response.headers.get("Content-Type", "").split(";")[0].strip().lower() in ("text/html", "application/xhtml+xml"):
        raise _Refused("a web page instead of the file")


def _check_range(response: requests.Response, start: int, part: Path) -> None:
    """A partial answer must begin where the part ends."""
    said = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if not said or int(said[1]) != start:
        _drop(part)
        raise _Interrupted("a part of the file that was not asked for")


def _check_room(part: Path, missing: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if missing > free:
        raise DiskError(
            f"{part}: {size_text(missing)} are still to come and this disk has room for {size_text(free)}. Free some, "
            "or set `data_folder` in the configuration to a folder on a larger one."
        )


def _copy(response: requests.Response, file: BinaryIO, name: str, start: int, total: int | None) -> None:
    """Write bytes as soon as they arrive, so that a broken connection loses none of them."""
    interval = 0.5 if sys.stderr.isatty() else 30
    with tqdm(desc=name, initial=start, total=total, unit="B", unit_scale=True, mininterval=interval) as bar:
        while content := response.raw.read1(BUFFER, decode_content=False):
            file.write(content)
            bar.update(len(content))
            if total is not None and bar.n > total:
                raise _Changed(f"expected {total:,} bytes, sent more")
        file.flush()
        os.fsync(file.fileno())


def _put_in_place(wanted: RemoteFile, part: Path, path: Path, resumed: bool) -> None:
    """Rename a whole and right part; drop a wrong one."""
    try:
        if wanted.name.endswith(".zip") and not zipfile.is_zipfile(part):  # before its hash is trusted
            raise WrongFileError(path, "not a zip file")
        verify(wanted, path, part)
    except WrongFileError as error:
        _drop(part)
        if resumed:  # perhaps two halves of different files
            raise _Interrupted(f"{error.wrong}, after resuming; from the beginning") from None
        raise _Changed(error.wrong, error.if_changed) from None
    os.replace(part, path)
    _source(part).unlink(missing_ok=True)


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _source(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _drop(part: Path) -> None:
    part.unlink(missing_ok=True)
    _source(part).unlink(missing_ok=True)


def _write_source(part: Path, url: str, response: requests.Response) -> None:
    """Remember the address of a part, and the tag or date that identifies the file there."""
    tag = response.headers.get("ETag", "")
    strong = tag if tag and not tag.startswith("W/") else ""  # a weak one allows other bytes
    with replacing(_source(part)) as temporary:
        temporary.write_text(json.dumps({"url": url, "validator": strong or response.headers.get("Last-Modified")}))


def _read_source(part: Path) -> dict[str, Any]:
    try:
        return json.loads(_source(part).read_text())
    except (OSError, ValueError):
        return {}


def _cause(error: BaseException) -> str:
    """The innermost reason of a chain of errors, without object addresses."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return str(error) or type(error).__name__
