"""The pages beside the code say what the code does."""

import subprocess
import sys
from pathlib import Path

import pytest

from numlin.commands import COMMANDS
from numlin.figures import FIGURES

ROOT = Path(__file__).parent.parent


def test_the_gallery_shows_every_figure_and_every_picture_is_in_it():
    folder = ROOT / "figures"
    gallery = (folder / "README.md").read_text()
    for number, name in enumerate(FIGURES, 1):
        assert f"{number:02d}-{name}.png" in gallery and name.replace("-", "_") in gallery
    pictures = [path for path in folder.glob("*.png") if not path.name.startswith("bench-")]
    assert all(f"]({path.name})" in gallery for path in pictures)
    assert len(pictures) == gallery.count("![](")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme_and_has_help(command):
    assert f"numlin {command}" in (ROOT / "README.md").read_text()
    run = [sys.executable, "-m", "numlin", command, "--help"]
    assert subprocess.run(run, capture_output=True, check=True).stdout


def test_every_source_file_is_in_the_readmes_map():
    readme = (ROOT / "README.md").read_text()
    for path in sorted((ROOT / "numlin").glob("[!_]*")):
        assert path.name in readme, f"{path.name} is missing from the README's map of the source"
