"""Makes models of about 1 GB in every form that `lookout import` reads, imports them, and tells the memory it took.

    python benchmarks/import/memory.py .build/release/lookout /tmp/large [FORM…]

Needs torch, torchvision, onnx, safetensors and 22 GB on the disk; a form that is there already is not made again. `vgg11`
has 29,000 classes, so three large linear layers; `chain` is seven convolutions of 3×3 over 2048 channels and little
else. A line tells the file in GB, the peak of the memory in GB, their ratio, and seconds of the processor.
"""
import os
import sys

import numpy
import onnx
import torch
import torchvision
from onnx import TensorProto, helper
from safetensors.torch import save_file
from torch import nn


def vgg11():
    return torchvision.models.vgg11(num_classes=29000)


def chain():
    layers = [nn.Conv2d(3, 2048, 3, stride=4, padding=1), nn.ReLU()]
    for _ in range(7):
        layers += [nn.Conv2d(2048, 2048, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 10))


MODELS = {"vgg11": (vgg11, 224), "chain": (chain, 32)}


def onnx_raw(model, x, path):
    torch.onnx.export(model, (x,), path, dynamo=False, opset_version=17, do_constant_folding=True)


def onnx_external(model, x, path):
    proto = exported(model, x, path)
    onnx.save(proto, path, save_as_external_data=True, location=os.path.basename(path) + ".data")


def onnx_floats(model, x, path):
    """The weights as `float_data`, packed as protobuf packs them."""
    proto = exported(model, x, path)
    for tensor in proto.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            numbers = numpy.frombuffer(tensor.raw_data, "<f4")
            tensor.ClearField("raw_data")
            tensor.float_data.extend(numbers)
    with open(path, "wb") as file:
        file.write(proto.SerializeToString())


def onnx_columns(model, x, path):
    """Linear weights with a column a feature that comes out, as Keras and MatMul have them."""
    proto = exported(model, x, path)
    tensors = {tensor.name: tensor for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        if node.op_type == "Gemm":
            tensor = tensors[node.input[1]]
            numbers = numpy.frombuffer(tensor.raw_data, "<f4").reshape(tuple(tensor.dims))
            tensor.raw_data = numpy.ascontiguousarray(numbers.T).tobytes()
            tensor.dims[:] = numbers.T.shape
            del node.attribute[:]
    with open(path, "wb") as file:
        file.write(proto.SerializeToString())


def onnx_transpose(model, x, path):
    """The same, and a Transpose before each product that brings them back."""
    onnx_columns(model, x, path)
    proto = onnx.load(path)
    nodes = []
    for node in proto.graph.node:
        if node.op_type == "Gemm":
            nodes.append(helper.make_node("Transpose", [node.input[1]], [node.input[1] + "_t"], perm=[1, 0]))
            node.input[1] += "_t"
            node.attribute.append(helper.make_attribute("transB", 1))
        nodes.append(node)
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    with open(path, "wb") as file:
        file.write(proto.SerializeToString())


def exported(model, x, path):
    raw = os.path.join(os.path.dirname(path), f"{os.path.basename(path).split('.')[0]}.raw.onnx")
    if not os.path.exists(raw):
        onnx_raw(model, x, raw)
    return onnx.load(raw)


def trace(model, x, path):
    torch.jit.trace(model, x).save(path)


def trace_columns(model, x, path):
    """Linear layers as products with a transposed matrix, and convolutions with the channels last in memory."""

    class Columns(nn.Module):
        def __init__(self, linear):
            super().__init__()
            self.weight = nn.Parameter(linear.weight.t().contiguous().t())
            self.bias = linear.bias

        def forward(self, x):
            return nn.functional.linear(x, self.weight, self.bias)

    def replace(module):
        for name, child in module.named_children():
            if isinstance(child, nn.Linear):
                setattr(module, name, Columns(child))
            else:
                replace(child)

    replace(model)
    torch.jit.trace(model.to(memory_format=torch.channels_last), x).save(path)


def script(model, x, path):
    torch.jit.script(model).save(path)


FORMS = {
    "safetensors": lambda model, x, path: save_file(model.state_dict(), path),
    "pth": lambda model, x, path: torch.save(model.state_dict(), path),
    "raw.onnx": onnx_raw,
    "external.onnx": onnx_external,
    "floats.onnx": onnx_floats,
    "columns.onnx": onnx_columns,
    "transpose.onnx": onnx_transpose,
    "trace.pt": trace,
    "columns.pt": trace_columns,
    "script.pt": script,
}


def peak(tool, name, form, path):
    """The largest resident set of an import, in bytes, and its seconds."""
    words = [tool, "import", path, "-o", f"{path}.swiftweights"]
    if form in ("safetensors", "pth"):
        words += ["--architecture", name]
    if form.endswith(".pt"):
        words += ["--input-size", str(MODELS[name][1])]
    child = os.fork()
    if child == 0:
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        os.execv(tool, words)
    _, status, usage = os.wait4(child, 0)
    if status != 0:
        sys.exit(f"{path} is not imported: {status}")
    os.unlink(f"{path}.swiftweights")
    return usage.ru_maxrss * 1024, usage.ru_utime + usage.ru_stime


def main():
    tool, folder, wanted = sys.argv[1], sys.argv[2], sys.argv[3:]
    os.makedirs(folder, exist_ok=True)
    for name, (make, side) in MODELS.items():
        for form, write in FORMS.items():
            path = f"{folder}/{name}.{form}"
            if wanted and f"{name}.{form}" not in wanted or name == "chain" and form in ("safetensors", "pth"):
                continue
            if not os.path.exists(path):
                # What makes a file stays in a process of its own, so that the next one has the memory.
                child = os.fork()
                if child == 0:
                    torch.manual_seed(1)
                    with torch.no_grad():
                        write(make().eval(), torch.randn(1, 3, side, side), path)
                    os._exit(0)
                if os.waitpid(child, 0)[1] != 0:
                    sys.exit(f"{path} is not made")
            size = os.path.getsize(path) + (os.path.getsize(path + ".data") if "external" in form else 0)
            memory, seconds = peak(tool, name, form, path)
            print(
                f"| {name} | {form} | {size / 1e9:.3f} | {memory / 1e9:.3f} | {memory / size:.2f} | {seconds:.0f} |",
                flush=True)


main()
