"""Holds `lookout classify` against a table of golden.py.

    compare.py TABLE.csv [--lookout .build/release/lookout] [--model FILE] [--bar 0.995] [-- OPTION…]

Prints how many pictures have the same most probable class, how far its score is off, and every picture that differs in
verdict, size or class. Options after -- go to `lookout classify`, as `--full-decode`. Exits with 1 below the bar or
when a verdict differs.
"""
import argparse
import csv
import json
import subprocess
import sys


def answers(lookout, paths, options):
    """The records of `lookout classify` by path; the command says 65 when any picture failed."""
    found = {}
    for start in range(0, len(paths), 500):
        done = subprocess.run(
            [lookout, "classify", "--json", *options, "--", *paths[start:start + 500]], stdout=subprocess.PIPE, text=True)
        if done.returncode not in (0, 65):
            raise SystemExit(f"lookout classify ended with {done.returncode}")
        for line in done.stdout.splitlines():
            record = json.loads(line)
            found[record["path"]] = record
    return found


def main():
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("table")
    words.add_argument("options", nargs="*")
    words.add_argument("--lookout", default=".build/release/lookout")
    words.add_argument("--model", default="models/default.swiftweights")
    words.add_argument("--bar", type=float, default=0.995)
    words = words.parse_args()
    rows = list(csv.DictReader(open(words.table, newline="")))
    records = answers(words.lookout, [row["path"] for row in rows], ["--model", words.model, *words.options])
    verdicts, equal, gaps = 0, 0, []
    for row in rows:
        record = records[row["path"]]
        if record["status"] != row["status"]:
            verdicts += 1
            print(f"verdict {record['status']}, Pillow {row['status']}: {row['path']}: {record['error'] or row['error']}")
            continue
        if row["status"] != "ok":
            continue
        best = record["predictions"][0]
        if (record["width"], record["height"]) != (int(row["width"]), int(row["height"])):
            print(f"size {record['width']}×{record['height']}, Pillow {row['width']}×{row['height']}: {row['path']}")
        if best["index"] == int(row["index_1"]):
            equal += 1
        else:
            print(f"class {best['index']} {best['score']:.4f}, PyTorch {row['index_1']} {row['score_1']}"
                  f" then {row['index_2']} {row['score_2']}: {row['path']}")
        # The score of PyTorch's best class, wherever it stands here.
        same = [p["score"] for p in record["predictions"] if p["index"] == int(row["index_1"])]
        gaps.append((abs((same or [0])[0] - float(row["score_1"])), row["path"]))
    gaps.sort()
    share = equal / max(1, len(gaps))
    off = sum(gap > 0.02 for gap, _ in gaps)
    print(f"{len(gaps)} pictures answered by both, {verdicts} verdicts differ")
    print(f"top-1 equal on {equal} ({100 * share:.2f} %), bar {100 * words.bar:.1f} %")
    if gaps:
        print(f"score off by more than 0.02 on {off} ({100 * off / len(gaps):.2f} %), median {gaps[len(gaps) // 2][0]:.5f}, "
              f"99 % below {gaps[int(len(gaps) * 0.99)][0]:.5f}, largest {gaps[-1][0]:.5f} ({gaps[-1][1]})")
    sys.exit(share < words.bar or verdicts > 0)


main()
