"""Compares Lookout with its peers, network by network: answers first, then speed, window by window in turn.

    run.py --models FOLDER [--peers onnxruntime,openvino,pytorch] [--batch 8] [--threads 2] [--rounds 5] [--seconds 1]
           [--results benchmarks/results/peers.json] [NAME…]

Each round measures Lookout, then the peer (A B A B …); the ratio is taken pair by pair and its median counts. Before each
window the machine's matrix products are timed; a pair in which they ran below four fifths of the best seen is dropped.
Peers run without a network (`unshare -n`, as root). Results of a network, batch and peer replace older ones in the file,
so an interrupted comparison is taken up by naming what is missing. Needs what networks.py and peer.py need.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))


class Peer:
    def __init__(self, name, stem, batch, threads):
        bare = ["unshare", "-n"] if os.geteuid() == 0 else []
        self.process = subprocess.Popen(
            [*bare, sys.executable, os.path.join(HERE, "peer.py"), name, stem, str(batch), str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{name} did not start")

    def ask(self, line):
        print(line, file=self.process.stdin, flush=True)
        return self.process.stdout.readline().strip()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def lookout_rate(words, stem):
    out = subprocess.run(
        [words.lookout, "bench", "engine", "--json", "--model", stem + ".swiftweights", "--batch", str(words.batch),
         "--threads", str(words.threads), "--rounds", "1", "--seconds", str(words.seconds)],
        stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(out.splitlines()[-1])["median"]


def products():
    """How fast this machine multiplies just now, one thread, in Gflop/s."""
    a = numpy.ones((512, 512), numpy.float32)
    best = 0.0
    for _ in range(8):
        begun = time.perf_counter()
        a @ a
        best = max(best, 2 * 512 ** 3 / (time.perf_counter() - begun) / 1e9)
    return best


def logits_agree(words, stem, peer):
    """Cosine of the two engines' log-probabilities over one photo, its mean taken off."""
    side = 299 if "inception" in stem else 224
    noise = numpy.random.default_rng(2).integers(0, 256, (9, 9, 3), numpy.uint8)
    image = Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC)
    with tempfile.TemporaryDirectory() as folder:
        # The preprocessing takes the shorter side to `resize` and cuts the middle; a picture of that size is only cut.
        resize = 342 if side == 299 else 256
        canvas = Image.new("RGB", (resize, resize))
        edge = round((resize - side) / 2)
        canvas.paste(image, (edge, edge))
        canvas.save(os.path.join(folder, "noise.png"))
        out = subprocess.run(
            [words.lookout, "classify", "--json", "--top", "1000", "--model", stem + ".swiftweights",
             os.path.join(folder, "noise.png")], stdout=subprocess.PIPE, text=True, check=True).stdout
        ours = numpy.zeros(1000)
        for prediction in json.loads(out)["predictions"]:
            ours[prediction["index"]] = numpy.log(max(prediction["score"], 1e-30))
        pixels = (numpy.asarray(image, numpy.float32) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        path = os.path.join(folder, "input.npy")
        numpy.save(path, pixels.transpose(2, 0, 1)[None].astype(numpy.float32))
        peer.ask("answer " + path)
        theirs = numpy.load(path + ".out.npy")[0].astype(float)
    ours -= ours.mean()
    theirs -= theirs.mean()
    return float(ours @ theirs / numpy.sqrt((ours @ ours) * (theirs @ theirs)))


def compare(words, name, peer_name):
    stem = os.path.join(words.models, name)
    peer = Peer(peer_name, stem, words.batch, words.threads)
    try:
        cosine = logits_agree(words, stem, peer)
        if cosine < 0.999:
            raise RuntimeError(f"{name}: Lookout and {peer_name} disagree, cosine {cosine:.5f}; speed is not compared")
        pairs, best, dropped = [], 0.0, 0
        for _ in range(words.rounds):
            before = products()
            ours = lookout_rate(words, stem)
            between = products()
            theirs = float(peer.ask(f"run {words.seconds}"))
            best = max(best, before, between)
            pairs.append((ours, theirs, min(before, between)))
        kept = [(a, b) for a, b, machine in pairs if machine > 0.8 * best]
        dropped = len(pairs) - len(kept)
    finally:
        peer.close()
    if not kept:
        raise RuntimeError("the machine was busy in every window")
    ratios = sorted(a / b for a, b in kept)
    quarter = len(ratios) // 4
    ratio = statistics.median(ratios)
    return {
        "network": name, "precision": "fp32", "threads": words.threads, "batch": words.batch, "peer": peer_name,
        "lookout_rate": round(statistics.median(a for a, _ in kept), 2),
        "peer_rate": round(statistics.median(b for _, b in kept), 2), "ratio": round(ratio, 3),
        "spread": round((ratios[-1 - quarter] - ratios[quarter]) / ratio, 3), "pairs": len(kept), "dropped": dropped,
        "cosine": round(cosine, 6), "load": round(os.getloadavg()[0], 2),
    }


def store(path, found):
    """Keeps the file whole and sorted, and a table beside it."""
    known = json.load(open(path)) if os.path.exists(path) else []

    def key(row):
        return row["network"], row["precision"], row["threads"], row["batch"], row["peer"]
    rows = sorted([row for row in known if key(row) != key(found)] + [found], key=key)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    json.dump(rows, open(path, "w"), indent=1)
    with open(os.path.splitext(path)[0] + ".md", "w") as out:
        out.write("| network | batch | threads | peer | Lookout, images/s | peer, images/s | ratio | spread |\n")
        out.write("|---|---|---|---|---|---|---|---|\n")
        for row in rows:
            out.write(f"| {row['network']} | {row['batch']} | {row['threads']} | {row['peer']} | {row['lookout_rate']:.1f} "
                      f"| {row['peer_rate']:.1f} | {row['ratio']:.2f} | {100 * row['spread']:.0f} % |\n")


def main():
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("names", nargs="*")
    words.add_argument("--models", required=True)
    words.add_argument("--peers", default="onnxruntime,openvino,pytorch")
    words.add_argument("--batch", type=int, default=8)
    words.add_argument("--threads", type=int, default=2)
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--seconds", type=float, default=1)
    words.add_argument("--lookout", default=".build/release/lookout")
    words.add_argument("--results", default="benchmarks/results/peers.json")
    words = words.parse_args()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    names = words.names or sorted(n[:-13] for n in os.listdir(words.models) if n.endswith(".swiftweights"))
    for name in names:
        for peer in words.peers.split(","):
            try:
                row = compare(words, name, peer)
            except (RuntimeError, subprocess.CalledProcessError) as error:
                print(f"{name}, {peer}: {error}", flush=True)
                continue
            store(words.results, row)
            print(json.dumps(row), flush=True)


main()
