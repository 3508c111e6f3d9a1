"""Makes Tests/ModelZooTests/Fixtures/exchange: one small network in every exchange format, and one as TensorFlow's exporters
write them, each with what PyTorch or ONNX Runtime answers. Needs torch, onnx, onnxruntime, onnxscript and safetensors;
run from the repository's root.
"""
import os
import sys
import zipfile

import numpy
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file
from torch import nn

out = (sys.argv[1] if len(sys.argv) > 1 else "Tests/ModelZooTests/Fixtures/exchange") + "/"
os.makedirs(out, exist_ok=True)


class Mixed(nn.Module):
    """A bit of everything: what exporters write in one operator and what they write in many."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.norm = nn.LocalResponseNorm(5, alpha=0.01, beta=0.75, k=2.0)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8)
        self.widen = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.squeeze = nn.Conv2d(16, 4, 1)
        self.excite = nn.Conv2d(4, 16, 1)
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.dropout = nn.Dropout(0.3)
        self.fc = nn.Linear(16, 5)

    def forward(self, x):
        x = torch.cat((x[:, 0:1] * 0.5 + 0.25, x[:, 1:2] * 0.75 - 0.5, x[:, 2:3]), 1)
        x = self.bn1(self.conv1(x))
        x = x * nn.functional.relu6(x + 3.0) / 6.0
        x = self.norm(x)
        x = x + torch.sigmoid(self.depthwise(x)) * 0.5
        short = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 4, 4))
        x = nn.functional.silu(self.widen(x)) + short
        gate = nn.functional.adaptive_avg_pool2d(x, 1)
        gate = nn.functional.hardsigmoid(self.excite(torch.relu(self.squeeze(gate))))
        x = torch.clamp(x * gate, -1.0, 2.5)
        x = self.pool(x)
        return self.fc(self.dropout(x.mean((2, 3))))


torch.manual_seed(11)
model = Mixed().eval()
for tensor in (model.bn1.running_mean, model.bn1.bias.data):
    tensor.uniform_(-0.3, 0.3)
model.bn1.running_var.uniform_(0.5, 1.5)
x = torch.randn(2, 3, 21, 18)
with torch.no_grad():
    save_file({"input": x, "output": model(x)}, out + "mixed.vectors")
    one = x[:1]
    names = {"input_names": ["input"], "output_names": ["logits"]}
    torch.onnx.export(
        model, (one,), out + "mixed.onnx", dynamo=False, opset_version=13,
        dynamic_axes={"input": {0: "n"}, "logits": {0: "n"}}, **names)
    torch.onnx.export(model, (one,), out + "mixed.static.onnx", dynamo=False, opset_version=18, **names)
    # The oldest operators that are read, and the newest.
    for opset in (11, 12):
        torch.onnx.export(model, (one,), out + f"mixed.opset{opset}.onnx", dynamo=False, opset_version=opset, **names)
    torch.onnx.export(
        model, (one,), out + "mixed.opset21.onnx", dynamo=True, verbose=False, opset_version=21, external_data=False,
        **names)
    torch.onnx.export(model, (one,), out + "mixed.dynamo.onnx", dynamo=True, verbose=False, external_data=True, **names)
    # A script has no operator for the norm over channels, only its many parts.
    model.norm = nn.Identity()
    save_file({"input": x, "output": model(x)}, out + "plain.vectors")
    torch.jit.trace(model, one).save(out + "plain.trace.pt")
    torch.jit.script(model).save(out + "plain.script.pt")


class Odd(nn.Module):
    """Has an operator that Lookout does not know, in a function that is called."""

    def turned(self, x):
        x = torch.relu(x)
        return torch.einsum("nchw->nhwc", x)

    def forward(self, x):
        return self.turned(x).mean((1, 2))


torch.jit.script(Odd().eval()).save(out + "odd.script.pt")


def constant(name, array):
    return numpy_helper.from_array(array, name)


random = numpy.random.default_rng(5)


def numbers(*shape):
    return random.standard_normal(shape).astype(numpy.float32) / 2


# As tf2onnx and keras2onnx write: channels last outside, "same" padding, sums after products, softmax.
nodes = [
    helper.make_node("Mul", ["x", "scale"], ["x1"]),
    helper.make_node("Sub", ["x1", "mean"], ["x2"]),
    helper.make_node("Transpose", ["x2"], ["x3"], perm=[0, 3, 1, 2]),
    helper.make_node("Conv", ["x3", "w1"], ["x4"], strides=[2, 2], auto_pad="SAME_UPPER", kernel_shape=[3, 3]),
    helper.make_node("Transpose", ["x4"], ["x5"], perm=[0, 2, 3, 1]),
    helper.make_node("Add", ["x5", "b1"], ["x6"]),
    helper.make_node("Relu", ["x6"], ["x7"]),
    helper.make_node("Min", ["x7", "six"], ["x8"]),
    helper.make_node("Transpose", ["x8"], ["x9"], perm=[0, 3, 1, 2]),
    helper.make_node("Pad", ["x9", "pads"], ["x10"]),
    helper.make_node("Conv", ["x10", "w2", "b2"], ["x11"], kernel_shape=[3, 3], strides=[2, 2], group=6),
    helper.make_node("LeakyRelu", ["x11"], ["x12"], alpha=0.2),
    helper.make_node("AveragePool", ["x12"], ["x13"], kernel_shape=[2, 2], auto_pad="SAME_LOWER"),
    helper.make_node("Transpose", ["x13"], ["x14"], perm=[0, 2, 3, 1]),
    helper.make_node("Shape", ["x14"], ["s1"]),
    helper.make_node("Slice", ["s1", "zero", "onei"], ["s2"]),
    helper.make_node("Concat", ["s2", "minus"], ["s3"], axis=0),
    helper.make_node("Reshape", ["x14", "s3"], ["x15"]),
    helper.make_node("MatMul", ["x15", "w3"], ["x16"]),
    helper.make_node("Add", ["x16", "b3"], ["x17"]),
    helper.make_node("HardSigmoid", ["x17"], ["x18"], alpha=0.2, beta=0.5),
    helper.make_node("MatMul", ["x18", "w4"], ["x19"]),
    helper.make_node("Softmax", ["x19"], ["y"], axis=-1),
]
height, width, after = 13, 10, (4, 3)
constants = [
    constant("scale", numpy.float32(0.5).reshape(())), constant("mean", numbers(3)), constant("w1", numbers(6, 3, 3, 3)),
    constant("b1", numbers(6)), constant("six", numpy.float32(6).reshape(())),
    constant("pads", numpy.array([0, 0, 1, 1, 0, 0, 1, 1])), constant("w2", numbers(6, 1, 3, 3)),
    constant("b2", numbers(6)), constant("zero", numpy.array([0])), constant("onei", numpy.array([1])),
    constant("minus", numpy.array([-1])), constant("w3", numbers(6 * after[0] * after[1], 7)), constant("b3", numbers(7)),
    constant("w4", numbers(7, 4)),
]
graph = helper.make_graph(
    nodes, "nhwc", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", height, width, 3])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])], constants)
proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
onnx.checker.check_model(proto)
onnx.save(proto, out + "nhwc.onnx")
session = onnxruntime.InferenceSession(out + "nhwc.onnx")
x = random.standard_normal((2, height, width, 3)).astype(numpy.float32)
y = session.run(None, {"x": x})[0]
save_file(
    {"input": torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(), "output": torch.from_numpy(y)},
    out + "nhwc.vectors")

unknown = helper.make_graph(
    [helper.make_node("Einsum", ["x"], ["y"], name="odd", equation="nchw->nchw")], "unknown",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 8, 8])])
onnx.save(helper.make_model(unknown, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), out + "unknown.onnx")


def stripped():
    """Takes away what exporters note of the machine they ran on: stack traces, debug information."""
    for name in sorted(os.listdir(out)):
        if name.endswith(".onnx"):
            proto = onnx.load(out + name, load_external_data=False)
            for part in (*proto.graph.node, *proto.graph.value_info, *proto.graph.input, *proto.graph.output, proto.graph):
                part.doc_string = ""
                del part.metadata_props[:]
            with open(out + name, "wb") as file:
                file.write(proto.SerializeToString())
        elif name.endswith(".pt"):
            with zipfile.ZipFile(out + name) as archive:
                parts = [(part, archive.read(part)) for part in archive.namelist() if not part.endswith(".debug_pkl")]
            with zipfile.ZipFile(out + name, "w", zipfile.ZIP_STORED) as archive:
                for part, content in parts:
                    archive.writestr(zipfile.ZipInfo(part, (1980, 1, 1, 0, 0, 0)), content)


stripped()
