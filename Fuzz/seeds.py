#!/usr/bin/env python3
"""Makes the first inputs of the subjects that have no public corpus: weights files, frames, ONNX models, HTTP, ledgers.

usage: Fuzz/seeds.py FOLDER [LEDGER-FOLDER]   A ledger folder holds what a killed daemon left: ledger.db, ledger.db-wal,
                                              ledger.db-shm, flight-recorder.
       Fuzz/seeds.py FOLDER ARCHIVE.pt...     takes TorchScript archives apart into inputs of `script`.
Needs nothing but Python.
"""
import json
import os
import struct
import sys
import zipfile


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


def message(*fields):
    """A protocol buffer; a field is (number, value): whole numbers as varints, floats in 4 bytes, texts and bytes."""
    def varint(value):
        data, value = b"", value & (1 << 64) - 1
        while value > 127:
            data, value = data + bytes([value & 127 | 128]), value >> 7
        return data + bytes([value])

    data = b""
    for number, value in fields:
        if isinstance(value, int):
            data += varint(number << 3) + varint(value)
        elif isinstance(value, float):
            data += varint(number << 3 | 5) + struct.pack("<f", value)
        else:
            value = value.encode() if isinstance(value, str) else value
            data += varint(number << 3 | 2) + varint(len(value)) + value
    return data


def onnx(folder):
    def tensor(name, extents, numbers=None, whole=False):
        count = 1
        for extent in extents:
            count *= extent
        numbers = numbers or [(i % 13 - 6) / 8 for i in range(count)]
        raw = struct.pack(f"<{count}{'q' if whole else 'f'}", *numbers)
        return message(*[(1, e) for e in extents], (2, 7 if whole else 1), (8, name), (9, raw))

    def beside(name, extents, offset, length):
        pairs = {"location": "weights.data", "offset": str(offset), "length": str(length)}
        entries = [(13, message((1, key), (2, value))) for key, value in pairs.items()]
        return message(*[(1, e) for e in extents], (2, 1), (8, name), *entries, (14, 1))

    def node(operation, inputs, output, **attributes):
        fields = [(1, i) for i in inputs] + [(2, o) for o in output.split()] + [(3, output.split()[0]), (4, operation)]
        for name, value in attributes.items():
            if isinstance(value, list):
                kind = [(8, v) for v in value] + [(20, 7)]
            elif isinstance(value, int):
                kind = [(3, value), (20, 2)]
            elif isinstance(value, float):
                kind = [(2, value), (20, 1)]
            elif isinstance(value, bytes):
                kind = [(5, value), (20, 4)]
            else:
                kind = [(4, value), (20, 3)]
            fields.append((5, message((1, name), *kind)))
        return message(*fields)

    def port(name, extents):
        axes = [(1, message((1, e) if isinstance(e, int) else (2, e))) for e in extents]
        return message((1, name), (2, message((1, message((1, 1), (2, message(*axes)))))))

    def model(name, nodes, tensors, shape, output, opset=17):
        graph = [(1, n) for n in nodes] + [(2, name)] + [(5, t) for t in tensors]
        graph += [(11, port("x", shape)), (12, port(output, ["n", 3]))]
        put(folder, name, message((1, 8), (2, "seed"), (7, message(*graph)), (8, message((1, ""), (2, opset)))))

    usual = [
        node("Conv", ["x", "c.weight", "c.bias"], "c", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["c", "four", "four", "four", "positive"], "n", epsilon=1e-5),
        node("Relu", ["n"], "r"), node("Conv", ["r", "d.weight"], "d", group=4, auto_pad="SAME_UPPER"),
        node("Sigmoid", ["d"], "s"), node("Mul", ["d", "s"], "m"), node("Clip", ["m", "low", "high"], "k"),
        node("Add", ["k", "r"], "a"), node("MaxPool", ["a"], "p", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
        node("AveragePool", ["p"], "v", kernel_shape=[2, 2], pads=[0, 0, 1, 1], count_include_pad=1),
        node("LRN", ["v"], "l", size=3, alpha=1e-4), node("Concat", ["l", "v"], "t", axis=1),
        node("GlobalAveragePool", ["t"], "g"), node("Flatten", ["g"], "f", axis=1),
        node("Gemm", ["f", "w", "three"], "o", alpha=1.0, beta=1.0, transB=1), node("Softmax", ["o"], "y", axis=-1),
    ]
    small = [tensor("four", [4]), tensor("positive", [4], [1, 2, 3, 4]), tensor("low", [], [0]), tensor("high", [], [6]),
             tensor("three", [3]), tensor("w", [3, 8])]
    convolutions = [tensor("c.weight", [4, 3, 3, 3]), tensor("c.bias", [4]), tensor("d.weight", [4, 1, 3, 3])]
    model("usual", usual, small + convolutions, [1, 3, 8, 8], "y")
    model("beside", usual, small + [beside("c.weight", [4, 3, 3, 3], 0, 432), beside("c.bias", [4], 432, 16),
                                    beside("d.weight", [4, 1, 3, 3], 448, 144)], ["n", 3, 8, 8], "y", 13)
    computed = [
        node("Shape", ["x"], "s"), node("Gather", ["s", "zero"], "b", axis=0), node("Unsqueeze", ["b", "axis"], "u"),
        node("Constant", [], "minus", value=tensor("", [1], [-1], True)), node("Concat", ["u", "minus"], "to", axis=0),
        node("Slice", ["s", "axis", "two", "axis"], "part"), node("ReduceProd", ["part"], "product", keepdims=0),
        node("Cast", ["product"], "float", to=1), node("Sqrt", ["float"], "root"), node("Div", ["x", "root"], "scaled"),
        node("Transpose", ["scaled"], "last", perm=[0, 2, 3, 1]), node("Transpose", ["last"], "first", perm=[0, 3, 1, 2]),
        node("Pad", ["first", "pads"], "padded", mode="constant"), node("Conv", ["padded", "k"], "c"),
        node("ReduceMean", ["c"], "mean", axes=[2, 3], keepdims=0), node("Split", ["mean"], "p q", axis=1),
        node("HardSwish", ["p"], "h"), node("Concat", ["h", "q"], "t", axis=-1), node("Reshape", ["t", "to"], "r"),
        node("MatMul", ["r", "m"], "product2"), node("Add", ["product2", "three"], "y"),
    ]
    model("computed", computed, [
        tensor("zero", [], [0], True), tensor("axis", [1], [0], True), tensor("two", [1], [2], True),
        tensor("pads", [8], [0, 0, 1, 1, 0, 0, 1, 1], True), tensor("k", [4, 3, 3, 3]), tensor("m", [4, 3]),
        tensor("three", [3])], ["n", 3, 6, 6], "y")


def http(folder):
    def request(path, body=b"", headers=(), method="POST", host="localhost"):
        head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n" + "".join(f"{h}\r\n" for h in headers)
        return (head + (f"Content-Length: {len(body)}\r\n" if body else "") + "\r\n").encode() + body

    def form(*parts, end="--cut--\r\n"):
        text = b""
        for name, file, data in parts:
            text += f'--cut\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\n'.encode()
            text += b"Content-Type: image/jpeg\r\n\r\n" + data + b"\r\n"
        return text + end.encode()

    kind = ["Content-Type: multipart/form-data; boundary=cut"]
    jpeg = b"\xff\xd8\xff\xe0\0\x10JFIF"
    put(folder, "get", request("/v1/status?a=1&b=%20", method="GET"))
    put(folder, "several", request("/metrics", method="GET") + request("/refused", b"abc") + request("/x", jpeg))
    put(folder, "form", request("/v1/classify", form(("a", "a.jpg", jpeg), ("b", "b.png", b"\x89PNG\r\n\x1a\n")), kind))
    put(folder, "form-many", request("/v1/classify", form(*[(f"{i}", f"{i}.jpg", jpeg) for i in range(5)]), kind))
    put(folder, "form-cut", request("/v1/classify", form(("a", "a.jpg", jpeg), end=""), kind))
    put(folder, "form-mixed", request("/v1/classify", b'--cut\r\nContent-Disposition: form-data; name="n"\r\n'
        b"Content-Type: multipart/mixed; boundary=in\r\n\r\n--in\r\nContent-Disposition: file; filename=a\r\n\r\n"
        + jpeg + b"\r\n--in--\r\n--cut--\r\n", kind))
    chunks = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: t\r\n\r\n"
    put(folder, "chunks", request("/c", headers=["Transfer-Encoding: chunked"]) + chunks)
    put(folder, "expect", request("/e", jpeg, ["Expect: 100-continue"]))
    put(folder, "large", request("/l", b"A" * 4097))
    put(folder, "old", b"GET / HTTP/1.0\r\n\r\n")
    numbers = [[[[0.5, 1], [2, 3]]] * 3]
    head = {"id": "1", "inputs": [{"name": "input", "datatype": "FP32", "shape": [1, 3, 2, 2], "data": numbers}],
            "outputs": [{"name": "output", "parameters": {"binary_data": True}}]}
    put(folder, "infer", request("/v2/models/m/infer", json.dumps(head).encode()))
    head["inputs"][0].pop("data")
    head["inputs"][0]["parameters"] = {"binary_data_size": 48}
    head = json.dumps(head).encode()
    put(folder, "infer-binary", request(
        "/v2/models/m/infer", head + struct.pack("<12f", *range(12)), [f"Inference-Header-Content-Length: {len(head)}"]))


def script(folder, archives):
    for path in archives:
        with zipfile.ZipFile(path) as archive:
            parts = [b"\1\1" + name.encode() + b"\n" + archive.read(name) for name in archive.namelist()
                     if not name.endswith(".debug_pkl")]
        put(folder, os.path.basename(path), b"".join(parts))


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
    target, sources = sys.argv[1], sys.argv[2:]
    if sources and sources[0].endswith(".pt"):
        script(os.path.join(target, "script"), sources)
    else:
        frames(os.path.join(target, "frames"))
        weights(os.path.join(target, "weights"))
        onnx(os.path.join(target, "onnx"))
        http(os.path.join(target, "http"))
        if sources:
            ledger(os.path.join(target, "ledger"), sources[0])
