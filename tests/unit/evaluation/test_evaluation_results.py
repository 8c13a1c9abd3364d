"""Groups, paired comparison and the files that hold them."""

import json

import numpy as np
import pytest
from scipy import stats

from src.core.errors import UserError
from src.evaluation.comparison import as_json, compare, lines, same_utterances
from src.evaluation.groups import Metadata, speakers_of, tables
from src.evaluation.result_files import lines as result_lines
from src.evaluation.result_files import read_results, summary, write_results
from src.evaluation.scoring import Scored, columns, enter


def rows_of(ids, seed=0, gain=5.0, metrics=("si_snr",), speakers=2):
    rng = np.random.default_rng(seed)
    rows = []
    for name in ids:
        row = {"id": name, "seconds": 2.0} | dict.fromkeys(columns(metrics, speakers), np.nan)
        before = np.linspace(-1, 1, speakers)
        for metric in metrics:
            enter(row, metric, before, before + gain + rng.normal(size=speakers))
        rows.append(row)
    return rows


def test_speakers_in_ids():
    assert speakers_of("june-0012_paola-0034", 2) == ["june", "paola"]
    assert speakers_of("4077-13754-0001_5142-33396-0065", 2) == ["4077", "5142"]
    assert speakers_of("a-1_b-2_c-3", 3) == ["a", "b", "c"]
    for strange in ("mix_0001", "utt0001", "a-1_b-2_c-3", "-1_b-2", "a-_b-2", "june-0012 paola-0034"):
        assert speakers_of(strange, 2) is None


def test_by_pair_and_by_speaker():
    rows = rows_of(["a-1_b-1", "b-2_a-2", "a-3_c-3", "c-4_a-4"])
    pair, speaker = tables(rows, ["si_snr"], 2)
    assert (pair.by, list(pair.rows)) == ("pair of speakers", ["a, b", "a, c"])
    assert pair.rows["a, b"]["si_snri"].value == pytest.approx(np.mean([row["si_snri"] for row in rows[:2]]))
    assert (speaker.by, {name: found["si_snr"].count for name, found in speaker.rows.items()}) == (
        "speaker", {"a": 4, "b": 2, "c": 2})
    mine = [rows[0]["si_snri_s2"], rows[1]["si_snri_s1"]]  # b is the second voice of one, the first of the other
    assert speaker.rows["b"]["si_snri"].value == pytest.approx(np.mean(mine))
    assert speaker.rows["b"]["si_snr_in"].value == pytest.approx(np.mean([1.0, -1.0]))
    assert [table.by for table in tables(rows_of(["a-1_b-1", "c-1_d-1"]), ["si_snr"], 2)] == ["speaker"]
    assert tables(rows_of(["a-1_b-1", "something"]), ["si_snr"], 2) == []


def test_by_metadata(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("mixture_ID,source_1_speaker,source_2_speaker,sex_1,sex_2,room\n"
                    "x,ann,bob,f,m,hall\ny,bob,ann,m,f,hall\nz,ann,eve,f,f,\n")
    rows = rows_of(["x", "y", "z"])
    assert list(tables(rows, ["si_snr"], 2, Metadata(path, "", 2))[0].rows) == ["ann", "bob", "eve"]
    assert list(tables(rows, ["si_snr"], 2, Metadata(path, "sex_1, sex_2", 2))[0].rows) == ["f, f", "f, m"]
    found = tables(rows, ["si_snr"], 2, Metadata(path, "room", 2))[0]
    assert {name: means["si_snri"].count for name, means in found.rows.items()} == {"hall": 2, "unknown": 1}
    for group_by, speakers, words in (("colour", 2, "no such column"), ("", 3, "choose with --group_by")):
        with pytest.raises(UserError, match=words):
            Metadata(path, group_by, speakers)
    with pytest.raises(UserError, match="has no row for w"):
        tables(rows_of(["w"]), ["si_snr"], 2, Metadata(path, "", 2))
    for content, words in ((b"a,b\n1,2\n", "no column mixture_ID"), (b"\xff\xfe\x00", "not a CSV"), (b"", "no column")):
        path.write_bytes(content)
        with pytest.raises(UserError, match=words):
            Metadata(path, "", 2)


def test_paired_difference_is_the_paired_t_test():
    ids = [f"u{i}" for i in range(30)]
    mine, theirs = rows_of(ids, 1, 5.3), rows_of(ids[::-1], 2, 5.0)
    differences, ordered = compare(mine, theirs, ["si_snr"], "other")
    assert [row["id"] for row in ordered] == ids
    gap = np.array([a["si_snr"] - b["si_snr"] for a, b in zip(mine, ordered)])
    found, expected = differences["si_snr"], stats.ttest_1samp(gap, 0)
    low, high = expected.confidence_interval(0.95)
    assert as_json(differences, "o")["metrics"]["si_snr"]["ci95"] == pytest.approx([low, high])
    assert found.significant == (expected.pvalue < 0.05)
    assert (found.wins, found.losses, found.ties) == ((gap > 0).sum(), (gap < 0).sum(), 0)
    same, _ = compare(mine, mine, ["si_snr"], "itself")
    assert same["si_snr"].ties == 30 and same["si_snr"].difference.value == 0 and not same["si_snr"].significant
    rounded = [row | {"si_snr": round(row["si_snr"], 4)} for row in mine]  # as in a file
    assert compare(mine, rounded, ["si_snr"], "its file")[0]["si_snr"].ties == 30
    text = "\n".join(lines({"comparison": as_json(differences, "o")}))
    assert "against o" in text and f"better on {found.wins}, worse on {found.losses}" in text


def test_only_what_both_have_is_compared():
    ids = ["a", "b", "c"]
    mine, theirs = rows_of(ids, metrics=("si_snr", "pesq")), rows_of(ids, 1, metrics=("si_snr", "stoi", "pesq"))
    mine[0]["pesq"] = np.nan
    differences, _ = compare(mine, theirs, ["si_snr", "pesq"], "o")
    assert list(differences) == ["si_snr", "pesq"] and differences["pesq"].difference.count == 2
    assert differences["pesq"].this.value == pytest.approx(np.mean([row["pesq"] for row in mine[1:]]))
    assert list(compare(mine, rows_of(ids, 1), ["si_snr", "pesq"], "o")[0]) == ["si_snr"]


def test_other_utterances_are_refused():
    rows = rows_of(["a", "b"])
    with pytest.raises(UserError, match=r"o: not the same utterances: 1 only here \(b\), 1 only there \(c\)"):
        compare(rows, rows_of(["a", "c"]), ["si_snr"], "o")
    changed = rows_of(["a", "b"])
    changed[1]["si_snr_in"] += 0.5
    with pytest.raises(UserError, match=r"1 have another mixture.*\(b\)"):
        compare(rows, changed, ["si_snr"], "o")
    same_utterances(["a", "b", "silent"], rows, "o")
    with pytest.raises(UserError, match="1 of its 2 are not among those scored here .b."):
        same_utterances(["a"], rows, "o")


def test_files_hold_what_was_found(tmp_path):
    metrics = ["si_snr", "pesq"]
    rows = rows_of(["a-1_b-1", 'we"ird, <name>'], metrics=metrics)
    rows[1]["pesq"] = rows[1]["pesq_in"] = rows[1]["pesqi"] = np.nan
    scored = Scored(rows, [0, 1], [], {"silent source": ["x"]}, {"pesq": {"no speech found": [rows[1]["id"]]}})
    found = summary(scored, metrics, [], {"pesq_mode": "nb", "model_path": "m"})
    write_results(tmp_path / "new" / "folder", rows, found)
    again, stored = read_results(tmp_path / "new" / "folder")
    assert stored == json.loads(json.dumps(found))
    assert [row["id"] for row in again] == ["a-1_b-1", 'we"ird, <name>']
    assert again[0]["si_snri"] == pytest.approx(rows[0]["si_snri"], abs=1e-4) and np.isnan(again[1]["pesq"])
    assert stored["scored"] == {"si_snr": 2, "pesq": 1} and stored["ci95"]["pesqi"] is None
    assert stored["failures"] == {"pesq": {"no speech found": 1}} and stored["skipped"] == {"silent source": 1}
    assert "PESQ (narrow-band, 8 kHz)" in "\n".join(result_lines(stored))
    for name, content in (("metrics.json", "{"), ("metrics.json", "{}"), ("per_utterance.csv", "id,x\n1,2\n")):
        kept = (tmp_path / "new" / "folder" / name).read_text()
        (tmp_path / "new" / "folder" / name).write_text(content)
        with pytest.raises(UserError, match="not those of eval.py"):
            read_results(tmp_path / "new" / "folder")
        (tmp_path / "new" / "folder" / name).write_text(kept)


def test_no_score_at_all_is_null(tmp_path):
    rows = rows_of(["a", "b"], metrics=("si_snr", "stoi"))
    for row in rows:
        row |= {"stoi": np.nan, "stoi_in": np.nan, "stoii": np.nan}
    found = summary(Scored(rows, [0, 1], [], {}, {"stoi": {"short": ["a", "b"]}}), ["si_snr", "stoi"], [], {})
    write_results(tmp_path, rows, found)
    assert json.loads((tmp_path / "metrics.json").read_text())["stoii"] is None
    assert "no score" in "\n".join(result_lines(found))
