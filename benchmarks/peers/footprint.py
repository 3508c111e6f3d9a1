"""Compares what an engine costs beside time: memory at full speed, and the time from exec to the first result.

    footprint.py --models FOLDER --photos FOLDER [--peers onnxruntime,openvino] [--pairs 5]
                 [--results benchmarks/results/footprint.json] [NAME…]

Start: from the start of the process until its answer to one photo is there, libraries and weights in the page cache, in
turn (A B A B). Memory: resident (VmRSS) after half a second of batches of 8 on two threads. Lookout in bytes is compared
with the peer in floats, as that is what it takes the place of.
"""
import argparse
import json
import os
import statistics
import sys
import tempfile
import time

import inputs
import table
from engines import SUFFIXES, Engine

FORMS = {"lookout": "replicas", "onnxruntime": "default", "openvino": "streams"}


def start(words, name, network, precision, photo, folder):
    """Milliseconds."""
    begun = time.perf_counter()
    engine = Engine(name, words.models, network, precision, words.lookout)
    if name != "lookout":
        engine.setup(1, 2, FORMS[name])
    engine.answers(photo, folder)
    taken = time.perf_counter() - begun
    engine.close()
    return 1000 * taken


def memory(words, name, network, precision):
    engine = Engine(name, words.models, network, precision, words.lookout)
    engine.setup(8, 2, FORMS[name])
    engine.rate(0.5)
    resident = engine.resident()
    engine.close()
    return resident


def compare(words, network, precision, peer):
    photo = inputs.tensors(words.photos, network, count=1)
    with tempfile.TemporaryDirectory() as folder:
        for name, kind in (("lookout", precision), (peer, "fp32")):
            start(words, name, network, kind, photo, folder)
        pairs = [
            (start(words, "lookout", network, precision, photo, folder),
             start(words, peer, network, "fp32", photo, folder)) for _ in range(words.pairs)]
    ours, theirs = memory(words, "lookout", network, precision), memory(words, peer, network, "fp32")
    return {
        "network": network, "precision": precision, "peer": peer,
        "lookout_start_ms": round(statistics.median(a for a, _ in pairs)),
        "peer_start_ms": round(statistics.median(b for _, b in pairs)),
        "start_ratio": round(statistics.median(a / b for a, b in pairs), 3),
        "lookout_mib": round(ours), "peer_mib": round(theirs), "memory_ratio": round(ours / theirs, 3),
    }


def main():
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("names", nargs="*", default=["resnet18"])
    words.add_argument("--models", required=True)
    words.add_argument("--photos", required=True)
    words.add_argument("--peers", type=lambda text: text.split(","), default=["onnxruntime", "openvino"])
    words.add_argument("--pairs", type=int, default=5)
    words.add_argument("--lookout", default=".build/release/lookout")
    words.add_argument("--results", default="benchmarks/results/footprint.json")
    words = words.parse_args()
    failed = 0
    for network in words.names:
        for precision in ("fp32", "int8"):
            if not os.path.exists(os.path.join(
                    words.models, network + (".int8" if precision == "int8" else "") + ".swiftweights")):
                continue
            for peer in words.peers:
                if peer not in SUFFIXES or peer not in FORMS:
                    raise SystemExit(f"no such peer: {peer}; there are onnxruntime and openvino")
                try:
                    row = compare(words, network, precision, peer)
                except RuntimeError as error:
                    failed += 1
                    print(f"{network}, {precision}, {peer}: {error}", flush=True)
                    continue
                table.store(words.results, row, ("network", "precision", "peer"), {
                    "network": lambda row: f"{row['network']} {row['precision']}",
                    "peer, fp32": lambda row: row["peer"],
                    "first result, ms": lambda row: f"{row['lookout_start_ms']}",
                    "its, ms": lambda row: f"{row['peer_start_ms']}",
                    "ratio": lambda row: f"**{row['start_ratio']:.2f}**",
                    "resident, MiB": lambda row: f"{row['lookout_mib']}", "its, MiB": lambda row: f"{row['peer_mib']}",
                    "ratio ": lambda row: f"**{row['memory_ratio']:.2f}**"})
                print(json.dumps(row), flush=True)
    sys.exit(1 if failed else 0)


main()
