"""The download, against a real server on this machine that misbehaves in every way we know of."""

import hashlib
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from numlin import cli
from numlin.data import datasets, idx, mirrors
from numlin.data.mirrors import DownloadError, fetch

CONTENT = np.random.default_rng(0).bytes(50_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()

TIMEOUT = 0.5
"""Seconds of silence allowed where a test waits for them to pass."""


class Mirror(BaseHTTPRequestHandler):
    """Answers /BEHAVIOUR/NAME with the file of that name, treated as the behaviour says."""

    def do_GET(self):
        _, behaviour, name = self.path.split("/")
        self.server.asked.append(self.path[1:])
        getattr(self, behaviour)(self.server.files[name])

    def right(self, content, promised=None):
        self.send_response(200)
        self.send_header("Content-Length", promised or len(content))
        self.end_headers()
        self.wfile.write(content)

    def wrong(self, content):
        self.right(content[:-1] + bytes([content[-1] ^ 1]))

    def forbidden(self, content):
        self.send_error(403)

    def colourful(self, content):
        self.wfile.write(b"HTTP/1.0 500 \x1b[31mred\x07\xc2\x9b2J\r\n\r\n")

    def absent(self, content):
        self.send_error(404)

    def half(self, content):
        self.right(content[: len(content) // 2], promised=len(content))

    def longer(self, content):
        self.right(content + b"more")

    def endless(self, content):
        self.send_response(200)
        self.end_headers()
        while not self.server.closing.is_set():
            self.wfile.write(content)

    def silent(self, content):
        self.server.closing.wait()

    def cut(self, content):
        self.connection.shutdown(socket.SHUT_RDWR)

    def garbled(self, content):
        self.wfile.write(b"220 this is no web server\r\n")

    def trickle(self, content):
        self.send_response(200)
        self.send_header("Content-Length", len(content))
        self.end_headers()
        self.drip(content)

    def trickling_headers(self, content):
        self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Padding: ")
        self.drip(b"-" * 10_000)

    def drip(self, content):
        for byte in content:
            self.wfile.write(bytes([byte]))
            if self.server.closing.wait(0.02):
                return

    def slow(self, content):
        """60 kB a second: three times what counts as stalled, but longer than TIMEOUT in all."""
        self.send_response(200)
        self.end_headers()
        for first in range(0, len(content), 3000):
            self.wfile.write(content[first : first + 3000])
            self.server.closing.wait(0.05)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    """Serves `files` {name: bytes} and keeps what it was `asked` for."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Mirror)
        self.files, self.asked, self.closing = {"digits.gz": CONTENT}, [], threading.Event()

    def mirror(self, behaviour):
        return f"http://127.0.0.1:{self.server_port}/{behaviour}/"

    def handle_error(self, request, client_address):
        """A client that hangs up in the middle is what many of these tests are about."""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def nobody(monkeypatch):
    """A mirror on which nothing listens."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}/"


def fetch_digits(folder, *addresses, timeout=10.0):
    path = folder / "digits.gz"
    return fetch("digits.gz", path, len(CONTENT), SHA256, mirrors=addresses, timeout=timeout)


def test_the_right_bytes_get_the_name_and_nothing_else_is_left(server, tmp_path):
    assert fetch_digits(tmp_path / "new" / "folder", server.mirror("right")) == (
        server.mirror("right")
    )
    assert (tmp_path / "new/folder/digits.gz").read_bytes() == CONTENT
    assert os.listdir(tmp_path / "new/folder") == ["digits.gz"]


BAD = {
    "wrong": "sent a file with sha256 [0-9a-f]{64}, expected " + SHA256,
    "forbidden": "403",
    "absent": "404",
    "colourful": "500: .?.31mred",
    "half": "sent 25,000 bytes, expected 50,000",
    "longer": "sent more bytes, expected 50,000",
    "endless": "sent more bytes, expected 50,000",
    "silent": r"timed out|stalled: 0 bytes in \d\.\d s",
    "cut": "closed connection|reset",
    "garbled": "220 this is no web server",
    "trickle": r"stalled: \d+ bytes in \d\.\d s",
    "trickling_headers": r"stalled: 0 bytes in \d\.\d s",
}


@pytest.mark.parametrize("behaviour", BAD)
def test_a_bad_mirror_is_named_and_the_next_one_serves(server, tmp_path, behaviour):
    with pytest.raises(DownloadError, match=BAD[behaviour]) as refused:
        fetch_digits(tmp_path, server.mirror(behaviour), timeout=TIMEOUT)
    assert server.mirror(behaviour) in str(refused.value)
    assert str(refused.value).isprintable()
    assert os.listdir(tmp_path) == []

    addresses = server.mirror(behaviour), server.mirror("right")
    served = fetch_digits(tmp_path, *addresses, timeout=TIMEOUT)
    assert served == server.mirror("right")
    assert (tmp_path / "digits.gz").read_bytes() == CONTENT


def test_a_mirror_that_refuses_the_connection_is_passed_over(server, nobody, tmp_path):
    assert fetch_digits(tmp_path, nobody, server.mirror("right")) == server.mirror("right")
    with pytest.raises(DownloadError, match="digits.gz: http://127.*: .*refused") as refused:
        fetch_digits(tmp_path, nobody)
    assert "urlopen" not in str(refused.value)


def test_a_slow_download_is_not_a_stalled_one(server, tmp_path):
    fetch_digits(tmp_path, server.mirror("slow"), timeout=TIMEOUT)
    assert (tmp_path / "digits.gz").read_bytes() == CONTENT


def test_when_all_fail_each_mirror_says_why_and_the_old_file_stays(server, nobody, tmp_path):
    (tmp_path / "digits.gz").write_bytes(b"old")
    with pytest.raises(DownloadError) as refused:
        fetch_digits(tmp_path, server.mirror("forbidden"), server.mirror("half"), nobody)
    answers = str(refused.value).split("; ")
    assert server.mirror("forbidden") in answers[0] and "403" in answers[0]
    assert server.mirror("half") in answers[1] and "25,000" in answers[1]
    assert nobody in answers[2] and "refused" in answers[2]
    assert (tmp_path / "digits.gz").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["digits.gz"]


def test_two_downloads_of_one_file_at_once_do_not_mix(server, tmp_path):
    threads = [
        threading.Thread(target=fetch_digits, args=(tmp_path, server.mirror("slow")))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.asked == ["slow/digits.gz"] * 2
    assert (tmp_path / "digits.gz").read_bytes() == CONTENT
    assert os.listdir(tmp_path) == ["digits.gz"]


def test_a_folder_that_cannot_be_written_is_not_the_mirrors_fault(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        fetch_digits(tmp_path / "file", server.mirror("right"), server.mirror("right"))
    assert len(server.asked) == 1


@pytest.fixture
def published(server, monkeypatch, tmp_path):
    """A server with four small files, which `datasets` takes for MNIST; the cache is empty."""
    labels = np.arange(20, dtype=np.uint8) % 10
    images = np.random.default_rng(1).integers(0, 256, (20, 28, 28), np.uint8)
    table = {}
    for role, name in datasets.ROLES.items():
        path = tmp_path / "published" / f"{name}.gz"
        idx.write(path, images if role.endswith("images") else labels, compress=True)
        content = path.read_bytes()
        server.files[path.name] = content
        table[path.name] = len(content), hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(datasets, "MNIST", table)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("NUMLIN_DATA", raising=False)
    return server


def use(monkeypatch, *addresses):
    monkeypatch.setattr(mirrors, "MIRRORS", addresses)


def test_find_downloads_once_into_the_cache(published, monkeypatch, tmp_path):
    use(monkeypatch, published.mirror("right"))
    source = datasets.find("auto")
    assert source.name == "mnist"
    assert {path.parent for path in source.paths.values()} == {tmp_path / "cache/numlin/mnist"}
    assert source == datasets.find("mnist")
    assert len(published.asked) == 4


def test_find_downloads_only_what_the_cache_lacks(published, monkeypatch):
    use(monkeypatch, published.mirror("right"))
    labels = datasets.find().paths["test-labels"]
    labels.unlink()
    published.asked.clear()
    assert datasets.find().paths["test-labels"] == labels
    assert published.asked == ["right/t10k-labels-idx1-ubyte.gz"]


def test_the_folder_of_a_download_that_was_killed_is_completed_and_anybody_elses_left(
    published, monkeypatch, tmp_path, capsys
):
    use(monkeypatch, published.mirror("right"))
    killed, other = tmp_path / "killed", tmp_path / "other"
    for folder, name in ((killed, ".numlin-0123456789abcdef.gz"), (other, "letter.txt")):
        folder.mkdir()
        (folder / name).write_bytes(b"half")
    assert cli.main(["data", "--data-dir", str(killed)]) == 0
    assert sorted(path.name for path in killed.iterdir()) == sorted(datasets.MNIST)
    assert cli.main(["data", "--data-dir", str(other)]) == 2
    assert "is missing" in capsys.readouterr().err
    assert [path.name for path in other.iterdir()] == ["letter.txt"]


def test_a_mirror_that_failed_is_asked_last_from_then_on(published, monkeypatch):
    use(monkeypatch, published.mirror("forbidden"), published.mirror("right"))
    datasets.find("mnist")
    asked = [address.split("/")[0] for address in published.asked]
    assert asked == ["forbidden", "right", "right", "right", "right"]


def test_an_interrupted_download_is_taken_up_where_it_stopped(published, monkeypatch):
    use(monkeypatch, published.mirror("right"))
    last = published.files.pop("t10k-labels-idx1-ubyte.gz")
    with pytest.raises(datasets.DatasetError, match="t10k-labels-idx1-ubyte.gz"):
        datasets.find("mnist")
    published.files["t10k-labels-idx1-ubyte.gz"] = last
    published.asked.clear()
    datasets.find("mnist")
    assert published.asked == ["right/t10k-labels-idx1-ubyte.gz"]


def test_a_cache_that_cannot_be_written_is_an_error_and_not_synthetic(
    published, monkeypatch, tmp_path
):
    use(monkeypatch, published.mirror("right"))
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(OSError, match="file"):
        datasets.find("auto")


def test_mnist_itself_comes_through_with_an_empty_cache(mnist, server, monkeypatch, tmp_path):
    for path in mnist.paths.values():
        server.files[path.name] = path.read_bytes()
    if not all(f"{name}.gz" in server.files for name in datasets.ROLES.values()):
        pytest.skip("MNIST is here, but unpacked, and mirrors serve it packed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    use(monkeypatch, server.mirror("half"), server.mirror("wrong"), server.mirror("right"))
    source = datasets.find("mnist")
    assert source.sha256 == mnist.sha256
    for role, path in source.paths.items():
        assert path == tmp_path / "numlin/mnist" / mnist.paths[role].name
        assert path.read_bytes() == server.files[path.name]
