"""Lookout and its peers as processes that measure and answer line by line."""
import os
import subprocess
import sys

import numpy

import peer

HERE = os.path.dirname(os.path.abspath(__file__))
SUFFIXES = {"onnxruntime": ".onnx", "openvino": ".onnx", "pytorch": ".pth", "mnn": ".mnn", "ncnn": ".ncnn.bin"}


class Engine:
    """`name` is a peer, `lookout`, or `lookout-openblas`, which leaves every product to OpenBLAS."""

    def __init__(self, name, models, network, precision, lookout):
        stem = os.path.join(os.path.abspath(models), network)
        int8 = ".int8" if precision == "int8" else ""
        self.name, self.errors = name, ""
        if name.startswith("lookout"):
            model = f"{stem}{int8}.swiftweights"
            engine = name.removeprefix("lookout").lstrip("-") or "auto"
            command = [lookout, "bench", "driven", "--model", model, "--engine", engine, "--precision", precision]
            self.settings = [(batch, "replicas") for batch in (1, 8, 32)]
            if not int8:
                self.settings.append((1, "lanes"))
        else:
            model = stem + int8 + SUFFIXES[name]
            command = [sys.executable, os.path.join(HERE, "peer.py"), name, stem, precision]
            self.settings = [
                (batch, form) for form in peer.FORMS[name] for batch in peer.BATCHES.get(name, (1, 8, 32))]
            if os.geteuid() == 0:
                command = ["unshare", "-n", *command]
        if not os.path.exists(model):
            raise RuntimeError(f"{name}: {model} is not there")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def ask(self, line):
        try:
            print(line, file=self.process.stdin, flush=True)
            said = self.process.stdout.readline().strip()
        except BrokenPipeError:
            said = ""
        if not said:
            raise RuntimeError(f"{self.name} ended at '{line}'")
        return said

    def setup(self, batch, threads, form):
        if self.ask(f"setup {batch} {threads} {form}") != "ready":
            raise RuntimeError(f"{self.name} cannot be set up with batch {batch}, {threads} threads, {form}")

    def rate(self, seconds):
        return float(self.ask(f"run {seconds}"))

    def answers(self, images, folder):
        path = os.path.join(folder, self.name + ".f32")
        images.tofile(path)
        self.ask("answer " + path)
        return numpy.fromfile(path + ".out", numpy.float32).reshape(len(images), -1)

    def resident(self):
        """MiB."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS:"))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def cosines(ours, theirs):
    """Of each image, each answer's mean taken off."""
    for a, b in zip(ours.astype(float), theirs.astype(float)):
        a, b = a - a.mean(), b - b.mean()
        yield float(a @ b / numpy.sqrt((a @ a) * (b @ b)))
