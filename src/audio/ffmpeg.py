"""What libsndfile cannot read (m4a, mp4, webm, ...), decoded by the program ffmpeg where there is one."""

import re
import resource
import shutil
import signal
import subprocess
import tempfile

PROGRAM = "ffmpeg"
NO_SOUND = "the file has no sound track"
CPU_SECONDS = 900  # of its own, far more than hours of audio take: a file made to keep it busy ends there


def available():
    """Whether the program is on the PATH."""
    return shutil.which(PROGRAM) is not None


class Decoder:
    """The first audio stream of a file as Sun audio (32-bit float, any length) in a pipe.

    Attributes:
        descriptor (int): of the pipe.
    """

    def __init__(self, path):
        self._said = tempfile.TemporaryFile()
        # file: keeps a name with a colon from being taken for a protocol
        command = [PROGRAM, "-nostdin", "-v", "error", "-i", f"file:{path}", "-map", "0:a:0", "-c:a", "pcm_f32be",
                   "-f", "au", "-"]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._said,
                                         start_new_session=True)  # Ctrl-C is ours: we end it
        resource.prlimit(self._process.pid, resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
        self.descriptor = self._process.stdout.fileno()

    def problem(self):
        """Once nothing more is wanted from the pipe: None, or why the program failed."""
        self._process.stdout.close()  # it may still be writing
        status = self._process.wait()
        if status == 0:
            return None
        if status == -signal.SIGXCPU:
            return f"given up after {CPU_SECONDS} s of CPU time"
        lines = self.complaints()
        if any("matches no streams" in line for line in lines):
            return NO_SOUND
        return lines[0] if lines else f"ended with status {status}"

    def complaints(self):
        """The lines that the program has complained with, without addresses. The first tells most: what failed then is
        told in general words."""
        self._said.seek(0)
        lines = self._said.read(1 << 16).decode(errors="replace").splitlines()
        return [text for line in lines if (text := re.sub(r"^(\[[^\]]*\] *)+", "", line).strip())]

    def close(self):
        """Ends the program if it still runs."""
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        self._said.close()
