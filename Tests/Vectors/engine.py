"""Makes Tests/EngineTests/Fixtures/operations.json: small graphs with weights, inputs and PyTorch's answers.

Needs torch; run from the repository's root. Inputs and weights are written as
whole 64ths, which are short and exact.
"""
import json
import os

import torch
import torch.nn.functional as F

torch.manual_seed(20)
torch.set_num_threads(1)
IMAGES = 2
cases = []


def numbers(*shape, low=-2.0, high=2.0):
    return torch.round((torch.rand(*shape) * (high - low) + low) * 64) / 64


def sixtyfourths(tensor):
    return [round(value * 64) for value in tensor.flatten().tolist()]


def pair(value):
    return [value, value] if isinstance(value, int) else list(value)


class Case:
    """A graph that is computed by PyTorch while it is written down."""

    def __init__(self, name, channels, height, width):
        self.name = name
        self.input = numbers(IMAGES, channels, height, width)
        self.values = {"input": self.input}
        self.nodes = []
        self.tensors = {}

    def node(self, name, op, inputs, value, **attributes):
        self.nodes.append({"name": name, "op": op, "inputs": inputs, "attributes": attributes})
        self.values[name] = value
        return name

    def tensor(self, name, value):
        self.tensors[name] = {"shape": list(value.shape), "values": sixtyfourths(value)}
        return value

    def conv(self, name, x, out, kernel, stride=1, padding=(0, 0, 0, 0), dilation=1, groups=1, bias=True):
        source = self.values[x]
        kernel, stride, dilation = pair(kernel), pair(stride), pair(dilation)
        weight = self.tensor(name + ".weight", numbers(out, source.shape[1] // groups, *kernel, low=-1, high=1))
        offset = self.tensor(name + ".bias", numbers(out)) if bias else None
        if padding == "same":
            sides = []
            for size, k, s, d in zip(source.shape[2:], kernel, stride, dilation):
                total = max(0, (-(-size // s) - 1) * s + d * (k - 1) + 1 - size)
                sides.append((total // 2, total - total // 2))
            (top, bottom), (left, right) = sides
        else:
            top, left, bottom, right = padding
        padded = F.pad(source, (left, right, top, bottom))
        value = F.conv2d(padded, weight, offset, stride, 0, dilation, groups)
        return self.node(
            name, "convolution", [x], value, in_channels=source.shape[1], out_channels=out, kernel=kernel,
            stride=stride, padding=padding if padding == "same" else list(padding), dilation=dilation, groups=groups,
            bias=bias)

    def norm(self, name, x, epsilon=1e-3):
        c = self.values[x].shape[1]
        weight = self.tensor(name + ".weight", numbers(c))
        bias = self.tensor(name + ".bias", numbers(c))
        mean = self.tensor(name + ".running_mean", numbers(c))
        variance = self.tensor(name + ".running_var", numbers(c, low=0.25, high=2))
        value = F.batch_norm(self.values[x], mean, variance, weight, bias, False, 0, epsilon)
        return self.node(name, "batch_norm", [x], value, epsilon=epsilon)

    def act(self, name, x, op):
        function = {
            "relu": F.relu, "relu6": F.relu6, "silu": F.silu, "hard_swish": F.hardswish,
            "hard_sigmoid": F.hardsigmoid, "sigmoid": torch.sigmoid, "tanh": torch.tanh}[op]
        return self.node(name, op, [x], function(self.values[x]))

    def pool(self, name, x, op, kernel, stride, padding=(0, 0), dilation=1, ceil=False, include=True):
        kernel, stride, dilation = pair(kernel), pair(stride), pair(dilation)
        if op == "max_pool":
            value = F.max_pool2d(self.values[x], kernel, stride, padding, dilation, ceil)
        else:
            value = F.avg_pool2d(self.values[x], kernel, stride, padding, ceil, include)
        return self.node(
            name, op, [x], value, kernel=kernel, stride=stride, padding=[*padding, *padding], dilation=dilation,
            ceil_mode=ceil, count_include_pad=include)

    def adaptive(self, name, x, height, width):
        value = F.adaptive_avg_pool2d(self.values[x], (height, width))
        return self.node(name, "adaptive_average_pool", [x], value, height=height, width=width)

    def global_average(self, name, x):
        return self.node(name, "global_average_pool", [x], self.values[x].mean((2, 3), keepdim=True))

    def linear(self, name, x, out, bias=True):
        flat = self.values[x].flatten(1)
        weight = self.tensor(name + ".weight", numbers(out, flat.shape[1], low=-1, high=1))
        offset = self.tensor(name + ".bias", numbers(out)) if bias else None
        value = F.linear(flat, weight, offset)[:, :, None, None]
        return self.node(name, "linear", [x], value, in_features=flat.shape[1], out_features=out, bias=bias)

    def flatten(self, name, x):
        return self.node(name, "flatten", [x], self.values[x].flatten(1)[:, :, None, None])

    def softmax(self, name, x):
        return self.node(name, "softmax", [x], self.values[x].softmax(1))

    def add(self, name, x, y):
        return self.node(name, "add", [x, y], self.values[x] + self.values[y])

    def multiply(self, name, x, y):
        return self.node(name, "multiply", [x, y], self.values[x] * self.values[y])

    def concatenate(self, name, *inputs):
        return self.node(name, "concatenate", list(inputs), torch.cat([self.values[x] for x in inputs], 1))

    def dropout(self, name, x):
        return self.node(name, "dropout", [x], self.values[x], probability=0.5)

    def response_norm(self, name, x, size, alpha, beta, k):
        value = F.local_response_norm(self.values[x], size, alpha, beta, k)
        return self.node(name, "local_response_norm", [x], value, size=size, alpha=alpha, beta=beta, k=k)

    def done(self, output):
        _, c, h, w = self.input.shape
        cases.append({
            "name": self.name,
            "graph": {
                "input": {"name": "input", "channels": c, "height": h, "width": w}, "output": output,
                "nodes": self.nodes},
            "tensors": self.tensors,
            "inputs": [sixtyfourths(image) for image in self.input],
            "outputs": [[float(f"{v:.7g}") for v in image.flatten().tolist()] for image in self.values[output]]})


def convolution(name, shape, *arguments, **options):
    case = Case(name, *shape)
    case.done(case.conv("c", "input", *arguments, **options))


convolution("conv 1x1 of the picture", (5, 4, 3), 6, 1)
convolution("conv 1x1 stride 2", (3, 5, 6), 4, 1, stride=2)
convolution("conv 1x1 with padding", (3, 3, 4), 4, 1, padding=(1, 0, 0, 2))
convolution("conv 3x3", (3, 6, 7), 4, 3, padding=(1, 1, 1, 1))
convolution("conv 3x2 stride 2x3, no bias", (2, 8, 9), 3, (3, 2), stride=(2, 3), bias=False)
convolution("conv groups", (6, 5, 5), 9, 3, padding=(1, 1, 1, 1), groups=3)
convolution("conv 1x1 groups", (4, 3, 3), 6, 1, groups=2)
convolution("conv dilation 2x3", (2, 9, 10), 3, 3, dilation=(2, 3), padding=(2, 3, 2, 3))
convolution("conv asymmetric padding", (2, 6, 5), 3, 3, padding=(0, 1, 2, 3), stride=2)
convolution("conv same, stride 2, even", (3, 8, 6), 4, 3, stride=2, padding="same")
convolution("conv same, stride 2, odd", (3, 7, 9), 4, (3, 5), stride=2, padding="same")
convolution("conv same, dilation", (2, 7, 6), 2, 3, dilation=2, padding="same")
convolution("conv groups, dilation, asymmetric", (4, 8, 7), 4, 3, groups=2, dilation=2, padding=(1, 0, 3, 2))
convolution("depthwise 3x3 stride 1", (20, 5, 6), 20, 3, padding=(1, 1, 1, 1), groups=20)
convolution("depthwise 3x3 stride 2", (19, 7, 8), 19, 3, stride=2, padding=(1, 1, 1, 1), groups=19)
convolution("depthwise 5x5 same stride 2", (7, 9, 8), 7, 5, stride=2, padding="same", groups=7, bias=False)
convolution("depthwise dilation", (3, 8, 8), 3, 3, dilation=2, padding=(2, 0, 1, 2), groups=3)
convolution("depthwise, two outputs a channel", (4, 5, 5), 8, 3, padding=(1, 1, 1, 1), groups=4)

case = Case("conv, batch norm, relu6", 3, 6, 6)
last = case.conv("c", "input", 5, 3, padding=(1, 1, 1, 1), bias=False)
case.done(case.act("a", case.norm("n", last), "relu6"))

case = Case("depthwise with bias, batch norm, hard_swish", 9, 5, 5)
last = case.conv("c", "input", 9, 3, padding=(1, 1, 1, 1), groups=9)
case.done(case.act("a", case.norm("n", last), "hard_swish"))

case = Case("grouped conv, batch norm", 4, 5, 5)
case.done(case.norm("n", case.conv("c", "input", 6, 3, groups=2)))

case = Case("conv, relu, batch norm", 3, 5, 5)
case.done(case.norm("n", case.act("a", case.conv("c", "input", 4, 3), "relu")))

case = Case("batch norm of the picture, relu", 3, 4, 5)
case.done(case.act("a", case.norm("n", "input", 1e-5), "relu"))

case = Case("a conv with two users is not fused", 3, 5, 5)
last = case.conv("c", "input", 3, 3, padding=(1, 1, 1, 1))
other = case.act("a", case.norm("n", last), "relu")
case.done(case.act("b", case.add("s", other, last), "relu"))

case = Case("add with the picture", 4, 5, 4)
case.done(case.add("s", "input", case.conv("c", "input", 4, 1)))

case = Case("add of a value to itself", 2, 3, 3)
last = case.act("a", "input", "tanh")
case.done(case.add("s", last, last))

for op in ("relu", "relu6", "silu", "hard_swish", "hard_sigmoid", "sigmoid", "tanh"):
    case = Case(op + " alone", 3, 5, 7)
    case.input *= 4
    case.done(case.act("a", "input", op))
    case = Case(op + " after a conv", 3, 4, 5)
    case.done(case.act("a", case.conv("c", "input", 7, 1), op))

for op in ("max_pool", "average_pool"):
    for include in (True, False) if op == "average_pool" else (True,):
        tail = "" if op == "max_pool" else f", padding counted: {include}"
        for ceil in (False, True):
            def pool(name, shape, *arguments, **options):
                case = Case(f"{op} {name}, ceil {ceil}{tail}", *shape)
                case.done(case.pool("p", "input", op, *arguments, ceil=ceil, include=include, **options))

            pool("2x2", (3, 5, 7), 2, 2)
            pool("3x3 stride 2, padding 1", (3, 8, 7), 3, 2, padding=(1, 1))
            pool("3x2 stride 2x3, padding 1x0", (2, 6, 8), (3, 2), (2, 3), padding=(1, 0))
            pool("2x2 stride 3, a window in the padding", (2, 4, 7), 2, 3, padding=(1, 1))
case = Case("max_pool dilation 2", 2, 8, 9)
case.done(case.pool("p", "input", "max_pool", 3, 2, padding=(1, 1), dilation=2, ceil=True))
case = Case("max_pool of what is below zero", 2, 4, 4)
case.input.copy_(numbers(IMAGES, 2, 4, 4, low=-9, high=-5))
case.done(case.pool("p", "input", "max_pool", 3, 2, padding=(1, 1)))

case = Case("adaptive average 3x2", 3, 7, 5)
case.done(case.adaptive("p", "input", 3, 2))
case = Case("adaptive average that enlarges", 2, 3, 2)
case.done(case.adaptive("p", "input", 5, 3))
case = Case("global average", 5, 6, 7)
case.done(case.global_average("p", "input"))

case = Case("response norm 5", 9, 3, 4)
case.done(case.response_norm("l", "input", 5, 1e-1, 0.75, 1.0))
case = Case("response norm 4", 6, 2, 3)
case.done(case.response_norm("l", "input", 4, 2.0, 0.5, 2.0))

case = Case("multiply, spread", 6, 4, 5)
gate = case.act("g", case.conv("c", case.global_average("p", "input"), 6, 1), "sigmoid")
case.done(case.multiply("m", "input", gate))
case = Case("multiply, one shape", 3, 4, 5)
case.done(case.multiply("m", case.conv("c", "input", 3, 1), "input"))

case = Case("concatenate", 3, 4, 4)
left = case.conv("c", "input", 5, 3, padding=(1, 1, 1, 1))
right = case.pool("p", "input", "average_pool", 3, 1, padding=(1, 1))
case.done(case.act("a", case.concatenate("j", left, "input", right, left), "relu"))

case = Case("flatten, linear", 3, 4, 5)
case.done(case.linear("l", case.flatten("f", case.conv("c", "input", 4, 3)), 6))
case = Case("linear of the picture", 2, 3, 4)
case.done(case.linear("l", "input", 5, bias=False))
case = Case("linear without flatten, relu", 2, 4, 4)
case.done(case.act("a", case.linear("l", case.act("r", "input", "relu"), 5), "relu"))
case = Case("linear, batch norm, tanh", 4, 2, 2)
case.done(case.act("a", case.norm("n", case.linear("l", case.flatten("f", "input"), 5)), "tanh"))
case = Case("flatten as the answer", 3, 2, 4)
case.done(case.flatten("f", case.act("a", "input", "relu")))

case = Case("softmax of a linear layer", 3, 2, 2)
last = case.linear("l", case.dropout("d", case.flatten("f", "input")), 7)
case.done(case.softmax("s", last))
case = Case("softmax over channels", 5, 3, 2)
case.input *= 30
case.done(case.softmax("s", "input"))

case = Case("squeeze and excitation in a residual", 4, 6, 6)
x = case.act("a0", case.norm("n0", case.conv("c0", "input", 8, 3, padding=(1, 1, 1, 1), bias=False)), "silu")
y = case.act("a1", case.norm("n1", case.conv("c1", x, 8, 3, padding=(1, 1, 1, 1), groups=8, bias=False)), "silu")
gate = case.act("r", case.conv("sr", case.global_average("sp", y), 2, 1), "relu")
gate = case.act("h", case.conv("se", gate, 8, 1), "hard_sigmoid")
y = case.norm("n2", case.conv("c2", case.multiply("m", y, gate), 8, 1, bias=False))
z = case.add("s", y, x)
case.done(case.softmax("o", case.linear("l", case.dropout("d", case.flatten("f", case.adaptive("p", z, 1, 1))), 4)))

path = "Tests/EngineTests/Fixtures/operations.json"
os.makedirs(os.path.dirname(path), exist_ok=True)
with open(path, "w") as file:
    json.dump(cases, file, separators=(",", ":"))
    file.write("\n")
print(len(cases), "cases,", os.path.getsize(path), "bytes")
