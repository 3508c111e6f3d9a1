#!/usr/bin/env python3
"""Makes the first inputs of the subjects that have no public corpus: weights files, frames, ledgers.

usage: Fuzz/seeds.py FOLDER [LEDGER-FOLDER]   A ledger folder holds what a killed daemon left: ledger.db, ledger.db-wal,
ledger.db-shm, flight-recorder. Needs nothing but Python.
"""
import json
import os
import struct
import sys


def put(folder, name, data):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data)


def text(value):
    data = value.encode()
    return struct.pack("<I", len(data)) + data


def record(path=b"/in/a.jpg", error=None, predictions=2):
    data = struct.pack("<BBqII", 1, 0 if error is None else 1, 1_700_000_000_000_000_000, 640, 480)
    data += text("018f3c1e-0000-7000-8000-000000000000") + text("inbox") + struct.pack("<I", len(path)) + path
    data += text("ab" * 32) + (b"\0" if error is None else b"\1" + text(error)) + text("default") + text("cd" * 32)
    data += struct.pack("<I", predictions)
    for rank in range(predictions):
        data += struct.pack("<IIf", rank + 1, 7 * rank, 0.5 / (rank + 1)) + text("ouzel")
    return data


def frames(folder):
    entry = lambda number, data: struct.pack("<QI", number, len(data)) + data
    put(folder, "record", record())
    put(folder, "record-failed", record(b"/in/\xff\n.jpg", "no picture", 0))
    put(folder, "hello", b"\1" + struct.pack("<I", 1) + text("/p.so") + text('{"path":"/x"}') + text("12:34"))
    put(folder, "write", b"\2" + struct.pack("<I", 2) + entry(1, record()) + entry(2, record(predictions=0)))
    put(folder, "flush", b"\3")
    put(folder, "close", b"\4")
    put(folder, "opened", b"\x10" + text("csv") + text("1.0"))
    put(folder, "failed", b"\x11\3" + text("broken"))
    put(folder, "verdicts", b"\x12" + struct.pack("<I", 3) + b"\0" + b"\1" + text("later") + b"\2" + text("never"))
    put(folder, "position", b"\x13" + text("12:34"))
    put(folder, "closed", b"\x14")
    put(folder, "log", b"\x15" + struct.pack("<i", 6) + text("hello"))


def weights_file(nodes, tensors, shape, classes, canary=None, kind="F32"):
    """One weights file with zero digits for a digest, which the fuzzer mends."""
    width = {"F32": 4, "F16": 2, "BF16": 2, "I8": 1}
    table, data = {}, b""
    for name, extents in tensors:
        for suffix, dtype, dims in [("", kind, extents)] + ([("_scale", "F32", extents[:1])] if kind == "I8" else []):
            count = 1
            for extent in dims:
                count *= extent
            begin = len(data)
            data += bytes((begin + i) % 61 for i in range(count * width[dtype]))
            table[name + suffix] = {"dtype": dtype, "shape": list(dims), "data_offsets": [begin, len(data)]}
    graph = {
        "input": {"name": "input", "channels": shape[0], "height": shape[1], "width": shape[2]},
        "output": nodes[-1]["name"],
        "nodes": nodes,
    }
    preprocessing = {
        "channels": "RGB" if shape[0] == 3 else "L", "crop": {"ratio": 0.875}, "mean": [127] * shape[0],
        "resize": {"filter": "bicubic", "height": shape[1], "mode": "exact", "width": shape[2]}, "scale": 1,
        "std": [128] * shape[0],
    }
    compact = lambda value: json.dumps(value, separators=(",", ":"))
    metadata = {
        "digest": "0" * 64, "format": "lookout.swiftweights", "version": "1", "graph": compact(graph),
        "labels": compact([f"l{i}" for i in range(classes)]), "preprocessing": compact(preprocessing),
        "canary": compact(canary), "provenance": "seed",
    }
    header = compact({"__metadata__": metadata, **table}).encode()
    header += b" " * (-(8 + len(header)) % 64)
    return struct.pack("<Q", len(header)) + header + data


def weights(folder):
    def node(name, op, inputs, **attributes):
        return {"name": name, "op": op, "inputs": inputs, "attributes": attributes}

    def convolution(name, source, cin, cout, groups=1, padding="same", bias=True):
        return node(
            name, "convolution", [source], in_channels=cin, out_channels=cout, kernel=[3, 3], stride=[2, 2],
            padding=padding, dilation=[1, 1], groups=groups, bias=bias)

    pool = dict(kernel=[2, 2], stride=[2, 2], padding=[0, 0, 1, 1], dilation=[1, 1], ceil_mode=True,
                count_include_pad=False)
    canary = {"input": "mosaic", "seed": 7, "tolerance": 0.02, "top": [{"index": 0, "value": 1.5}]}
    usual = [
        convolution("c", "input", 3, 4), node("n", "batch_norm", ["c"], epsilon=0.001), node("r", "relu6", ["n"]),
        convolution("d", "r", 4, 4, groups=4, padding=[1, 1, 1, 1], bias=False), node("s", "silu", ["d"]),
        node("p", "max_pool", ["s"], **pool), node("g", "global_average_pool", ["p"]),
        node("m", "multiply", ["p", "g"]), node("a", "add", ["m", "p"]), node("k", "concatenate", ["a", "m"]),
        node("v", "average_pool", ["k"], **pool), node("h", "local_response_norm", ["v"], size=3, alpha=0.1, beta=0.75, k=1),
        node("q", "adaptive_average_pool", ["h"], height=1, width=2), node("f", "flatten", ["q"]),
        node("o", "dropout", ["f"], probability=0.5),
        node("l", "linear", ["o"], in_features=16, out_features=3, bias=True), node("x", "softmax", ["l"]),
    ]
    tensors = [("c.weight", (4, 3, 3, 3)), ("c.bias", (4,)), ("n.weight", (4,)), ("n.bias", (4,)),
               ("n.running_mean", (4,)), ("n.running_var", (4,)), ("d.weight", (4, 1, 3, 3)), ("l.weight", (3, 16)),
               ("l.bias", (3,))]
    for kind in ["F32", "F16", "BF16", "I8"]:
        put(folder, "usual-" + kind, weights_file(usual, tensors, (3, 16, 16), 3, canary, kind))
    one = [node("l", "linear", ["input"], in_features=4, out_features=2, bias=False)]
    put(folder, "linear", weights_file(one, [("l.weight", (2, 4))], (1, 2, 2), 2))


def ledger(folder, source):
    parts = []
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm", "flight-recorder"]:
        path = os.path.join(source, name)
        parts.append(open(path, "rb").read() if os.path.exists(path) else b"")
    lengths = lambda some: b"".join(struct.pack("<I", len(part)) + part for part in some[:-1]) + some[-1]
    put(folder, "killed", lengths(parts))
    put(folder, "no-index", lengths([parts[0], parts[1], b"", parts[3]]))
    put(folder, "no-log", lengths([parts[0], b"", b"", parts[3]]))
    put(folder, "recorder", lengths([b"", b"", b"", parts[3]]))


if __name__ == "__main__":
    frames(os.path.join(sys.argv[1], "frames"))
    weights(os.path.join(sys.argv[1], "weights"))
    if len(sys.argv) > 2:
        ledger(os.path.join(sys.argv[1], "ledger"), sys.argv[2])
