"""A daemon of its own over a scratch folder, for the measurements beside this file; lookoutd must be built."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time


class Daemon:
    """Runs while it is a context; `wrap` comes before the command, as `strace -f`."""

    def __init__(self, build, model, watches=1, workers=2, wrap=(), environment=None, scratch="/tmp"):
        self.build, self.wrap, self.environment = os.path.abspath(build), list(wrap), environment or {}
        self.root = tempfile.mkdtemp(prefix="lookout-bench-", dir=scratch)
        self.table = f"{self.root}/results.csv"
        self.staging = f"{self.root}/staging"
        self.inboxes = [f"{self.root}/inbox-{number}" for number in range(watches)]
        for folder in (*self.inboxes, self.staging, f"{self.root}/plugins"):
            os.mkdir(folder)
        os.symlink(f"{self.build}/liblookout-sink-csv.so", f"{self.root}/plugins/lookout-sink-csv.so")
        tables = "".join(
            f'[watches.inbox-{number}]\npath = "{inbox}"\nsinks = ["table"]\n'
            for number, inbox in enumerate(self.inboxes))
        with open(f"{self.root}/lookout.toml", "w") as file:
            file.write(
                f'[daemon]\nstate_dir = "{self.root}/state"\nruntime_dir = "{self.root}/run"\n'
                f'plugin_dirs = ["{self.root}/plugins"]\nworkers = {workers}\n'
                f'[models.default]\nfile = "{os.path.abspath(model)}"\n{tables}'
                f'[sinks.table]\nplugin = "csv"\npath = "{self.table}"\n')
        self.offset = self.lines = 0

    def __enter__(self):
        notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notices.bind(f"{self.root}/notify")
        notices.settimeout(600)
        self.log = open(f"{self.root}/log", "w")
        self.process = subprocess.Popen(
            [*self.wrap, f"{self.build}/lookoutd", "--config", f"{self.root}/lookout.toml"], stderr=self.log,
            env={"PATH": "/usr/bin:/bin", "NOTIFY_SOCKET": f"{self.root}/notify", **self.environment})
        while b"READY=1" not in notices.recv(8192):
            pass
        notices.setblocking(False)
        self.notices = notices
        return self

    def __exit__(self, *_):
        for process in self.daemons():
            os.kill(process, signal.SIGTERM)
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.root)

    def drop(self, photos, start, count):
        """Renames `count` copies of photos into the inboxes in turn, each with bytes of its own; waits for their rows."""
        names = []
        for number in range(start, start + count):
            photo = photos[number % len(photos)]
            comment = b"\xff\xfe\x00\x0c%010d" % number
            name = f"photo-{number}.jpg"
            with open(f"{self.staging}/{name}", "wb") as file:
                file.write(photo[:2] + comment + photo[2:])
            names.append(name)
        for number, name in enumerate(names):
            os.rename(f"{self.staging}/{name}", f"{self.inboxes[number % len(self.inboxes)]}/{name}")
        self.wait(start + count)

    def wait(self, rows):
        end = time.monotonic() + 600
        while self.rows() < rows:
            self.drain()
            if time.monotonic() > end:
                raise SystemExit(f"{self.rows()} of {rows} rows after ten minutes; see {self.root}/log")
            time.sleep(0.01)

    def drain(self):
        try:
            while True:
                self.notices.recv(8192)
        except BlockingIOError:
            pass

    def rows(self):
        """Without the header; only what is new is read."""
        try:
            with open(self.table, "rb") as file:
                file.seek(self.offset)
                new = file.read()
        except FileNotFoundError:
            return 0
        self.offset += len(new)
        self.lines += new.count(b"\n")
        return self.lines - 1

    def daemons(self):
        """The process, or what the wrapper started, and the sink hosts below it."""
        found, waiting = [], [self.process.pid]
        while waiting:
            process = waiting.pop()
            try:
                with open(f"/proc/{process}/comm") as file:
                    name = file.read().strip()
                for thread in os.listdir(f"/proc/{process}/task"):
                    with open(f"/proc/{process}/task/{thread}/children") as file:
                        waiting += [int(child) for child in file.read().split()]
            except FileNotFoundError:
                continue
            if name == "lookoutd":
                found.append(process)
        return found or [self.process.pid]

    def hosts(self):
        """The sinks' processes, by number."""
        found = []
        for process in self.daemons():
            for thread in os.listdir(f"/proc/{process}/task"):
                with open(f"/proc/{process}/task/{thread}/children") as file:
                    found += file.read().split()
        return found

    def threads(self):
        """Seconds on a processor by thread, those that have ended as one, sink hosts as one."""
        tick, seconds = os.sysconf("SC_CLK_TCK"), {}
        for process in self.daemons():
            hosts = []
            with open(f"/proc/{process}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            ended = (int(fields[11]) + int(fields[12])) / tick
            for thread in os.listdir(f"/proc/{process}/task"):
                try:
                    with open(f"/proc/{process}/task/{thread}/stat") as file:
                        name, fields = file.read().rsplit(")", 1)
                    with open(f"/proc/{process}/task/{thread}/children") as file:
                        hosts += file.read().split()
                except FileNotFoundError:
                    continue
                fields = fields.split()
                name = name.split("(", 1)[1]
                taken = (int(fields[11]) + int(fields[12])) / tick
                seconds[name] = seconds.get(name, 0) + taken
                ended -= taken
            seconds["ended"] = seconds.get("ended", 0) + ended
            for host in hosts:
                with open(f"/proc/{host}/stat") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
                seconds["sink host"] = seconds.get("sink host", 0) + (int(fields[11]) + int(fields[12])) / tick
        return seconds

    def resident(self):
        """MiB, the daemon alone."""
        with open(f"/proc/{self.daemons()[0]}/status") as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS:"))
