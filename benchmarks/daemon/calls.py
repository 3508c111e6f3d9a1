"""Counts what the daemon asks of the system for an image: system calls and allocations, thread by thread.

    calls.py --model FILE.swiftweights --photos FOLDER [--build .build/release] [--images 500]

Runs the daemon over so many images and over three times as many; the difference is what an image costs, start and stop
left out. System calls are told by strace, allocations by a library that is loaded before the daemon (allocations.c, built
with cc). Prints one line a thread and call that was made at least once in a hundred images; each batch is one commit, an
`fdatasync` of an engine's thread.
"""
import argparse
import collections
import os
import re
import subprocess
import tempfile

from daemon import Daemon
from growth import read

HERE = os.path.dirname(os.path.abspath(__file__))


def group(name):
    """Threads of a kind together: decode-0 and decode-1 are decode."""
    return re.sub(r"-(\d+|csv|inbox.*)$", "", name)


def system_calls(words, photos, images):
    counts = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        with Daemon(words.build, words.model, wrap=["strace", "-ff", "-o", folder + "/t"]) as daemon:
            daemon.drop(photos, 0, images)
        for file in os.listdir(folder):
            with open(f"{folder}/{file}", errors="replace") as lines:
                text = lines.read()
            name = re.search(r'PR_SET_NAME, "([^"]*)"', text)
            program = re.search(r'execve\("[^"]*/([^"/]*)"', text)
            thread = group(name[1]) if name else program[1] if program else "other"
            counts.update((thread, call) for call in re.findall(r"^(\w+)\(", text, re.MULTILINE))
    return counts


def allocations(words, photos, images):
    counts = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        library = folder + "/allocations.so"
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, HERE + "/allocations.c"], check=True)
        with Daemon(words.build, words.model, environment={
                "LD_PRELOAD": library, "LOOKOUT_ALLOCATIONS": folder + "/counts"}) as daemon:
            daemon.drop(photos, 0, images)
        for file in os.listdir(folder):
            if file.startswith("counts."):
                with open(f"{folder}/{file}") as lines:
                    for line in lines:
                        count, name = line.rstrip("\n").split(" ", 1)
                        counts[group(name), "allocation"] += int(count)
    return counts


def main():
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--model", required=True)
    words.add_argument("--photos", required=True)
    words.add_argument("--build", default=".build/release")
    words.add_argument("--images", type=int, default=500)
    words = words.parse_args()
    photos = read(words.photos)
    print("| thread | call | an image | a batch |\n|---|---|---|---|")
    batches = 0.0
    for measure in (system_calls, allocations):
        few, many = measure(words, photos, words.images), measure(words, photos, 3 * words.images)
        rates = {key: (many[key] - few[key]) / (2 * words.images) for key in sorted(many)}
        batches = rates.get(("engine", "fdatasync"), batches)
        for (thread, call), rate in rates.items():
            if rate >= 0.01:
                print(f"| {thread} | {call} | {rate:.2f} | {rate / batches:.1f} |", flush=True)


main()
