"""Shows where the time of an image goes in the daemon: a flame graph and a table, by perf.

    profile.py --model FILE.swiftweights --photos FOLDER --out FILE.svg [--build .build/release] [--images 400]

Samples every thread of the daemon and its sink host with their call stacks (perf record on the processor clock, so that
no hardware counters are needed) while it answers so many photos after a warm-up. Prints a table of microseconds an image by
thread and by what the thread was doing; the graph has a box for each function, as wide as its share, callers below. Needs
perf, and swift for readable names.
"""
import argparse
import collections
import html
import os
import re
import subprocess
import tempfile
import time

from daemon import Daemon
from growth import read

# What a thread is doing, by the innermost function or library that says so.
WORK = (
    ("entropy decoding, transforms and colours (libjpeg-turbo)", r"\(libjpeg|^jpeg_|^jsimd|^jinit"),
    ("PNG (libpng, zlib)", r"\(libpng|\(libz"),
    ("resizing", r"ic_resample"), ("turning and cropping", r"PixelStage|ic_turn|ic_copy"),
    ("normalising", r"ic_normalise"), ("SHA-256 (libcrypto)", r"\(libcrypto"),
    ("ledger (SQLite)", r"\(libsqlite"), ("OpenBLAS", r"\(libopenblas"),
    ("network", r"6Engine.*(run|compute)|InferencePlan|QuantizedPlan"), ("reading files", r"readAll|pread|openat"),
    ("best labels", r"topK|predictions"),
)


def demangled(lines):
    names = sorted({name for line in lines for name in line if name.startswith("$s")})
    try:
        done = subprocess.run(
            ["swift", "demangle", "--simplified", "--compact"], input="\n".join(names), capture_output=True, text=True)
        known = dict(zip(names, done.stdout.splitlines()))
    except FileNotFoundError:
        known = {}
    return [tuple(known.get(name, name) for name in line) for line in lines]


def stacks(data):
    """Call stacks with the thread first, and how often each was met."""
    text = subprocess.run(
        ["perf", "script", "-i", data, "-F", "comm,ip,sym,dso"], capture_output=True, text=True, check=True).stdout
    found = []
    for sample in text.split("\n\n"):
        lines = sample.strip().split("\n")
        if len(lines) < 2:
            continue
        frames = []
        for line in lines[1:]:
            part = re.match(r"\s*[0-9a-f]+ (.*?)(?:\+0x[0-9a-f]+)? \((.*)\)$", line)
            if not part:
                continue
            name, library = part[1], os.path.basename(part[2])
            frames.append(f"({library.split('.so')[0]})" if name == "[unknown]" else name)
        thread = re.sub(r"-(\d+|table|inbox.*)$", "", lines[0].strip().split("\t")[0].strip())
        found.append((thread, *reversed(frames)))
    return collections.Counter(demangled(found))


def work(stack):
    for frame in reversed(stack[1:]):
        for name, pattern in WORK:
            if re.search(pattern, frame):
                return name
    return "the rest"


def picture(counts, path):
    """A flame graph: the root at the bottom, boxes in the order of their names."""
    total, height, width = sum(counts.values()), 16, 1200
    tree = {}
    for stack, count in counts.items():
        place = tree
        for frame in stack:
            entry = place.setdefault(frame, [0, {}])
            entry[0] += count
            place = entry[1]
    boxes, deepest = [], 0

    def draw(place, left, level):
        nonlocal deepest
        for name, (count, inner) in sorted(place.items()):
            share = width * count / total
            if share >= 0.6:
                deepest = max(deepest, level)
                boxes.append((left, level, share, name, count))
                draw(inner, left, level + 1)
            left += share
    draw(tree, 0.0, 0)
    with open(path, "w") as out:
        out.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {(deepest + 1) * height}" '
                  f'font-family="monospace" font-size="11">\n')
        for left, level, share, name, count in boxes:
            top = (deepest - level) * height
            hue = 20 + sum(name.encode()) % 40
            label = name[:max(0, int(share / 6.7))] if share > 20 else ""
            out.write(
                f'<g><title>{html.escape(name)}: {100 * count / total:.1f} %</title><rect x="{left:.1f}" y="{top}" '
                f'width="{share:.1f}" height="{height - 1}" fill="hsl({hue},80%,65%)"/>'
                f'<text x="{left + 2:.1f}" y="{top + 12}">{html.escape(label)}</text></g>\n')
        out.write("</svg>\n")


def main():
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--model", required=True)
    words.add_argument("--photos", required=True)
    words.add_argument("--out", required=True)
    words.add_argument("--build", default=".build/release")
    words.add_argument("--images", type=int, default=400)
    words = words.parse_args()
    photos = read(words.photos)
    with tempfile.TemporaryDirectory() as folder:
        data = folder + "/perf"
        with Daemon(words.build, words.model) as daemon:
            daemon.drop(photos, 0, 48)
            processes = [str(daemon.process.pid), *daemon.hosts()]
            perf = subprocess.Popen(
                ["perf", "record", "-q", "-o", data, "-e", "cpu-clock", "-F", "997", "--call-graph", "fp", "-p",
                 ",".join(processes)], stderr=subprocess.DEVNULL)
            time.sleep(0.5)
            before = sum(daemon.threads().values())
            daemon.drop(photos, 48, words.images)
            taken = sum(daemon.threads().values()) - before
            perf.send_signal(2)
            perf.wait()
        counts = stacks(data)
    total = sum(counts.values())
    table = collections.Counter()
    for stack, count in counts.items():
        table[stack[0], work(stack)] += count
    print(f"{1e6 * taken / words.images:.0f} µs an image on all processors, {total} samples\n")
    print("| thread | work | µs an image | share |\n|---|---|---|---|")
    for (thread, name), count in table.most_common():
        if count >= total / 1000:
            print(f"| {thread} | {name} | {1e6 * taken / words.images * count / total:.0f} | {100 * count / total:.1f} % |")
    picture(counts, words.out)


main()
