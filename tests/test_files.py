"""Files are written whole or not at all; tables line up; progress is silent in a pipe."""

import io
import os
import signal
import stat
import sys

import pytest

from numlin.support.files import replacing, staging
from numlin.support.progress import Progress
from numlin.support.text import table


def test_a_file_appears_when_the_block_succeeds(tmp_path):
    with replacing(tmp_path / "deep" / "er" / "a.txt") as temporary:
        temporary.write_text("new")
        assert not (tmp_path / "deep" / "er" / "a.txt").exists()
    assert (tmp_path / "deep" / "er" / "a.txt").read_text() == "new"


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_interrupted_block_leaves_the_old_file_and_nothing_else(tmp_path, error):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(error), replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise error
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "usual").write_text("")
    with replacing(tmp_path / "ours") as temporary:
        temporary.write_text("")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "ours")]
    assert modes[0] == modes[1]


def test_a_staged_folder_keeps_what_it_does_not_replace(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("kept")
    with staging(tmp_path / "out") as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "new").write_text("new")
    found = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert found == {"out/mine", "out/sub/new"}


def test_an_interrupted_staging_leaves_the_folder_as_it_was(tmp_path):
    with pytest.raises(KeyboardInterrupt), staging(tmp_path / "out") as folder:
        (folder / "new").write_text("new")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_stale_files_go_and_others_stay_when_a_staged_folder_lands(tmp_path):
    for name in ("figures/01-old.png", "figures/mine.png", "report.html", "notes"):
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_text("old")
    with staging(tmp_path / "out", ("report.html", "figures/[0-9][0-9]-*")) as folder:
        (folder / "notes2").write_text("new")
        assert (tmp_path / "out" / "report.html").exists(), "nothing goes before all has succeeded"
    found = {str(p.relative_to(tmp_path / "out")) for p in tmp_path.rglob("*") if p.is_file()}
    assert found == {"figures/mine.png", "notes", "notes2"}


def test_an_interrupt_while_files_move_waits_until_they_have_moved(tmp_path, monkeypatch):
    moved, original = [], os.replace

    def replace(source, target):
        moved.append(target)
        signal.raise_signal(signal.SIGINT)
        original(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(KeyboardInterrupt), staging(tmp_path / "out") as folder:
        for name in ("a", "b"):
            (folder / name).write_text(name)
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == ["a", "b"]


def test_a_folder_where_a_file_should_be_written_is_named(tmp_path):
    with pytest.raises(IsADirectoryError, match="found a folder") as error, replacing(tmp_path):
        pass
    assert error.value.filename == str(tmp_path)


def test_an_error_names_the_file_and_not_the_temporary_one(tmp_path):
    (tmp_path / "file").write_text("")
    for context in (replacing, staging):
        with pytest.raises(OSError) as error, context(tmp_path / "file" / "out"):
            pass
        assert error.value.filename == str(tmp_path / "file" / "out")


def test_staging_over_a_file_is_refused_by_name(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(NotADirectoryError, match="found a file.*out"), staging(tmp_path / "out"):
        pass


def test_a_table_lines_up_words_left_and_numbers_right():
    assert table(["model", "error"], [["a", "1%"], ["longer", "100%"]]).splitlines() == [
        "model   error",
        "------  -----",
        "a          1%",
        "longer   100%",
    ]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream, shown", [(io.StringIO(), False), (Terminal(), True)])
def test_progress_shows_on_a_terminal_and_is_silent_in_a_pipe(monkeypatch, stream, shown):
    monkeypatch.setattr(sys, "stderr", stream)
    with Progress("reading", total=4) as progress:
        progress.advance(2, note="half way")
    assert ("reading  50% half way" in stream.getvalue()) is shown
    assert (stream.getvalue() == "") is not shown
