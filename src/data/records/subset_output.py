"""Where one subset goes: a record folder, a wav tree, or both, each built out of sight and renamed when it is whole."""

import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

from src.core.errors import UserError
from src.core.files import make_folder, move_folder, sync_tree, write
from src.data.records.folder import check_target, clean_up, locked, partial_folder, swap_in
from src.data.records.manifest import load_manifest, write_manifest
from src.data.records.mindrecord import row_bytes
from src.data.records.shards import is_noted, plan, request_of

WAV_HEADER_BYTES = 44
BLOCK_BYTES = 4096  # a file on disk takes whole ones
SHARD_OVERHEAD_BYTES = 1 << 20  # header of a shard, its last page and its index


class Target:
    """A subset's outputs and the jobs that make them.

    <records>/../.<name>.partial/ holds what there is of an unfinished run: the shards, and a note for each that is
    whole. The wavs are in a folder of that kind beside their own place (which has the notes if there are no records).

    Args:
        subset (src.data.corpora.subset.Subset): what to make.
        records (Path): the record folder; None: wavs alone.
        config: the options of preprocess.py.
    """

    def __init__(self, subset, records, config):
        self.subset, self.records, self.overwrite = subset, records, config.overwrite
        self.wavs = subset.wav_tree.target if subset.wav_tree else None
        self.main = records or self.wavs
        self.partial = partial_folder(self.main)
        self.notes = self.partial / "notes"
        self.new_records = records and self.partial / "records"
        self.new_wavs = self.wavs and partial_folder(self.wavs) / "wavs"
        self.discard = False  # whether what is unfinished goes at the end
        self.jobs = plan(subset, self.new_records, self.notes, self.new_wavs, self.main.name, config)
        self.request = request_of(self.jobs)

    # ---- what is there

    def is_finished(self):
        """Whether all outputs are there and were made by just these jobs."""
        return (not self.records or self._has_records()) and (not self.wavs or self._has_wavs())

    def _has_records(self):
        try:
            return load_manifest(self.records).request == self.request
        except UserError:
            return False

    def _has_wavs(self):
        try:
            return self.wavs.is_dir() and json.loads(self._receipt.read_text())["request"] == self.request
        except (OSError, ValueError, KeyError, TypeError):
            return False

    @property
    def _receipt(self):
        """Beside the lists of a wav tree: which request it was made by."""
        return self.subset.wav_tree.branch / "metadata" / f".{self.wavs.name}.json"

    @staticmethod
    def check_foreign(records):
        """Refuse a folder that holds anything but records, replaceable or not."""
        check_target(records, overwrite=True)

    def check(self):
        """Refuse what is in the way and must not be replaced; wavs never are.

        Raises:
            UserError: the cause.
        """
        if self.records:
            check_target(self.records, self.overwrite)
        if self.wavs and os.path.lexists(self.wavs) and not self._has_wavs():
            raise UserError(f"{self.wavs}: exists and was not made by this command; wavs are never replaced, move it "
                            "away or choose another --write_wav")

    def bytes_wanted(self, noted=()):
        """{folder: bytes on disk} of what is to be written, without the jobs ``noted``."""
        wanted = {}
        for job, samples in zip(self.jobs, self._samples()):
            if job.note in noted:
                continue
            if self.records:
                rows = sum(row_bytes(count, len(self.subset.targets)) for count in samples)
                wanted[self.records] = wanted.get(self.records, 0) + rows + SHARD_OVERHEAD_BYTES
            if self.wavs:
                files = sum(-(-(WAV_HEADER_BYTES + 2 * count) // BLOCK_BYTES) * BLOCK_BYTES for count in samples)
                wanted[self.wavs] = wanted.get(self.wavs, 0) + files * len(self.subset.wav_tree.folders)
        return wanted

    def _samples(self):
        samples = iter(self.subset.samples)
        for job in self.jobs:
            yield [next(samples) for _ in job.items]

    def noted(self):
        """Notes of the jobs that an earlier run finished."""
        return {job.note for job in self.jobs if is_noted(job)}

    # ---- making it

    @contextmanager
    def held(self):
        """Hold the right to write; at the end nothing unfinished is left but what the next run can use."""
        for folder in filter(None, (self.records, self.wavs)):
            make_folder(folder.parent)
        with locked(self.main):
            if self.wavs and self.records:
                with locked(self.wavs):
                    yield from self._held()
            else:
                yield from self._held()

    def _held(self):
        if self.records:
            clean_up(self.records)
        try:
            yield
        finally:
            kept = len(self.noted())
            if self.discard or not kept:
                self._remove_partial()
            elif self.partial.exists():
                print(f"{self.subset.name}: unfinished; {kept} of {len(self.jobs)} shards are kept, the same command "
                      "goes on from there", flush=True)

    def forget(self):
        """Remove what a run that was killed at its very end left beside finished outputs."""
        if self.partial.exists():
            self.discard = True
            with self.held():
                pass

    def prepare(self):
        """Make the unfinished folders, cleared of what the jobs do not need; returns the number of finished jobs."""
        noted = self.noted()
        if not noted:
            self._remove_partial()
        if self.wavs and self._has_wavs():  # killed after they got their name
            self.jobs = [job._replace(wav_dir=None) for job in self.jobs]
            self.new_wavs = None
        self.notes.mkdir(parents=True, exist_ok=True)
        if self.records:
            self.new_records.mkdir(exist_ok=True)
            _keep_only(self.new_records, {name for job in self.jobs if job.note in noted
                                          for name in (job.path.name, f"{job.path.name}.db")})
        _keep_only(self.notes, {note.name for note in noted})
        if self.new_wavs:
            for name in self.subset.wav_tree.folders:
                (self.new_wavs / name).mkdir(parents=True, exist_ok=True)
        return len(noted)

    def finish(self, written, manifest):
        """Give what was built its names: wavs first, records last.

        Args:
            written (list[Written]), manifest (Manifest): None without records.
        """
        if self.new_wavs:
            facts = [line for result in written for line in result.wav_facts]
            names = {f"{line[0]}.wav" for line in facts}
            for folder in self.subset.wav_tree.folders:
                _keep_only(self.new_wavs / folder, names)
            self.subset.wav_tree.write_lists(facts)
            write(self._receipt, json.dumps({"request": self.request, "rows": len(facts)}))
            sync_tree(self.new_wavs, contents=False)  # write_job has done that
            move_folder(self.new_wavs, self.wavs)
        if self.records:
            write_manifest(self.new_records, manifest)
            swap_in(self.new_records, self.records)
        self._remove_partial()
        print(f"{self.subset.name}: finished, {' and '.join(map(str, filter(None, (self.records, self.wavs))))}",
              flush=True)

    def _remove_partial(self):
        for target in filter(None, (self.records, self.wavs)):
            shutil.rmtree(partial_folder(target), ignore_errors=True)


def _keep_only(folder, names):
    for entry in os.scandir(folder):
        if entry.name not in names:
            Path(entry.path).unlink()
