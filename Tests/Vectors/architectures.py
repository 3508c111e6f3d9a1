"""Makes Tests/ModelZooTests/Fixtures/architectures.json: what PyTorch answers with every architecture.

The weights are no trained ones but come from a formula that the test knows too, so that only the answers are kept.
Needs torch, torchvision and efficientnet-lite-pytorch 0.1.0; run from the repository's root.
"""
import json
import math

import numpy
import torch
import torchvision
from efficientnet_lite_pytorch import EfficientNet
from torch import nn

CLASSES = 16
SEED = 7


def mixed(numbers, seed):
    """The finalizer of MurmurHash3 over whole numbers, as floats from -1 to 1."""
    with numpy.errstate(over="ignore"):
        bits = numbers.astype(numpy.uint32) * numpy.uint32(0x9E3779B9) ^ numpy.uint32(seed)
        bits = (bits ^ bits >> numpy.uint32(16)) * numpy.uint32(0x85EBCA6B)
        bits = (bits ^ bits >> numpy.uint32(13)) * numpy.uint32(0xC2B2AE35)
        bits ^= bits >> numpy.uint32(16)
    return (bits >> numpy.uint32(8)).astype(numpy.float32) / numpy.float32(8388608) - numpy.float32(1)


def filled(name, shape):
    """A tensor by its name: FNV-1a of the name is the seed."""
    seed = 2166136261
    for byte in name.encode():
        seed = (seed ^ byte) * 16777619 & 0xFFFFFFFF
    values = mixed(numpy.arange(math.prod(shape)), seed)
    if len(shape) > 1:
        values *= numpy.float32(math.sqrt(6 / math.prod(shape[1:])))
    elif name.endswith("running_var"):
        values = values / numpy.float32(2) + numpy.float32(1)
    elif name.endswith("weight"):
        values = values / numpy.float32(4) + numpy.float32(1)
    else:
        values /= numpy.float32(4)
    return torch.from_numpy(values.reshape(shape)).double()


def mosaic(side):
    c, y, x = numpy.mgrid[0:3, 0:side, 0:side]
    return torch.from_numpy(mixed((c * 16 + 16 * y // side) * 16 + 16 * x // side, SEED)).double()[None]


class SimpleCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(4096, 512)
        self.fc2 = nn.Linear(512, CLASSES)

    def forward(self, x):
        x = self.pool(self.bn1(self.conv1(x)).relu())
        x = self.pool(self.conv2(x).relu())
        return self.fc2(self.fc1(x.flatten(1)).relu())


models = {
    "resnet18": (torchvision.models.resnet18(num_classes=CLASSES), 224),
    "resnet34": (torchvision.models.resnet34(num_classes=CLASSES), 224),
    "resnet50": (torchvision.models.resnet50(num_classes=CLASSES), 224),
    "mobilenet_v2": (torchvision.models.mobilenet_v2(num_classes=CLASSES), 224),
    "simplecnn": (SimpleCNN(), 32),
}
for number, side in enumerate((224, 240, 260)):
    name = f"efficientnet-lite{number}"
    models[name] = (EfficientNet.from_name(name, num_classes=CLASSES), side)

answers = {}
for name, (model, side) in sorted(models.items()):
    state = {
        key: value if key.endswith("num_batches_tracked") else filled(key, tuple(value.shape))
        for key, value in model.state_dict().items()}
    model = model.double().eval()
    model.load_state_dict(state)
    with torch.no_grad():
        answers[name] = [float(f"{value:.9g}") for value in model(mosaic(side))[0].tolist()]
    print(name, max(abs(value) for value in answers[name]))
with open("Tests/ModelZooTests/Fixtures/architectures.json", "w") as file:
    json.dump(answers, file, indent=1)
    file.write("\n")
