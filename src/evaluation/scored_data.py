"""The utterances that are scored: of a record folder, or of a wav tree."""

from collections import defaultdict, namedtuple
from pathlib import Path

from src.audio.files import AudioError, from_pcm16, probe
from src.core.errors import UserError
from src.data.corpora.mixture_tree import MIXTURE_DIRS, TASKS, Skip, load, pair, subset_tree
from src.data.loading.mixtures import Records, Utterance, utterances
from src.data.records.manifest import NAME as MANIFEST_NAME

# ids: names of the rows; lengths: in samples; batches: function from groups of rows to lists of Utterance;
# skipped: {reason: [name]}; mixture: what kind it is: mix_clean, mix_both ...
Data = namedtuple("Data", "ids lengths batches skipped sample_rate num_spks mixture")


def open_data(data_dir, sample_rate=None, num_spks=None, task=""):
    """The utterances of a record folder or a wav tree as :class:`Data`.

    Args:
        sample_rate (int), num_spks (int): what they must be; None takes the data's own.
        task (str): which mixture and targets of a tree, as preprocess.py has it; empty: what there is, mix_clean first.
    Raises:
        UserError: no such folder, nothing usable in it, or not what was asked for.
    """
    folder = Path(data_dir)
    if not folder.is_dir():
        raise UserError(f"--data_dir {folder}: no such folder")
    if (folder / MANIFEST_NAME).exists():
        return _open_records(folder, sample_rate, num_spks, task)
    return _open_tree(folder, sample_rate, num_spks, task)


def _open_records(folder, sample_rate, num_spks, task):
    records = Records(folder, sample_rate, num_spks)
    manifest = records.manifest
    if task and manifest.task != task:
        raise UserError(f"--task {task}: the records in {folder} were made with task {manifest.task}; "
                        "preprocess again, or leave --task out")
    facts = [(str(row["id"]), int(row["length"])) for row in records.read(range(records.rows), ("id", "length"))]

    def batches(order):
        items = utterances(records, [i for group in order for i in group])
        for group in order:
            yield [next(items) for _ in group]

    return Data([name for name, _ in facts], [length for _, length in facts], batches, {}, manifest.sample_rate,
                records.num_spks, manifest.mixture)


def _open_tree(folder, sample_rate, num_spks, task):
    tree = next(filter(None, (subset_tree(folder, name) for name in ((task,) if task else TASKS))), None)
    if tree is None:
        wanted = " or ".join(MIXTURE_DIRS[task]) + ", with its targets" if task else "mix_clean or mix, with s1 s2 ..."
        raise UserError(f"--data_dir {folder}: neither a record folder (manifest.json) nor a wav tree ({wanted})")
    if num_spks not in (None, len(tree.source_dirs)):
        raise UserError(f"--data_dir {folder}: has {len(tree.source_dirs)} source folders, the model separates "
                        f"{num_spks} speakers")
    mixtures, skipped = pair(tree)
    skipped = defaultdict(list, skipped)
    rate, good, lengths = sample_rate, [], []
    for mixture in mixtures:
        try:
            rate = rate or probe(mixture.mixture_path).sample_rate
            signal, _ = load(mixture, rate)
        except (Skip, AudioError) as skip:
            skipped[skip.reason].append(str(skip))
            continue
        good.append(mixture)
        lengths.append(len(signal))
    if not good:
        why = ", ".join(f"{len(names)} {reason}" for reason, names in skipped.items())
        at = f" at {rate} Hz" if rate else ""
        raise UserError(f"--data_dir {folder}: not one usable mixture{at} ({why or 'no audio files'})")

    def batches(order):
        for group in order:
            yield [_utterance(good[i], rate) for i in group]

    return Data([mixture.id for mixture in good], lengths, batches, dict(skipped), rate, len(tree.source_dirs),
                tree.mixture_dir.name)


def _utterance(mixture, rate):
    signal, sources = load(mixture, rate)
    return Utterance(mixture.id, from_pcm16(signal), from_pcm16(sources))


def group_by_length(lengths, batch_size, limit):
    """Rows in groups of at most ``batch_size`` with exactly the same length, in order of first appearance.

    Padding to a common length would change what the norms see, and with it the scores.
    """
    waiting, groups = {}, []
    for i, length in enumerate(lengths[:limit]):
        group = waiting.get(length)
        if group is None or len(group) == batch_size:
            group = waiting[length] = []
            groups.append(group)
        group.append(i)
    return groups
