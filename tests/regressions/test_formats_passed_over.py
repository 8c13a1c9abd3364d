"""One table of formats: no script passes over, without a word, what another one takes."""

import pytest
import soundfile

from src.audio.formats import CORPUS_SUFFIXES, FORMATS, OUTPUTS, SUFFIXES, sniff
from src.audio.rooms import Rooms
from src.core.errors import UserError
from src.data.corpora.mixture_tree import pair, subset_tree
from src.data.corpora.voices import find_recordings
from src.data.mixing.plan import find_rooms
from src.separation.input_files import find_sources
from tests.regressions.audio_files import sound

REST = sorted(set(SUFFIXES) - set(CORPUS_SUFFIXES))


@pytest.fixture
def folder(tmp_path):
    """A file of every format, by its name."""
    for number, suffix in enumerate(SUFFIXES):
        path = tmp_path / "audio" / "anna" / f"{number}{suffix.upper() if number % 2 else suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "audio" / "anna" / "notes.txt").write_text("x")
    return tmp_path / "audio"


def test_separate_takes_all_of_them(folder, tmp_path):
    sources, others = find_sources([str(folder)], tmp_path / "out")
    assert len(sources) == len(SUFFIXES) and others == 1


def test_corpora_name_what_they_leave_out(folder):
    found, skipped = find_recordings(folder)
    assert len(found) == len(CORPUS_SUFFIXES) and len(skipped["neither wav nor FLAC"]) == len(REST)


@pytest.mark.parametrize("suffix", [".aifc", ".caf", ".w64", ".amr"])
def test_a_folder_of_one_of_them(tmp_path, suffix):
    for name in ("mix_clean", "s1", "s2"):
        (tmp_path / "tree" / name).mkdir(parents=True)
        (tmp_path / "tree" / name / f"a{suffix}").write_bytes(b"x")
    mixtures, skipped = pair(subset_tree(tmp_path / "tree"))
    names = [f"{name}/a{suffix}" for name in ("mix_clean", "s1", "s2")]
    assert not mixtures and skipped == {"neither wav nor FLAC": names}
    with pytest.raises(UserError, match=f"no wav or FLAC in folders.*3 neither wav nor FLAC, such as .*a{suffix}"):
        find_recordings(tmp_path / "tree")
    with pytest.raises(UserError, match=f"no wav or FLAC of a room impulse.*3 of other formats.*{suffix}"):
        find_rooms(tmp_path / "tree")
    soundfile.write(tmp_path / "tree" / "room.wav", sound(0.1), 8000)
    assert find_rooms(tmp_path / "tree")[1] == skipped == Rooms(tmp_path / "tree", 8000).skipped


def test_the_table_itself():
    assert len(SUFFIXES) == len(set(SUFFIXES)) and list(OUTPUTS) == ["wav", "flac", "ogg", "mp3"]
    for form in FORMATS:
        for at, word in form.magic:
            assert sniff((bytes(at) + word).ljust(16, b"\0")) == form
    assert sniff(b"\xff\xfb\x90\0").name == "mp3" and sniff(b"#EXTM3U\n") is None
