"""What goes into a shard comes out of it, or an error does."""

import os

import numpy as np
import pytest

from src.core.errors import UserError
from src.data.records.mindrecord import MAX_PAGE_BYTES, PAGE_BYTES, page_bytes, read_rows, row, row_bytes, write_shard


def signals(seed, samples, speakers=2):
    pcm = np.random.default_rng(seed).integers(-32768, 32768, (1 + speakers, samples)).astype(np.int16)
    pcm[:, -2:] = 0  # trailing zero bytes are easily lost
    return pcm[0], pcm[1:]


def rows_of(lengths, first=0, speakers=2):
    return [row(f"id-{first + n}", first + n, 8000, *signals(first + n, length, speakers))
            for n, length in enumerate(lengths)]


def check(found, first, lengths, speakers=2):
    for n, (item, length) in enumerate(zip(found, lengths)):
        mixture, sources = signals(first + n, length, speakers)
        assert (item["id"], item["index"], item["length"], item["sample_rate"]) == (
            f"id-{first + n}", first + n, length, 8000)
        assert item["mixture"].dtype == item["sources"].dtype == np.int16
        assert np.array_equal(item["mixture"], mixture) and np.array_equal(item["sources"], sources)


@pytest.mark.parametrize("speakers", [1, 2, 3])
def test_rows_come_back_in_order_over_two_shards(tmp_path, speakers):
    lengths = [2, 999, 40000, 17, 8000]
    files = [tmp_path / "a-00000.mindrecord", tmp_path / "a-00001.mindrecord"]
    assert write_shard(files[0], rows_of(lengths, 0, speakers)) == 5
    assert write_shard(files[1], rows_of(lengths[:3], 5, speakers), page=page_bytes([700000])) == 3
    found = list(read_rows(files))
    assert len(found) == 8
    check(found[:5], 0, lengths, speakers)
    check(found[5:], 5, lengths[:3], speakers)


def test_the_folder_of_finished_shards_may_be_renamed(tmp_path):
    (tmp_path / "old").mkdir()
    write_shard(tmp_path / "old" / "a.mindrecord", rows_of([100, 200]))
    os.rename(tmp_path / "old", tmp_path / "new")
    check(list(read_rows([tmp_path / "new" / "a.mindrecord"])), 0, [100, 200])


def test_same_rows_same_file(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_shard(tmp_path / folder / "x.mindrecord", rows_of([100, 200, 300]), page_bytes([2000]))
    assert (tmp_path / "a" / "x.mindrecord").read_bytes() == (tmp_path / "b" / "x.mindrecord").read_bytes()


@pytest.mark.parametrize("identifier", ["o'brien", 'a"b; DROP TABLE INDEXES; --', "é中文", "a,b (c) %s", "x" * 250])
def test_any_file_name_is_an_id(tmp_path, identifier):
    write_shard(tmp_path / "a.mindrecord", [row(identifier, 0, 8000, *signals(0, 50))], page_bytes([1]))
    assert [item["id"] for item in read_rows([tmp_path / "a.mindrecord"])] == [identifier]


def test_no_rows_no_file(tmp_path):
    assert write_shard(tmp_path / "a.mindrecord", iter([])) == 0
    assert list(tmp_path.iterdir()) == []


def test_page_sizes():
    assert page_bytes([]) == page_bytes([10]) == 1 << 15  # the smallest there is
    assert page_bytes([1 << 20] * 3) == 1 << 22  # a small shard fits one page
    assert page_bytes([1 << 20] * 900) == PAGE_BYTES
    assert page_bytes([1 << 20] * 900 + [PAGE_BYTES + 1]) == 2 * PAGE_BYTES  # a long row
    assert page_bytes([MAX_PAGE_BYTES + 1, 10]) == 1 << 15  # one that fits nowhere does not count


def test_three_minutes_of_three_speakers_at_16_khz_fit_the_default_page():
    assert row_bytes(180 * 16000, 3) < PAGE_BYTES


def test_a_row_just_as_long_as_its_page(tmp_path):
    page = 1 << 20
    samples = (page - row_bytes(0, 2)) // 6
    assert write_shard(tmp_path / "a.mindrecord", rows_of([samples, 10, samples]), page) == 3
    check(list(read_rows([tmp_path / "a.mindrecord"])), 0, [samples, 10, samples])
    with pytest.raises(UserError, match="row id-1 has .* bytes, more than a page"):
        write_shard(tmp_path / "b.mindrecord", rows_of([10, samples + 200]), page)


def test_a_row_beyond_the_default_page(tmp_path):
    samples = 6_000_000  # 36 MB with two sources: twelve minutes at 8 kHz
    assert write_shard(tmp_path / "a.mindrecord", rows_of([samples]), page_bytes([row_bytes(samples, 2)])) == 1
    check(list(read_rows([tmp_path / "a.mindrecord"])), 0, [samples])


def test_rows_that_mindrecord_would_drop_are_noticed(tmp_path):
    rows = rows_of([50, 60, 70])
    rows[1]["length"] = "60"  # MindRecord drops it without a word
    with pytest.raises(UserError, match="3 rows were written, 2 read back|cannot write"):
        write_shard(tmp_path / "a.mindrecord", rows)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="cannot write records"):
        write_shard(tmp_path / "nowhere" / "a.mindrecord", rows_of([50]))


@pytest.mark.parametrize("left", [0, 100, 0.5])
def test_a_truncated_shard_is_an_error(tmp_path, left):
    path = tmp_path / "a.mindrecord"
    write_shard(path, rows_of([5000, 6000]), page_bytes([70000]))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * left) if isinstance(left, float) else left])
    with pytest.raises(UserError, match="cannot read records"):
        list(read_rows([path]))
