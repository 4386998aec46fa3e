from __future__ import annotations

import hashlib
import io
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from sgaplus.data import downloads
from sgaplus.data.downloads import Patience, fetch
from sgaplus.errors import DiskError, DownloadError, WrongFileError
from tests.server import cut, etag, fail, hang, unsized, whole
from tests.unit.making import row_of

CONTENT = bytes(range(256)) * 4000  # about 1 MB
OTHER = CONTENT[::-1]
QUICK = Patience(connect=1, silence=0.2, attempts=3, pause=0.01, longest=0.05)


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    """No proxy, whatever the machine has."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


def row(*urls: str, content: bytes | None = CONTENT, name: str = "a.tar"):
    return replace(row_of(content, name).remote, urls=urls)


def refusal(*arguments, error=DownloadError) -> str:
    with pytest.raises(error) as caught:
        fetch(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def zipped(**files: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def test_a_file_is_downloaded_and_nothing_else_is_left(server, tmp_path):
    path = tmp_path / "set" / "a.tar"
    fetch(row(server.add("/a", CONTENT)), path)
    assert path.read_bytes() == CONTENT
    assert names(path.parent) == {"a.tar"}


def test_a_file_that_is_not_what_it_was_when_it_was_first_there_is_refused(server, tmp_path):
    """Nobody published its hash, so the first one counts, also after the file itself was deleted."""
    path, wanted = tmp_path / "a.zip", row(server.add("/a", zipped(a=b"old")), content=None, name="a.zip")
    fetch(wanted, path)
    path.unlink()
    server.add("/a", zipped(a=b"new"))
    message = refusal(wanted, path, QUICK)
    assert "as a.zip.sha256 recorded when it was first there, found" in message
    assert message.endswith("put it there. If its publisher changed it, delete a.zip.sha256 too.")
    assert names(tmp_path) == {"a.zip.sha256"}


def test_a_second_fetch_asks_nobody(server, tmp_path):
    wanted = row(server.add("/a", CONTENT))
    for _ in range(2):
        fetch(wanted, tmp_path / "a.tar")
    assert len(server.asked) == 1


def test_a_file_put_there_by_hand_is_verified_and_kept(server, tmp_path):
    path, wanted = tmp_path / "a.tar", row(server.add("/a", CONTENT))
    path.write_bytes(CONTENT)
    fetch(wanted, path)
    path.write_bytes(OTHER)
    assert "expected sha256" in refusal(wanted, path, error=WrongFileError)
    assert path.read_bytes() == OTHER  # a user's file is not ours to delete
    assert not server.asked


def test_a_cut_connection_is_resumed_where_it_broke(server, tmp_path):
    fetch(row(server.add("/a", CONTENT, cut(300_000))), tmp_path / "a.tar", QUICK)
    assert server.ranges("/a") == [None, "bytes=300000-"]
    assert server.asked[1][1]["If-Range"] == etag(CONTENT)
    assert server.sent["/a"] == len(CONTENT)  # no byte twice
    assert (tmp_path / "a.tar").read_bytes() == CONTENT


def test_any_number_of_breaks_is_borne_while_new_bytes_come(server, tmp_path):
    fetch(row(server.add("/a", CONTENT, *[cut(100_000)] * 8)), tmp_path / "a.tar", QUICK)
    assert (tmp_path / "a.tar").read_bytes() == CONTENT
    assert server.sent["/a"] == len(CONTENT)


def test_a_server_that_breaks_at_the_same_byte_for_ever_is_given_up(server, tmp_path):
    def same(handler, content):
        handler.head(200, Content_Length=len(content))
        handler.body(content[:1000])
        handler.hang_up()

    message = refusal(row(server.add("/a", CONTENT, *[same] * 50)), tmp_path / "a.tar", QUICK)
    assert "the connection broke after 1,000 bytes" in message
    assert len(server.asked) == 1 + QUICK.attempts - 1


def test_a_server_that_knows_no_ranges_sends_all_again(server, tmp_path):
    fetch(row(server.add("/a", CONTENT, cut(300_000), whole)), tmp_path / "a.tar", QUICK)
    assert (tmp_path / "a.tar").read_bytes() == CONTENT
    assert server.ranges("/a") == [None, "bytes=300000-"]


def test_a_file_that_changed_meanwhile_is_not_glued_to_the_old_one(server, tmp_path):
    """Without a published hash only the server can tell, by its ETag."""
    new, wanted = (
        zipped(a=b"new" * 1000),
        row(server.add("/a", zipped(a=b"old" * 1000), cut(100)), content=None, name="a.zip"),
    )
    once = Patience(connect=1, silence=0.2, attempts=1)
    refusal(wanted, tmp_path / "a.zip", once)
    server.add("/a", new)
    fetch(wanted, tmp_path / "a.zip", QUICK)
    assert server.ranges("/a") == [None, "bytes=100-"]
    assert (tmp_path / "a.zip").read_bytes() == new
    assert names(tmp_path) == {"a.zip", "a.zip.sha256"}


def test_a_part_that_nothing_vouches_for_is_not_resumed(server, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(b"half")
    content = zipped(a=b"new")
    fetch(row(server.add("/a", content), content=None, name="a.zip"), tmp_path / "a.zip", QUICK)
    assert server.ranges("/a") == [None]
    assert (tmp_path / "a.zip").read_bytes() == content


@pytest.mark.parametrize(
    "part", [OTHER[:1000], OTHER, CONTENT + b"more"], ids=["wrong start", "wrong whole", "too long"]
)
def test_a_wrong_part_is_downloaded_from_the_beginning(server, tmp_path, part):
    (tmp_path / "a.tar.part").write_bytes(part)
    fetch(row(server.add("/a", CONTENT)), tmp_path / "a.tar", QUICK)
    assert (tmp_path / "a.tar").read_bytes() == CONTENT


def test_a_part_that_lacked_only_its_check_needs_no_network(server, tmp_path):
    (tmp_path / "a.tar.part").write_bytes(CONTENT)
    fetch(row(server.add("/a", CONTENT)), tmp_path / "a.tar")
    assert not server.asked
    assert names(tmp_path) == {"a.tar"}


def test_a_part_is_resumed_from_a_mirror(server, tmp_path):
    urls = [server.add("/a", CONTENT, cut(300_000), *[fail(500)] * 9), server.add("/b", CONTENT)]
    fetch(row(*urls), tmp_path / "a.tar", QUICK)
    assert server.ranges("/b") == ["bytes=300000-"]
    assert sum(server.sent[path] for path in ("/b",)) == len(CONTENT) - 300_000


def test_a_wrong_hash_keeps_nothing_and_says_what_was_expected_found_and_to_do(server, tmp_path):
    path = tmp_path / "a.tar"
    message = refusal(row(server.add("/a", OTHER)), path, QUICK)
    expected, found = (hashlib.sha256(content).hexdigest() for content in (CONTENT, OTHER))
    assert message.startswith(f"{path}: could not be downloaded ({server.address}/a: ")
    assert f"expected sha256 {expected}, found {found}" in message
    assert "correct config/datasets.csv" in message
    assert names(tmp_path) == set()
    assert len(server.asked) == 1  # the same bytes would come again


def test_a_wrong_length_is_refused_before_it_is_downloaded(server, tmp_path):
    message = refusal(row(server.add("/a", CONTENT[:-1])), tmp_path / "a.tar", QUICK)
    assert f"expected {len(CONTENT):,} bytes, offered {len(CONTENT) - 1:,}" in message
    assert names(tmp_path) == set()


def test_a_longer_file_without_a_stated_length_is_not_written_to_the_end(server, tmp_path):
    message = refusal(row(server.add("/a", CONTENT * 20, unsized)), tmp_path / "a.tar", QUICK)
    assert "sent more" in message
    assert not (tmp_path / "a.tar").exists()


def test_a_file_without_a_stated_length_is_downloaded(server, tmp_path):
    fetch(row(server.add("/a", CONTENT, unsized)), tmp_path / "a.tar", QUICK)
    assert (tmp_path / "a.tar").read_bytes() == CONTENT


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_refusal_is_not_asked_for_again(server, tmp_path, status):
    message = refusal(row(server.add("/a", CONTENT, fail(status))), tmp_path / "a.tar", QUICK)
    assert f"status {status}" in message
    assert "by hand (https://a.org)" in message
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_an_error_that_may_pass_is_asked_for_again(server, tmp_path, status):
    fetch(row(server.add("/a", CONTENT, fail(status), fail(status))), tmp_path / "a.tar", QUICK)
    assert len(server.asked) == 3


def test_an_error_that_does_not_pass_is_given_up(server, tmp_path):
    assert "status 500" in refusal(row(server.add("/a", CONTENT, *[fail(500)] * 9)), tmp_path / "a.tar", QUICK)
    assert len(server.asked) == QUICK.attempts


def test_pauses_double_up_to_the_longest_and_heed_the_server():
    patience = Patience(pause=1, longest=60)
    for attempt, most in ((1, 1), (2, 2), (3, 4), (9, 60)):
        waits = [patience.before(attempt, 0) for _ in range(50)]
        assert most / 2 <= min(waits)
        assert max(waits) <= most
        assert len(set(waits)) > 1 or most == 60  # clients that failed together don't come back together
    assert patience.before(1, asked=30) == 30
    assert patience.before(1, asked=86400) == 60


def test_the_pause_that_a_server_asks_for_is_kept(server, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr(downloads.time, "sleep", pauses.append)
    fetch(row(server.add("/a", CONTENT, fail(503, Retry_After=7))), tmp_path / "a.tar", Patience(silence=1))
    assert pauses == [7]


def test_a_server_that_hangs_is_left(server, tmp_path):
    started = time.monotonic()
    message = refusal(row(server.add("/a", CONTENT, *[hang(0.6)] * 9)), tmp_path / "a.tar", QUICK)
    assert "no answer for 0.2 s" in message
    assert time.monotonic() - started < 5


def test_a_server_that_hangs_in_the_middle_is_asked_for_the_rest(server, tmp_path):
    fetch(row(server.add("/a", CONTENT, hang(0.6, after=300_000))), tmp_path / "a.tar", QUICK)
    assert server.ranges("/a") == [None, "bytes=300000-"]
    assert (tmp_path / "a.tar").read_bytes() == CONTENT


def test_a_server_that_does_not_even_answer_is_left(server, tmp_path):
    def mute(handler, content):
        time.sleep(0.6)
        handler.close_connection = True

    assert "no answer for 0.2 s" in refusal(row(server.add("/a", CONTENT, *[mute] * 9)), tmp_path / "a.tar", QUICK)


def test_a_port_where_nobody_listens_is_named(tmp_path):
    message = refusal(row("http://127.0.0.1:9/a"), tmp_path / "a.tar", QUICK)
    assert "http://127.0.0.1:9/a: no answer ([Errno 111] Connection refused)" in message


def test_a_web_page_with_status_200_is_no_file(server, tmp_path):
    message = refusal(row(server.add("/a", CONTENT, fail(200)), content=None, name="a.zip"), tmp_path / "a.zip", QUICK)
    assert "a web page instead of the file" in message
    assert names(tmp_path) == set()


def test_a_page_that_claims_to_be_a_file_is_not_trusted_on_first_use(server, tmp_path):
    message = refusal(
        row(server.add("/a", b"<html>sorry</html>"), content=None, name="a.zip"), tmp_path / "a.zip", QUICK
    )
    assert "not a zip file" in message
    assert names(tmp_path) == set()


@pytest.mark.parametrize("first", [fail(403), fail(200), whole], ids=["refusal", "web page", "wrong hash"])
def test_a_mirror_stands_in(server, tmp_path, first):
    urls = [server.add("/a", OTHER, first), server.add("/b", CONTENT)]
    fetch(row(*urls), tmp_path / "a.tar", QUICK)
    assert (tmp_path / "a.tar").read_bytes() == CONTENT
    assert [path for path, _ in server.asked] == ["/a", "/b"]


def test_every_address_that_failed_is_named(server, tmp_path):
    urls = [server.add("/a", CONTENT, fail(403)), server.add("/b", OTHER)]
    message = refusal(row(*urls), tmp_path / "a.tar", QUICK)
    assert f"{urls[0]}: status 403" in message
    assert f"{urls[1]}: expected sha256" in message


def test_a_redirection_is_followed(server, tmp_path):
    server.add("/b", CONTENT)
    fetch(row(server.add("/a", b"", fail(302, Location="/b"))), tmp_path / "a.tar", QUICK)
    assert (tmp_path / "a.tar").read_bytes() == CONTENT


def test_a_redirection_to_an_insecure_address_is_not_followed(server, tmp_path):
    url = server.add("/a", CONTENT, fail(302, Location="http://example.org/a"))
    assert "'http://example.org/a' is not an https address" in refusal(row(url), tmp_path / "a.tar", QUICK)


def test_a_file_that_needs_a_registration_says_where(tmp_path):
    message = refusal(row(), tmp_path / "a.tar")
    assert message == f"{tmp_path / 'a.tar'}: a.tar can't be downloaded by a program. Register at https://a.org."


def test_two_processes_do_not_write_one_file(server, tmp_path):
    with downloads._only_one(tmp_path / "a.tar"):
        message = refusal(row(server.add("/a", CONTENT)), tmp_path / "a.tar", QUICK)
    assert "another process is downloading it" in message
    fetch(row(server.add("/a", CONTENT)), tmp_path / "a.tar", QUICK)


def test_a_disk_without_room_is_told_before_anything_is_written(server, small_disk):
    message = refusal(row(server.add("/a", CONTENT)), small_disk / "a.tar", QUICK, error=DiskError)
    assert "1.02 MB are still to come and this disk has room for 262 kB" in message
    assert "data_folder" in message
    assert names(small_disk) == set()


def test_a_disk_that_fills_up_keeps_what_came_so_far(server, small_disk):
    wanted = row(server.add("/a", CONTENT, unsized), content=None, name="a.tar")
    message = refusal(wanted, small_disk / "a.tar", QUICK, error=DiskError)
    assert "no room left on this disk. Free some" in message
    assert not (small_disk / "a.tar").exists()
    assert (small_disk / "a.tar.part").stat().st_size > 100_000


def test_a_killed_download_is_resumed(server, tmp_path):
    script = f"""
        from sgaplus.data.downloads import fetch
        from sgaplus.data.remote import RemoteFile
        fetch({row(server.add("/a", CONTENT, hang(30, after=300_000)))!r}, {str(tmp_path / "a.tar")!r})
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stderr=subprocess.DEVNULL)
    part = tmp_path / "a.tar.part"
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size == 300_000) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert part.stat().st_size == 300_000
    fetch(row(server.address + "/a"), tmp_path / "a.tar", QUICK)
    assert server.ranges("/a") == [None, "bytes=300000-"]
    assert (tmp_path / "a.tar").read_bytes() == CONTENT
    assert "a.tar.part" not in names(tmp_path)


def test_a_progress_bar_shows_the_file_and_goes_on_where_it_stopped(server, tmp_path, capsys):
    fetch(row(server.add("/a", CONTENT, cut(300_000))), tmp_path / "a.tar", QUICK)
    shown = capsys.readouterr().err
    assert "a.tar: 100%" in shown
    assert "300k/1.02M" in shown


def test_weights_are_held_to_the_hash_in_their_name(server, tmp_path):
    good = hashlib.sha256(CONTENT).hexdigest()[:8]
    path = tmp_path / f"mean-1-{good}.pth.tar"
    downloads.fetch_weights(server.add(f"/{path.name}", CONTENT), path, patience=QUICK)
    assert path.read_bytes() == CONTENT
    assert (tmp_path / f"{path.name}.sha256").read_text().startswith(good)
    bad = tmp_path / "mean-1-00000000.pth.tar"
    with pytest.raises(WrongFileError, match=rf"its name says sha256 00000000\.\.\., found {good}"):
        downloads.fetch_weights(server.add(f"/{bad.name}", CONTENT), bad, patience=QUICK)
    assert names(tmp_path) == {path.name, f"{path.name}.sha256"}


def test_weights_are_held_to_the_hash_in_the_configuration(server, tmp_path):
    path, right = tmp_path / "model.pth", hashlib.sha256(CONTENT).hexdigest()
    url = server.add("/model.pth", CONTENT)
    with pytest.raises(DownloadError, match=f"expected sha256 {right[::-1]}, found {right}"):
        downloads.fetch_weights(url, path, right[::-1], QUICK)
    assert not path.exists()
    downloads.fetch_weights(url, path, right, QUICK)
    assert path.read_bytes() == CONTENT
