"""The paths of a task are found in its arguments, and where they lie."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aque import mounts
from aque.errors import UsageError
from aque.io_paths import RATE, Finder
from aque.mounts import Mount

ROOT = Mount("ext4", "/dev/a", "/")
OUTER = Mount("xfs", "/dev/b", "/data")
INNER = Mount("nfs4", "filer:/x", "/data/x")


def test_the_innermost_mount_counts_and_of_several_on_a_point_the_last() -> None:
    table = [ROOT, OUTER, INNER, OUTER._replace(source="/dev/c")]
    assert mounts.of("/", table) == ROOT
    assert mounts.of("/datafile", table) == ROOT
    assert mounts.visible(table) == {ROOT, INNER, OUTER._replace(source="/dev/c")}


def test_sizes_of_whole_files_add_up_to_a_duration(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 1000)
    (tmp_path / "b").write_bytes(b"x" * 500)
    here = mounts.of(str(tmp_path), mounts.table())
    found, seconds = Finder().guess(["a", f"--out={tmp_path}/b", "none"], str(tmp_path))
    assert (found, seconds) == ([here], 1500 / RATE)


def test_an_output_yet_to_be_written_counts_by_the_part_that_exists(tmp_path: Path) -> None:
    found, seconds = Finder().guess([f"{tmp_path}/new/dir/file"], "/")
    assert (found, seconds) == ([mounts.of(str(tmp_path), mounts.table())], 0.0)


@pytest.mark.parametrize("word", ["word", "-x", "--flag", "", "/nonexistent", "http://h/p", "a\0b"])
def test_what_names_no_path_is_left_alone(word: str, tmp_path: Path) -> None:
    assert Finder().guess([word], str(tmp_path)) == ([], 0.0)


TWO_DISKS = """
import sys
from aque.queue import Queue
data, fast = sys.argv[2:]
queue = Queue(sys.argv[1])
queue.submit_ex(pattern="shell", args=["true", data + "/one"])
queue.submit_ex(pattern="shell", args=["true"], io_paths=[fast])
print(*[task.mounts for task in queue.broker.search()], sep="\\n")
"""


@pytest.mark.parametrize("path", ["", "/a\0b", "/\ud800", 7])
def test_what_no_path_can_be_is_refused(path: object) -> None:
    with pytest.raises(UsageError, match="io_paths cannot hold"):
        Finder().said([path], "/")  # type: ignore[list-item]


def test_tasks_on_two_mounts_are_told_apart(tmp_path: Path) -> None:
    script, data, fast = (tmp_path / name for name in ("two.py", "data", "fast"))
    script.write_text(TWO_DISKS)
    data.mkdir()
    fast.mkdir()
    text = (
        f"mount -t tmpfs data {data} && mount -t tmpfs fast {fast}"
        f" && exec {sys.executable} {script} {tmp_path}/queue.db {data} {fast}"
    )
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", text], env=environ, capture_output=True, text=True
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"the system refuses mounts: {done.stderr.strip()}")
    assert done.stdout.splitlines() == [
        f'[[],[["tmpfs","data","{data}"]]]',
        f'[[["tmpfs","fast","{fast}"]],[]]',
    ], done.stderr
