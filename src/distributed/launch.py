"""Starts train.py on several devices with msrun and looks after it: run_distribute_train.sh calls this.

What msrun does not do: its Ctrl-C kills the workers at once, and a killed worker ends the job after a minute and with a
traceback. Here Ctrl-C lets them save, and the end of a worker is told in a line.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil

from src.core import output
from src.core.errors import UserError
from src.core.files import ROOT
from src.core.signals import end_with_parent
from src.distributed.rank_table import read_rank_table

NO_TABLE = ("", "none", "-")
ENDED = re.compile(r"Worker process (\d+) exit with exception. Error code: (-?\d+)")
GO_ON = "--resume goes on from last.ckpt"
LOOK_SECONDS = 0.3
STOPPED = (143, -signal.SIGTERM)  # while libraries were loaded: nothing to save
PATIENCE_SECONDS = 120  # after Ctrl-C, for the step and its checkpoint


def main(argv):
    """Run a job: DEVICE_NUM DISTRIBUTE RANK_TABLE_FILE [flags of train.py]. Returns its exit status."""
    count, distribute, table, *flags = argv
    count, environment, total = plan(count, distribute, table, os.environ)
    train = [sys.executable, "-u", str(ROOT / "train.py"), *flags]
    if total == 1:
        return Job(train, environment, Path(os.devnull)).wait()
    log_dir = Path(environment.get("LOG_DIR", "train_parallel"))
    log_dir.mkdir(parents=True, exist_ok=True)
    for stale in log_dir.glob("*.log"):
        stale.unlink()
    node = int(environment.get("NODE_RANK", -1))
    address = environment.get("MASTER_ADDR", "127.0.0.1")
    first = max(node, 0) * count
    port = environment.get("MASTER_PORT") or free_port()
    # --tail_worker_log: on one machine there is no such worker, which keeps their output to their logs
    command = [str(Path(sys.executable).with_name("msrun")), f"--worker_num={total}", f"--local_worker_num={count}",
               f"--master_addr={address}", f"--master_port={port}", f"--node_rank={node}", "--join=True",
               f"--log_dir={log_dir}", f"--tail_worker_log={count}",
               f"--cluster_time_out={environment.get('CLUSTER_TIME_OUT', 600)}"]
    if table not in NO_TABLE and environment.get("DEVICE_TARGET", "Ascend") == "Ascend":
        command.append(f"--rank_table_file={table}")
    command += ["python", "-u", str(ROOT / "train.py"), "--distribute", "1", *flags]
    job = Job(command, environment, log_dir, first)
    job.show(f"{count} processes here, {total} in all; their logs: {log_dir}\n".encode())
    return job.wait()


def plan(count, distribute, table, environment):
    """What a job's arguments mean: (processes here, environment for them, processes in all).

    Raises:
        UserError: they contradict each other, or the rank table.
    """
    if not re.fullmatch(r"[1-9]\d{0,4}", count):
        raise UserError(f"DEVICE_NUM must be a whole number from 1, got {count!r}")
    count = int(count)
    words = {"1": True, "true": True, "0": False, "false": False}
    if distribute.lower() not in words:
        raise UserError(f"DISTRIBUTE must be 1 or 0 (true, false), got {distribute!r}")
    environment = dict(environment)
    node = _number(environment, "NODE_RANK", 0)
    total = count
    if table not in NO_TABLE:
        servers = read_rank_table(table)
        if not 0 <= node < len(servers):
            raise UserError(f"NODE_RANK is {node}, but RANK_TABLE_FILE {table} has {len(servers)} servers, "
                            "counted from 0")
        ids, total = servers[node], sum(map(len, servers))
        if len(ids) != count:
            raise UserError(f"DEVICE_NUM is {count}, but RANK_TABLE_FILE {table} has {len(ids)} devices"
                            + (f" for server {node}" if len(servers) > 1 else ""))
        environment["ASCEND_RT_VISIBLE_DEVICES"] = ",".join(map(str, ids))
    stated = _number(environment, "WORKER_NUM", total)
    if stated < count or (table not in NO_TABLE and stated != total):
        where = "on this machine alone (DEVICE_NUM)" if table in NO_TABLE else f"in RANK_TABLE_FILE {table}"
        raise UserError(f"WORKER_NUM (processes in all) is {stated}, but there are {total} {where}")
    if not words[distribute.lower()] and stated > 1:
        raise UserError(f"DISTRIBUTE is {distribute}, but {stated} devices are asked for; give 1, or one device")
    if stated > count and ("MASTER_ADDR" not in environment or "MASTER_PORT" not in environment
                           or "NODE_RANK" not in environment):
        raise UserError("a job on several machines needs MASTER_ADDR (the first machine's), MASTER_PORT and NODE_RANK "
                        "(0 on the first machine) in the environment")
    environment.setdefault("GLOG_v", "3")
    environment["LOCAL_WORKER_NUM"] = str(count)
    # msrun finds its python, and ours, there
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment.get('PATH', '')}"
    return count, environment, stated


def _number(environment, name, default):
    value = environment.get(name, default)
    try:
        return int(value)
    except ValueError:
        raise UserError(f"{name} must be a whole number, got {value!r}") from None


def free_port():
    """A port for the processes of one machine to meet at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Job:
    """A running train.py, or an msrun with several of them: shows the first one's output, also in train.log.

    Args:
        log_dir (Path): where msrun's workers write.
        first (int): rank of the first process on this machine.
    """

    def __init__(self, command, environment, log_dir, first=None):
        self.single = first is None
        self.log_dir, self.first = log_dir, first
        self.asked = 0.0
        self.tee = None
        self.lenient = output.Lenient("the training")
        self.lenient("train.log", self._open_log)
        self.output = subprocess.PIPE if self.single else open(log_dir / "msrun.log", "wb")
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask_to_stop)
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=self.output,
                                        stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=end_with_parent)

    def _open_log(self):
        self.tee = open("train.log", "wb", buffering=0)

    def wait(self):
        """Show the output until the job has ended; returns its exit status."""
        try:
            return self._wait_single() if self.single else self._wait_all()
        finally:
            output.flush()  # what could not be written has been told of, and is no reason to fail

    def _wait_single(self):
        for line in self.process.stdout:
            self.show(line)
        status = self.process.wait()
        return 130 if self.asked and status in STOPPED else status

    def _wait_all(self):
        shown = 0
        log = self.log_dir / f"worker_{self.first}.log"
        while True:
            status = self.process.poll()
            if log.exists():
                with open(log, "rb") as file:
                    file.seek(shown)
                    new = file.read()
                if status is None:  # whole lines
                    new = new[: new.rfind(b"\n") + 1]
                shown += len(new)
                self.show(new)
            ended = ENDED.search((self.log_dir / "msrun.log").read_text(errors="replace"))
            if status == 0 and not ended:
                return 0
            if ended or status is not None:
                return self._explain(ended)
            if self.asked and time.monotonic() - self.asked > PATIENCE_SECONDS:
                self._end_all()
                raise UserError(f"the processes did not stop within {PATIENCE_SECONDS} s and were killed; {GO_ON}")
            time.sleep(LOOK_SECONDS)

    def _explain(self, ended):
        """The job is over before its time: say why, leave nobody behind."""
        time.sleep(2 * LOOK_SECONDS)  # msrun stops the others
        self._end_all()
        code = int(ended[2]) if ended else None
        if code == 130 or (self.asked and code in (None, 0, *STOPPED)):
            return 130
        causes = []
        for path in sorted(self.log_dir.glob("worker_*.log")):
            lines = [line for line in path.read_text(errors="replace").splitlines() if line.startswith("error: ")]
            if lines:
                causes.append((path.stem, lines[-1].removeprefix("error: ")))
        if causes:
            raise UserError(f"{causes[0][0]}: {causes[0][1]}")
        if code is not None and code < 0:
            raise UserError(f"a worker process (pid {ended[1]}) was killed by signal {-code} "
                            f"({_signal_name(-code)}), the others were stopped; logs: {self.log_dir}; {GO_ON}")
        raise UserError(f"a process ended before its time{f' with status {code}' if code else ''} and left no error "
                        f"(killed, or out of memory?), the others were stopped; logs: {self.log_dir}; {GO_ON}")

    def _ask_to_stop(self, number, _frame):
        if self.asked and number == signal.SIGINT:
            self._end_all()
            os._exit(130)
        self.asked = time.monotonic()
        for process in [self.process] if self.single else self._workers():
            process.send_signal(signal.SIGTERM)

    def _workers(self):
        """msrun's children that train; its scheduler must not be disturbed."""
        found = []
        for child in _children(self.process.pid):
            try:
                if child.environ().get("MS_ROLE") == "MS_WORKER":
                    found.append(child)
            except psutil.Error:
                continue
        return found

    def _end_all(self):
        for process in [*_children(self.process.pid), self.process]:
            try:
                process.kill()
            except psutil.Error:
                continue
        self.process.wait()

    def show(self, data):
        """Bytes to stdout and train.log."""
        if not self.single:  # errors come at the end
            data = b"".join(line for line in data.splitlines(True) if not line.startswith((b"error: ", b"[INFO] DIST")))
        self.lenient("stdout", _write, sys.stdout.buffer, data)
        if self.tee:
            self.lenient("train.log", self.tee.write, data)


def _write(stream, data):
    stream.write(data)
    stream.flush()


def _children(pid):
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def _signal_name(number):
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
