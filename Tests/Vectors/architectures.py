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


def filled(name, shape, gain=6):
    """A tensor by its name: FNV-1a of the name is the seed."""
    seed = 2166136261
    for byte in name.encode():
        seed = (seed ^ byte) * 16777619 & 0xFFFFFFFF
    values = mixed(numpy.arange(math.prod(shape)), seed)
    if len(shape) > 1:
        values *= numpy.float32(math.sqrt(gain / math.prod(shape[1:])))
    elif name.endswith("running_var"):
        values = values / numpy.float32(2) + numpy.float32(1)
    elif name.endswith("weight"):
        values = values / numpy.float32(4) + numpy.float32(1)
    else:
        values /= numpy.float32(4)
    return torch.from_numpy(values.reshape(shape)).double()


def mosaic(channels, height, width):
    c, y, x = numpy.mgrid[0:channels, 0:height, 0:width]
    return torch.from_numpy(mixed((c * 16 + 16 * y // height) * 16 + 16 * x // width, SEED)).double()[None]


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


class LeNet5(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(256, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, CLASSES)

    def forward(self, x):
        x = nn.functional.max_pool2d(self.conv1(x).relu(), 2)
        x = nn.functional.max_pool2d(self.conv2(x).relu(), 2)
        return self.fc3(self.fc2(self.fc1(x.flatten(1)).relu()).relu())


class OptionABlock(nn.Module):
    def __init__(self, channels, planes, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.stride = stride
        self.added = (planes - channels) // 2

    def forward(self, x):
        shortcut = x
        if self.stride != 1:
            shortcut = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.added, self.added))
        return (self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())) + shortcut).relu()


class CifarResNet(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        channels = 16
        for layer in range(3):
            blocks = []
            for block in range((depth - 2) // 6):
                blocks.append(OptionABlock(channels, 16 << layer, 2 if block == 0 and layer else 1))
                channels = 16 << layer
            setattr(self, f"layer{layer + 1}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, CLASSES)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(self.bn1(self.conv1(x)).relu())))
        return self.linear(x.mean((2, 3)))


def torchvision_model(name, **options):
    return lambda size: getattr(torchvision.models, name)(num_classes=CLASSES, **options)


def lite(name):
    return lambda size: EfficientNet.from_name(name, num_classes=CLASSES, image_size=list(size))


# Name, how it is made for a size, channels, the sizes whose answers are kept.
cases = [
    ("simplecnn", lambda size: SimpleCNN(), 3, [(32, 32)]),
    ("lenet5", lambda size: LeNet5(), 1, [(28, 28)]),
    ("alexnet", torchvision_model("alexnet"), 3, [(224, 224), (97, 131)]),
    ("googlenet", torchvision_model("googlenet", aux_logits=True, init_weights=False), 3, [(224, 224), (111, 97)]),
    ("inception_v3", torchvision_model("inception_v3", aux_logits=True, init_weights=False), 3,
     [(299, 299), (139, 121)]),
]
# Of some only the names and shapes of their tensors are kept: their numbers are many, and another of the family is computed.
for number in (11, 13, 16, 19):
    for ending in ("", "_bn"):
        sizes = {"11": [(224, 224)], "16_bn": [(65, 47)]}.get(f"{number}{ending}", [])
        cases.append((f"vgg{number}{ending}", torchvision_model(f"vgg{number}{ending}"), 3, sizes))
for number in (18, 34, 50, 101, 152):
    sizes = [(224, 224), (75, 99)] if number <= 50 else [(75, 99)]
    cases.append((f"resnet{number}", torchvision_model(f"resnet{number}"), 3, sizes))
for number in (20, 32, 56):
    cases.append((f"resnet{number}", lambda size, number=number: CifarResNet(number), 3, [(32, 32), (35, 41)]))
for name in ("squeezenet1_0", "squeezenet1_1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large"):
    cases.append((name, torchvision_model(name), 3, [(224, 224), (85, 67)]))
for number, side in enumerate((224, 240, 288, 300, 380, 456, 528, 600)):
    sizes = [(side, side), (97, 75)] if number <= 1 else [(97, 75)]
    cases.append((f"efficientnet_b{number}", torchvision_model(f"efficientnet_b{number}"), 3, sizes))
for number, side in enumerate((224, 240, 260, 280, 300)):
    sizes = [(side, side), (97, 75)] if number <= 2 else [(97, 75)]
    cases.append((f"efficientnet-lite{number}", lite(f"efficientnet-lite{number}"), 3, sizes))

def signature(model):
    """FNV-1a (64 bits) over the sorted names and shapes of the tensors that answer."""
    lines = sorted(
        f"{key}:{'x'.join(map(str, value.shape))}\n" for key, value in model.state_dict().items()
        if not key.endswith("num_batches_tracked") and not key.startswith(("aux1.", "aux2.", "AuxLogits.")))
    seed = 14695981039346656037
    for byte in "".join(lines).encode():
        seed = (seed ^ byte) * 1099511628211 & 0xFFFFFFFFFFFFFFFF
    return f"{seed:016x}"


answers = {}
for name, make, channels, sizes in cases:
    answers[f"{name}@signature"] = signature(make((224, 224)))
    # Deep networks with squeeze-excitation make chaos of large weights, in PyTorch's own 32 bits too.
    gain = 3 if name.startswith("efficientnet_b") else 6
    for height, width in sizes:
        model = make((height, width))
        state = {
            key: value if key.endswith("num_batches_tracked") else filled(key, tuple(value.shape), gain)
            for key, value in model.state_dict().items()}
        model = model.double().eval()
        model.load_state_dict(state)
        with torch.no_grad():
            logits = model(mosaic(channels, height, width))[0].tolist()
        answers[f"{name}@{height}x{width}"] = [float(f"{value:.9g}") for value in logits]
        print(name, height, width, max(abs(value) for value in logits), flush=True)
with open("Tests/ModelZooTests/Fixtures/architectures.json", "w") as file:
    json.dump(answers, file, indent=0, sort_keys=True)
    file.write("\n")
