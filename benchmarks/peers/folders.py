"""Compares the way from a folder of photos to durable rows of a CSV file: Lookout's daemon and Python scripts in turn.

    folders.py --models FOLDER --photos FOLDER[,FOLDER…] [--ways pool,loader,expert] [--networks resnet18,mobilenet_v2]
               [--pairs 3] [--seconds 3] [--results benchmarks/results/folders.json]

Each folder of --photos has photos of one size, as 500x375; of its name the table speaks. `folder.py` has the ways;
`expert` is compared with Lookout in bytes, the others with Lookout in floats. Before speed, the rows are compared: the
share of photos with the same first class. That of a reduced or quantized way need not be one. Each pair is one run of
Lookout (`lookout bench pipeline`), then one of the script, over as many photos as take about --seconds each. The scripts
have no network (`unshare -n`, as root). Results replace older ones of the same network, way and folder.
"""
import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile

import table

HERE = os.path.dirname(os.path.abspath(__file__))


def script(words, way, stem, folder, count):
    """Images a second, and the first class of each photo by name."""
    bare = ["unshare", "-n"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(
            [*bare, sys.executable, os.path.join(HERE, "folder.py"), way, stem, folder, scratch + "/rows.csv",
             "--count", str(count)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{way}: {done.stderr.strip().splitlines()[-1]}")
        with open(scratch + "/rows.csv", newline="") as rows:
            classes = {os.path.basename(row[0]): int(row[1]) for row in csv.reader(rows)}
    return float(done.stdout.split()[-1]), classes


def lookout(words, model, folder, count):
    done = subprocess.run(
        [words.lookout, "bench", "pipeline", "--json", "--model", model, "--photos", folder, "--count", str(count),
         "--threads", "2", "--rounds", "1", "--seconds", "0.1", "--scratch", words.scratch], capture_output=True, text=True)
    # 65: a bar was broken, which is not asked here.
    if done.returncode not in (0, 65):
        raise RuntimeError(f"lookout: {done.stderr.strip()}")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return next(row["median"] for row in rows if row["measurement"] == "folder to CSV rows")


def classes_of(words, model, folder):
    done = subprocess.run(
        [words.lookout, "classify", "--json", "--top", "1", "--model", model, folder], capture_output=True, text=True)
    # 65: a bar was broken, which is not asked here.
    if done.returncode not in (0, 65):
        raise RuntimeError(f"lookout: {done.stderr.strip()}")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {os.path.basename(row["path"]): row["predictions"][0]["index"] for row in rows}


def compare(words, network, way, folder):
    stem = os.path.join(os.path.abspath(words.models), network)
    model = stem + (".int8" if way == "expert" else "") + ".swiftweights"
    files = len([name for name in os.listdir(folder) if name.endswith(".jpg")])
    _, theirs = script(words, way, stem, folder, files)
    ours = classes_of(words, model, folder)
    if set(ours) != set(theirs):
        raise RuntimeError(f"Lookout has {len(ours)} rows, {way} {len(theirs)}")
    pairs = []
    guess = lookout(words, model, folder, 24)
    count = max(24, int(guess * words.seconds) // 8 * 8)
    their_guess, _ = script(words, way, stem, folder, 24)
    their_count = max(24, int(their_guess * words.seconds) // 8 * 8)
    for _ in range(words.pairs):
        pairs.append(
            (lookout(words, model, folder, count), script(words, way, stem, folder, their_count)[0]))
    ratios = sorted(a / b for a, b in pairs)
    return {
        "network": network, "precision": "int8" if way == "expert" else "fp32", "peer": way,
        "photos": os.path.basename(os.path.normpath(folder)),
        "lookout_rate": round(statistics.median(a for a, _ in pairs), 2),
        "peer_rate": round(statistics.median(b for _, b in pairs), 2), "ratio": round(statistics.median(ratios), 3),
        "spread": round((ratios[-1] - ratios[0]) / statistics.median(ratios), 3), "pairs": len(pairs),
        "same_class": round(sum(ours[name] == theirs[name] for name in ours) / len(ours), 3),
        "load": round(os.getloadavg()[0], 2),
    }


def main():
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--models", required=True)
    words.add_argument("--photos", required=True, type=lambda text: text.split(","))
    words.add_argument("--ways", type=lambda text: text.split(","), default=["pool", "loader", "expert"])
    words.add_argument("--networks", type=lambda text: text.split(","), default=["resnet18", "mobilenet_v2"])
    words.add_argument("--pairs", type=int, default=3)
    words.add_argument("--seconds", type=float, default=3)
    words.add_argument("--scratch", default="/tmp")
    words.add_argument("--lookout", default=".build/release/lookout")
    words.add_argument("--results", default="benchmarks/results/folders.json")
    words = words.parse_args()
    failed = 0
    for network in words.networks:
        for way in words.ways:
            for folder in words.photos:
                try:
                    row = compare(words, network, way, folder)
                except RuntimeError as error:
                    failed += 1
                    print(f"{network}, {way}, {folder}: {error}", flush=True)
                    continue
                table.store(words.results, row, ("network", "precision", "peer", "photos"), {
                    "network": lambda row: f"{row['network']} {row['precision']}", "photos": lambda row: row["photos"],
                    "script": lambda row: row["peer"], "Lookout, images/s": lambda row: f"{row['lookout_rate']:.1f}",
                    "script, images/s": lambda row: f"{row['peer_rate']:.1f}",
                    "ratio": lambda row: f"{row['ratio']:.2f}", "spread": lambda row: f"{100 * row['spread']:.0f} %",
                    "same class": lambda row: f"{100 * row['same_class']:.0f} %"})
                print(json.dumps(row), flush=True)
    sys.exit(1 if failed else 0)


main()
