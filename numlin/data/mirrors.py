"""Fetch a file whose size and sha256 are known from the first mirror that serves it."""

import hashlib
import threading
import time
import urllib.request
from http.client import HTTPException
from urllib.error import HTTPError

from numlin.support.files import replacing
from numlin.support.progress import Progress
from numlin.support.text import printable

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)

FASHION_MNIST = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
KMNIST = ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",)

SLOWEST = 20_000
"""Bytes per second below which a mirror counts as stalled."""

CHUNK = 2**16


class DownloadError(ValueError):
    """No mirror served the file; the message says what each of them answered."""


def fetch(name, destination, n_bytes, sha256, mirrors=MIRRORS, timeout=10.0):
    """Download a file, trying one mirror after the other, and check it before it gets its name.

    An HTTP error, a refused connection, silence, a trickle, a body too short or too long and a
    wrong sha256 all move on to the next mirror. What stood at `destination` stays until the whole
    file has been checked, so neither an interruption nor a second process can leave a half there.

    Parameters
    ----------
    name : str
        What follows a mirror's address.
    destination : str or Path
        Where the file goes; parent folders are made.
    n_bytes, sha256 : int, str
        Size and hex digest of the right file.
    mirrors : sequence of str
        Addresses that end with a slash, best first.
    timeout : float
        Seconds of silence after which a mirror is given up. When t seconds have passed, more than
        (t - timeout) * SLOWEST bytes must have come, so a trickle ends too; the clock includes
        the look-up of the host, the connection and the headers.

    Returns
    -------
    str
        The mirror that served the file.

    Raises
    ------
    DownloadError
        When no mirror served the file.
    OSError
        When it cannot be written.
    """
    answers = []
    for mirror in mirrors:
        try:
            body = _get(mirror, name, n_bytes, sha256, timeout)
        except (DownloadError, OSError, HTTPException) as error:
            reason = str(error).removeprefix("<urlopen error ").removesuffix(">")
            answers.append(f"{mirror}: {printable(reason)[:200]}")
            continue
        with replacing(destination) as temporary:
            temporary.write_bytes(body)
        return mirror
    raise DownloadError(f"cannot download {name}: {'; '.join(answers)}")


def _get(mirror, name, n_bytes, sha256, timeout):
    """The file as bytes, read in a thread, because a host look-up cannot be cut short otherwise."""
    body, trouble, started = bytearray(), [], time.monotonic()
    reader = threading.Thread(
        target=_read, args=(mirror + name, n_bytes, timeout, body, trouble), daemon=True
    )
    reader.start()
    with Progress(f"downloading {name}", n_bytes) as progress:
        while reader.is_alive():
            reader.join(0.05)
            progress.advance(len(body) - progress.done, f"from {mirror}")
            seconds = time.monotonic() - started
            if seconds > timeout + len(body) / SLOWEST:
                raise DownloadError(f"stalled: {len(body):,} bytes in {seconds:.1f} s")
    if trouble:
        raise trouble[0]
    if len(body) != n_bytes:
        found = f"{len(body):,}" if len(body) < n_bytes else "more"
        raise DownloadError(f"sent {found} bytes, expected {n_bytes:,}")
    found = hashlib.sha256(body).hexdigest()
    if found != sha256:
        raise DownloadError(f"sent a file with sha256 {found}, expected {sha256}")
    return body


def _read(url, n_bytes, timeout, body, trouble):
    """Append what the address sends to `body`, at most one byte too many; or note the trouble."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response:
            while chunk := response.read1(min(n_bytes + 1 - len(body), CHUNK)):
                body += chunk
    except HTTPError as error:
        error.close()
        trouble.append(error)
    except Exception as error:
        trouble.append(error)
