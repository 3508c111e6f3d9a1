"""Exports torchvision's networks as their users would, with what PyTorch answers.

usage: exchange_torchvision.py FOLDER [--kinds pth,onnx,dynamo,trace,script] [--side PIXELS] NAME...

Writes, for each name, NAME.vectors.safetensors (input, output) and a file a kind. Weights come from PyTorch's seeded start,
with batch norms that do something.
"""
import sys
import warnings

import torch
import torchvision
from safetensors.torch import save_file

warnings.filterwarnings("ignore")
folder, names = sys.argv[1], sys.argv[2:]
kinds = "pth,onnx,dynamo,trace,script".split(",")
if names and names[0] == "--kinds":
    kinds, names = names[1].split(","), names[2:]
side_of_all = 0
if names and names[0] == "--side":
    side_of_all, names = int(names[1]), names[2:]
sizes = {"inception_v3": 139, "alexnet": 224}


def made(name):
    torch.manual_seed(7)
    options = {"aux_logits": True, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    if name in ("googlenet", "inception_v3"):
        options["transform_input"] = True
    model = getattr(torchvision.models, name)(num_classes=12, **options)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1)
            module.bias.data.uniform_(-0.2, 0.2)
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.6, 1.4)
    return model.eval()


for name in names:
    model = made(name)
    side = side_of_all or sizes.get(name, 64)
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        y = model(x)
    save_file({"input": x, "output": y}, f"{folder}/{name}.vectors.safetensors")
    one = x[:1]
    if "pth" in kinds:
        torch.save(model.state_dict(), f"{folder}/{name}.pth")
    with torch.no_grad():
        if "onnx" in kinds:
            torch.onnx.export(
                model, (one,), f"{folder}/{name}.onnx", dynamo=False, opset_version=17, input_names=["input"],
                output_names=["logits"], dynamic_axes={"input": {0: "n"}, "logits": {0: "n"}})
        if "dynamo" in kinds:
            torch.onnx.export(model, (one,), f"{folder}/{name}.dynamo.onnx", dynamo=True, verbose=False)
        if "trace" in kinds:
            torch.jit.trace(model, one).save(f"{folder}/{name}.trace.pt")
        if "script" in kinds:
            torch.jit.script(model).save(f"{folder}/{name}.script.pt")
    print(name, float(y.abs().max()), flush=True)
