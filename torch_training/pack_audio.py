"""Take audio to another machine: a folder to zip archives of 16-bit FLAC at the model's rate, and back to a folder.

    python torch_training/pack_audio.py --in_dir voices --out packed/voices
    python torch_training/pack_audio.py --unpack packed/voices --out voices

Folders and names stay: voices, noises, rooms and wav trees alike. A record folder of preprocess.py --task speech or
noise becomes a folder of recordings (needs MindSpore).
"""

import io
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402
import soundfile  # noqa: E402

from src.audio.files import probe, read_pcm16, read_span, resample, to_pcm16  # noqa: E402
from src.audio.formats import in_corpus  # noqa: E402
from src.audio.levels import protect  # noqa: E402
from src.core.command_line import parse_args  # noqa: E402
from src.core.errors import UserError, disk_errors, run_cli  # noqa: E402
from src.core.options import option, require  # noqa: E402
from src.data.records.manifest import NAME as MANIFEST_NAME  # noqa: E402


@dataclass
class PackConfig:
    """pack_audio.py: audio to archives for another machine, and back."""

    in_dir: str = option("", "folder of wav or FLAC at any depth, or a record folder of single recordings")
    unpack: str = option("", "instead: folder of archives that this script wrote")
    out: str = option("", "output folder: of the archives part-000.zip ..., or of what was in them")
    sample_rate: int = option(8000, "Hz; of several channels the first is kept", low=1)
    part_mib: float = option(48.0, "an archive is at most this large, MiB", above=0.0)


def main(argv):
    config = parse_args(PackConfig, argv)
    if bool(config.in_dir) == bool(config.unpack):
        raise UserError("give one of --in_dir and --unpack")
    require(config, "out")
    out = Path(config.out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"--out {out}: exists and is not empty")
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        if config.unpack:
            print(f"{unpack(Path(config.unpack), out)} files in {out}")
            return
        files, parts, size = pack(config, out)
    print(f"{files} files in {parts} archives, {size / 2**20:.1f} MiB; {out}")


def pack(config, out):
    """Write the archives; returns (files, archives, bytes)."""
    limit, files, parts, size, archive = config.part_mib * 2**20, 0, 0, 0, None
    try:
        for name, content in contents(config):
            if archive is None or size_of(archive) + len(content) + 512 > limit:
                if archive:
                    archive.close()
                archive = zipfile.ZipFile(out / f"part-{parts:03d}.zip", "w", zipfile.ZIP_STORED)
                parts += 1
            archive.writestr(zipfile.ZipInfo(name), content)
            files, size = files + 1, size + len(content)
    finally:
        if archive:
            archive.close()
    return files, parts, size


def size_of(archive):
    """Bytes an open archive will have: what is written, and its directory."""
    return archive.fp.tell() + sum(2 * len(info.filename) + 92 for info in archive.infolist())


def contents(config):
    """Yield (name in the archive, FLAC bytes) of every recording."""
    folder, rate = Path(config.in_dir), config.sample_rate
    if not folder.is_dir():
        raise UserError(f"--in_dir {folder}: {'not a folder' if folder.exists() else 'no such folder'}")
    if (folder / MANIFEST_NAME).exists():
        yield from record_contents(folder, rate)
        return
    paths = sorted(p for p in folder.rglob("*") if in_corpus(p)
                   and not any(part.startswith(".") for part in p.relative_to(folder).parts))
    if not paths:
        raise UserError(f"--in_dir {folder}: no wav or FLAC in it")
    names = [str(PurePosixPath(p.relative_to(folder)).with_suffix(".flac")) for p in paths]
    if len(set(names)) < len(names):
        twice = sorted(name for name in set(names) if names.count(name) > 1)
        raise UserError(f"--in_dir {folder}: {twice[0]} would be there twice, of a wav and of a FLAC")
    with ThreadPoolExecutor() as pool:
        for first in range(0, len(paths), 64):
            block = slice(first, first + 64)
            yield from zip(names[block], pool.map(lambda path: flac(pcm_of(path, rate), rate), paths[block]))


def pcm_of(path, rate):
    """First channel of a file at the wanted rate, int16 [T]: as it is where it has that rate and 16 bits; scaled down
    where it passes full scale."""
    info = probe(path)
    if info.sample_rate == rate and info.channels == 1 and soundfile.info(str(path)).subtype == "PCM_16":
        return read_pcm16(path, rate)
    samples = np.array(resample(*read_span(path), rate))
    if np.abs(samples).max() >= 1:
        protect(samples)
    return to_pcm16(samples)


def record_contents(folder, rate):
    """:func:`contents` of a record folder, in the order of its rows."""
    from src.data.loading.speaker_tapes import Tapes
    from src.data.records.manifest import load_manifest

    tapes = Tapes(folder, rate, task=load_manifest(folder).task)
    rows = tapes.recordings(list(range(tapes.rows)))
    for speaker, lengths in tapes.manifest.speakers.items():
        for n in range(len(lengths)):
            yield str(PurePosixPath(speaker) / f"{n:06d}.flac"), flac(next(rows)[0], rate)


def flac(pcm, rate):
    """int16 [T] as the contents of a FLAC file."""
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, rate, subtype="PCM_16", format="FLAC")
    return buffer.getvalue()


def unpack(folder, out):
    """Write what the archives of a folder hold; returns the number of files."""
    parts = sorted(folder.glob("part-*.zip"))
    if not parts:
        raise UserError(f"--unpack {folder}: no part-*.zip in it")
    files = 0
    for part in parts:
        try:
            with zipfile.ZipFile(part) as archive:
                archive.extractall(out)  # which lets no name lead out of the folder
                files += len(archive.namelist())
        except (zipfile.BadZipFile, EOFError) as error:
            raise UserError(f"{part}: not readable as zip ({error}); copy it again") from None
    return files


if __name__ == "__main__":
    run_cli(main)
