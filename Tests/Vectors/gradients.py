"""Makes Tests/EngineTests/Fixtures/gradients.json: what PyTorch answers in training mode, and its gradients.

Graphs, weights and inputs are those of operations.json, and some wider ones whose numbers both sides draw from the
same counter. The loss is the answers' product with the weights of `loss_weights`. Needs torch and numpy; run from the
repository's root after engine.py.
"""
import json
import os

import numpy
import torch
import torch.nn.functional as F
from training_counter import counted

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)


def loss_weights(shape):
    count = int(numpy.prod(shape))
    return torch.tensor([((i * 37) % 19 - 9) / 8 for i in range(count)]).reshape(shape)


ACTIVATIONS = {
    "relu": F.relu, "relu6": F.relu6, "silu": F.silu, "hard_swish": F.hardswish, "hard_sigmoid": F.hardsigmoid,
    "sigmoid": torch.sigmoid, "tanh": torch.tanh}


def same(size, kernel, stride, dilation):
    total = max(0, (-(-size // stride) - 1) * stride + dilation * (kernel - 1) + 1 - size)
    return total // 2, total - total // 2


def run(graph, tensors, picture):
    values = {graph["input"]["name"]: picture}
    for node in graph["nodes"]:
        a, name, op = node["attributes"], node["name"], node["op"]
        inputs = [values[i] for i in node["inputs"]]
        x = inputs[0]
        part = lambda p: tensors.get(f"{name}.{p}")
        if op == "convolution":
            if a["padding"] == "same":
                sides = [same(*s) for s in zip(x.shape[2:], a["kernel"], a["stride"], a["dilation"])]
                (top, bottom), (left, right) = sides
            else:
                top, left, bottom, right = a["padding"]
            y = F.conv2d(
                F.pad(x, (left, right, top, bottom)), part("weight"), part("bias"), a["stride"], 0, a["dilation"],
                a["groups"])
        elif op == "batch_norm":
            y = F.batch_norm(
                x, part("running_mean"), part("running_var"), part("weight"), part("bias"), True, 0.1, a["epsilon"])
        elif op == "linear":
            y = F.linear(x.flatten(1), part("weight"), part("bias"))[:, :, None, None]
        elif op in ACTIVATIONS:
            y = ACTIVATIONS[op](x)
        elif op == "activation":
            y = ACTIVATIONS[a["function"]](x)
        elif op == "max_pool":
            y = F.max_pool2d(x, a["kernel"], a["stride"], a["padding"][:2], a["dilation"], a["ceil_mode"])
        elif op == "average_pool":
            y = F.avg_pool2d(x, a["kernel"], a["stride"], a["padding"][:2], a["ceil_mode"], a["count_include_pad"])
        elif op == "adaptive_average_pool":
            y = F.adaptive_avg_pool2d(x, (a["height"], a["width"]))
        elif op == "global_average_pool":
            y = x.mean((2, 3), keepdim=True)
        elif op == "add":
            y = inputs[0] + inputs[1]
        elif op == "multiply":
            y = inputs[0] * inputs[1]
        elif op == "concatenate":
            y = torch.cat(inputs, 1)
        elif op == "flatten":
            y = x.flatten(1)[:, :, None, None]
        elif op == "softmax":
            y = x.softmax(1)
        elif op == "local_response_norm":
            y = F.local_response_norm(x, a["size"], a["alpha"], a["beta"], a["k"])
        elif op == "dropout":
            y = x
        else:
            raise SystemExit(f"no operation {op}")
        values[name] = y
    return values[graph["output"]]


def short(tensor):
    return [float(f"{v:.6g}") for v in tensor.flatten().tolist()]


def case(graph, tensors, pictures):
    statistics = {n: t.clone() for n, t in tensors.items() if "running_" in n}
    learned = {n: t.clone().requires_grad_() for n, t in tensors.items() if "running_" not in n}
    pictures = pictures.clone().requires_grad_()
    answers = run(graph, {**learned, **statistics}, pictures)
    (answers * loss_weights(answers.shape)).sum().backward()
    return {
        "answers": short(answers.detach()), "input": short(pictures.grad),
        "gradients": {n: short(t.grad) for n, t in learned.items()},
        "statistics": {n: short(t) for n, t in statistics.items()}}


def sixtyfourths(numbers, shape):
    return torch.tensor(numbers).reshape(shape) / 64


cases = []
for old in json.load(open("Tests/EngineTests/Fixtures/operations.json")):
    shape = [len(old["inputs"])] + [old["graph"]["input"][k] for k in ("channels", "height", "width")]
    tensors = {n: sixtyfourths(t["values"], t["shape"]) for n, t in old["tensors"].items()}
    cases.append({"name": old["name"], **case(old["graph"], tensors, sixtyfourths(old["inputs"], shape))})


def conv(name, x, inputs, outputs, kernel, stride=1, padding=0, dilation=1, groups=1, bias=False):
    pair = lambda v: [v, v] if isinstance(v, int) else list(v)
    padding = padding if padding == "same" else ([padding] * 4 if isinstance(padding, int) else list(padding))
    return {
        "name": name, "op": "convolution", "inputs": [x], "attributes": {
            "in_channels": inputs, "out_channels": outputs, "kernel": pair(kernel), "stride": pair(stride),
            "padding": padding, "dilation": pair(dilation), "groups": groups, "bias": bias}}


WIDE = [
    ("3x3, 8 to 16", 8, 9, 6, conv("c", "input", 8, 16, 3, padding=1)),
    ("3x3, 16 to 40", 16, 5, 18, conv("c", "input", 16, 40, 3, padding=1, bias=True)),
    ("3x3 stride 2", 8, 8, 9, conv("c", "input", 8, 24, 3, stride=2, padding=1)),
    ("3x3 same stride 2", 8, 8, 8, conv("c", "input", 8, 8, 3, stride=2, padding="same")),
    ("5x3 stride 1x2, uneven padding", 8, 9, 10, conv("c", "input", 8, 32, (5, 3), (1, 2), (2, 1, 0, 3), bias=True)),
    ("3x3 dilation 2", 8, 9, 9, conv("c", "input", 8, 8, 3, dilation=2, padding=2)),
    ("3x2 dilation 1x3 stride 2", 8, 9, 11, conv("c", "input", 8, 16, (3, 2), 2, 1, (1, 3))),
    ("1x1, 8 to 32", 8, 6, 7, conv("c", "input", 8, 32, 1)),
    ("1x1 stride 2", 16, 7, 8, conv("c", "input", 16, 8, 1, stride=2)),
    ("padding beyond the kernel", 8, 4, 4, conv("c", "input", 8, 8, 3, padding=(3, 3, 0, 0))),
    ("depthwise 3x3, 88", 88, 5, 6, conv("c", "input", 88, 88, 3, padding=1, groups=88)),
    ("depthwise 5x5 stride 2, 24", 24, 9, 8, conv("c", "input", 24, 24, 5, 2, "same", groups=24, bias=True)),
]
for name, channels, height, width, node in WIDE:
    graph = {
        "input": {"name": "input", "channels": channels, "height": height, "width": width}, "output": "c",
        "nodes": [node]}
    a = node["attributes"]
    shape = [a["out_channels"], a["in_channels"] // a["groups"], *a["kernel"]]
    tensors = {"c.weight": torch.from_numpy(counted(1, int(numpy.prod(shape)))).reshape(shape)}
    if a["bias"]:
        tensors["c.bias"] = torch.from_numpy(counted(2, shape[0]))
    pictures = torch.from_numpy(counted(3, 3 * channels * height * width)).reshape(3, channels, height, width)
    answer = case(graph, tensors, pictures)
    del answer["answers"]
    # What is summed over many numbers is told by every seventh of them.
    answer["input"] = answer["input"][::7]
    answer["gradients"] = {n: v[::7] for n, v in answer["gradients"].items()}
    cases.append({"name": "wide: " + name, "graph": graph, **answer})

path = "Tests/EngineTests/Fixtures/gradients.json"
with open(path, "w") as file:
    json.dump(cases, file, separators=(",", ":"))
    file.write("\n")
print(len(cases), "cases,", os.path.getsize(path), "bytes")
