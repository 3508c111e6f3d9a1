"""Compares Lookout with its peers, network by network: answers first, then speed, window by window in turn.

    run.py --models FOLDER --photos FOLDER [--peers onnxruntime,openvino] [--precision fp32,int8,bf16]
           [--batch best|1|8|32] [--lookout-form best|replicas|lanes] [--lookout-engine auto|openblas] [--threads 2]
           [--pairs 5] [--seconds 0.7] [--results benchmarks/results/peers.json] [NAME…]

For each network every engine first runs at each of its settings, batches of 1, 8 and 32 and the ways to use it, a process
each, for seven windows in turn of which the median counts; its best setting is then compared. Each pair of windows measures
Lookout, then the peer (A B A B …); the ratio is taken pair by pair and its median counts. Behind each window there is a
pause, as ONNX Runtime's threads spin for 60 ms after their last batch. Before and after each window the machine's matrix products are timed; a pair in
which they differ by more than a third is dropped, and too many of those are an error.

Answers are to the same tensors of the photos. In floats Lookout's must have a cosine of 0.9999 to the peer's on each
photo; in bytes and in bf16 the cosine of each to ONNX Runtime's floats is written down, the median of 64 photos. bf16 takes the networks in floats
and a processor with AVX512_BF16. Peers run without a network (`unshare -n`, as root). Results replace older ones of the same
network, precision, threads, batch and peer, so an interrupted comparison is taken up by naming what is missing. Needs what
networks.py made.
"""
import argparse
import json
import os
import statistics
import sys
import tempfile
import time

import numpy

import inputs
import table
from engines import SUFFIXES, Engine, cosines

PEERS = {
    "fp32": ("onnxruntime", "openvino", "mnn", "ncnn", "pytorch"), "int8": ("onnxruntime", "openvino"),
    "bf16": ("openvino",)}
PAUSE_SECONDS = 0.1


def products(side=512):
    """How fast this machine multiplies just now, one thread, in Gflop/s."""
    a = numpy.ones((side, side), numpy.float32)
    best = 0.0
    for _ in range(4):
        begun = time.perf_counter()
        a @ a
        best = max(best, 2 * side ** 3 / (time.perf_counter() - begun) / 1e9)
    return best


def rested(engine, seconds):
    """Images a second of one window, and a pause in which the engine's threads come to rest."""
    rate = engine.rate(seconds)
    time.sleep(PAUSE_SECONDS)
    return rate


def wanted(engine, words):
    """The settings of an engine, batch and form, that are asked for."""
    settings = engine.settings
    if words.batch != "best":
        most = max(batch for batch, _ in settings)
        settings = [(batch, form) for batch, form in settings if batch == min(int(words.batch), most)]
    if engine.name.startswith("lookout") and words.lookout_form != "best":
        settings = [(batch, form) for batch, form in settings if form == words.lookout_form]
    return settings


def fastest(engine_name, words, network, precision):
    """An engine at the setting at which it is fastest, a process for each while they are tried in turn."""
    engines = []
    try:
        engines.append(Engine(engine_name, words.models, network, precision, words.lookout))
        settings = wanted(engines[0], words)
        for _ in settings[1:]:
            engines.append(Engine(engine_name, words.models, network, precision, words.lookout))
        for engine, (batch, form) in zip(engines, settings):
            engine.setup(batch, words.threads, form)
            engine.setting = batch, form
        rounds = [[rested(engine, words.seconds) for engine in engines] for _ in range(7)]
        rates = [statistics.median(each) for each in zip(*rounds)]
        return engines.pop(rates.index(max(rates)))
    finally:
        for engine in engines:
            engine.close()


def compare(words, name, precision, lookout, reference, photos, peer_name):
    peer = fastest(peer_name, words, name, precision)
    try:
        with tempfile.TemporaryDirectory() as folder:
            theirs = peer.answers(photos, folder)
            ours = lookout.answers(photos, folder)
        row = {"network": name, "precision": precision, "threads": words.threads, "wanted": f"batch {words.batch}", "batch": lookout.setting[0],
               "peer": peer_name, "lookout": lookout.name, "lookout_form": lookout.setting[1],
               "peer_batch": peer.setting[0], "peer_form": peer.setting[1]}
        if precision == "fp32":
            row["cosine"] = round(min(cosines(ours, theirs)), 6)
            if row["cosine"] < 0.9999:
                raise RuntimeError(f"Lookout and {peer_name} disagree, cosine {row['cosine']}; speed is not compared")
        else:
            row["cosine"], row["peer_cosine"] = (
                round(statistics.median(cosines(each, reference)), 5) for each in (ours, theirs))
        pairs = []
        for _ in range(words.pairs):
            speeds = [products()]
            a = rested(lookout, words.seconds)
            speeds.append(products())
            b = rested(peer, words.seconds)
            speeds.append(products())
            pairs.append((a, b, min(speeds) / max(speeds)))
        kept = [(a, b) for a, b, steady in pairs if steady > 2 / 3]
        if 2 * len(kept) < len(pairs):
            raise RuntimeError(f"the machine changed its speed in {len(pairs) - len(kept)} of {len(pairs)} pairs")
    finally:
        peer.close()
    ratios = sorted(a / b for a, b in kept)
    quarter = len(ratios) // 4
    ratio = statistics.median(ratios)
    return row | {
        "lookout_rate": round(statistics.median(a for a, _ in kept), 2),
        "peer_rate": round(statistics.median(b for _, b in kept), 2), "ratio": round(ratio, 3),
        "spread": round((ratios[-1 - quarter] - ratios[quarter]) / ratio, 3), "pairs": len(kept),
        "dropped": len(pairs) - len(kept), "load": round(os.getloadavg()[0], 2),
    }


def shown_cosines(row):
    return f"{row['cosine']:.4f}" + (f" ({row['peer_cosine']:.4f})" if "peer_cosine" in row else "")


COLUMNS = {
    "network": lambda row: row["network"], "precision": lambda row: row["precision"],
    "threads": lambda row: str(row["threads"]), "Lookout": lambda row: row["lookout"].removeprefix("lookout-"),
    "batch, form": lambda row: f"{row['batch']} {row['lookout_form']}",
    "images/s": lambda row: f"{row['lookout_rate']:.1f}", "peer": lambda row: row["peer"],
    "its batch, form": lambda row: f"{row['peer_batch']} {row['peer_form']}",
    "its images/s": lambda row: f"{row['peer_rate']:.1f}", "ratio": lambda row: f"**{row['ratio']:.2f}**",
    "spread": lambda row: f"{100 * row['spread']:.0f} %", "cosine (peer's)": shown_cosines,
}
KEY = ("network", "precision", "lookout", "threads", "peer", "wanted")


def networks(words, precision):
    suffix = ".int8.swiftweights" if precision == "int8" else ".swiftweights"
    there = {file.removesuffix(suffix) for file in os.listdir(words.models) if file.endswith(suffix)}
    if precision != "int8":
        there = {name for name in there if not name.endswith(".int8")}
    return [name for name in words.names if name in there] if words.names else sorted(there)


def measure(words, name, precision):
    """All peers on one network; gives how many comparisons failed."""
    failed = 0
    photos = inputs.tensors(words.photos, name, count=8 if precision == "fp32" else 64)
    reference = None
    if precision != "fp32":
        floats = Engine("onnxruntime", words.models, name, "fp32", words.lookout)
        floats.setup(1, words.threads, "default")
        with tempfile.TemporaryDirectory() as folder:
            reference = floats.answers(photos, folder)
        floats.close()
    own = "lookout" if words.lookout_engine == "auto" else "lookout-" + words.lookout_engine
    lookout = fastest(own, words, name, precision)
    try:
        for peer in words.peers or PEERS[precision]:
            if peer not in PEERS[precision]:
                continue
            try:
                row = compare(words, name, precision, lookout, reference, photos, peer)
            except RuntimeError as error:
                failed += 1
                print(f"{name}, {precision}, {peer}: {error}", flush=True)
                continue
            table.store(words.results, row, KEY, COLUMNS)
            print(json.dumps(row), flush=True)
    finally:
        lookout.close()
    return failed


def main():
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("names", nargs="*")
    words.add_argument("--models", required=True)
    words.add_argument("--photos", required=True)
    words.add_argument("--peers", type=lambda text: text.split(","))
    words.add_argument("--precision", type=lambda text: text.split(","), default=["fp32", "int8"])
    words.add_argument("--batch", choices=["best", "1", "8", "32"], default="best")
    words.add_argument("--lookout-form", choices=["best", "replicas", "lanes"], default="best")
    words.add_argument("--lookout-engine", choices=["auto", "openblas"], default="auto")
    words.add_argument("--threads", type=int, default=2)
    words.add_argument("--pairs", type=int, default=5)
    words.add_argument("--seconds", type=float, default=0.7)
    words.add_argument("--lookout", default=".build/release/lookout")
    words.add_argument("--results", default="benchmarks/results/peers.json")
    words = words.parse_args()
    unknown = set(words.peers or []) - set(SUFFIXES)
    if unknown:
        raise SystemExit(f"no such peer: {', '.join(sorted(unknown))}; there are {', '.join(SUFFIXES)}")
    unknown = set(words.precision) - set(PEERS)
    if unknown:
        raise SystemExit(f"no such precision: {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    if "bf16" in words.precision and words.lookout_engine != "auto":
        raise SystemExit("OpenBLAS multiplies in fp32; bf16 is compared with --lookout-engine auto")
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    failed = 0
    for precision in words.precision:
        for name in networks(words, precision):
            try:
                failed += measure(words, name, precision)
            except RuntimeError as error:
                failed += 1
                print(f"{name}, {precision}: {error}", flush=True)
    sys.exit(1 if failed else 0)


main()
