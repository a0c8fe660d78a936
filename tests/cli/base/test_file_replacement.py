"""Files that are replaced as a whole, and links that are not followed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from consul_lock_cli.base.file_replacement import followed, replace_file


def test_a_file_is_replaced_by_one_of_its_own(tmp_path: Path) -> None:
    """A reader of the old one goes on reading it; what is new has the usual permissions."""
    file = tmp_path / "file"
    file.write_text("old")
    with file.open() as reader:
        before = os.umask(0o027)
        try:
            replace_file(file, "new")
        finally:
            os.umask(before)
        assert reader.read() == "old"
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new", 0o640)
    replace_file(file, "newer", 0o644)
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("newer", 0o644)
    assert list(tmp_path.iterdir()) == [file]


def test_what_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """The name is that of a folder."""
    (tmp_path / "file" / "below").mkdir(parents=True)
    with pytest.raises(OSError):
        replace_file(tmp_path / "file", "new")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_no_link_under_the_name_of_the_new_file_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody may have put links under all names that could be foreseen: another is found."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    names = iter(["guessed", "other"])
    monkeypatch.setattr("tempfile._get_candidate_names", lambda: names)
    (tmp_path / ".file.guessed").symlink_to(victim)
    replace_file(tmp_path / "file", "new")
    assert (victim.read_text(), (tmp_path / "file").read_text()) == ("precious", "new")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of another user")
@pytest.mark.parametrize("mode, refused", [(0o1777, True), (0o777, True), (0o755, False)])
def test_a_link_of_another_user_is_followed_only_where_not_everybody_can_make_one(
    tmp_path: Path, mode: int, refused: bool
) -> None:
    """As by fs.protected_symlinks: the user's own links, and those of the owner of the folder, lead
    where they led."""
    victim, folder = tmp_path / "victim", tmp_path / "tmp"
    victim.touch()
    folder.mkdir()
    folder.chmod(mode)
    for link, owner in (("mine", 0), ("theirs", 65534), ("dangling", 65534)):
        (folder / link).symlink_to(victim if link != "dangling" else tmp_path / "new")
        os.chown(folder / link, owner, 0, follow_symlinks=False)
    assert followed(folder / "mine") == victim
    for link in ("theirs", "dangling"):
        if refused:
            with pytest.raises(PermissionError, match="another user's link"):
                followed(folder / link)
        else:
            followed(folder / link)
    os.chown(folder, 65534, 0)
    assert followed(folder / "theirs") == victim


def test_what_is_no_link_is_where_it_is(tmp_path: Path) -> None:
    """There or not; a link that leads nowhere is replaced itself."""
    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to(tmp_path / "no such file")
    for name in ("file", "none", "nowhere", "no/such/folder"):
        assert followed(tmp_path / name) == tmp_path / name
