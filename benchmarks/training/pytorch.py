"""Whole training steps in PyTorch, channels last: images a second for the networks of `lookout bench training`."""
import sys
import time

import torch
import torchvision
from torch import nn
from torch.nn import functional as F

BATCH, THREADS, COUNT = 128, 2, 8


class SimpleCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32)
        self.conv2, self.fc1, self.fc2 = nn.Conv2d(32, 64, 3, padding=1), nn.Linear(4096, 512), nn.Linear(512, 10)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        x = F.max_pool2d(self.bn1(self.conv1(x)).relu(), 2)
        x = F.max_pool2d(self.conv2(x).relu(), 2)
        return self.fc2(self.dropout(self.fc1(x.flatten(1)).relu()))


class Block(nn.Module):
    def __init__(self, channels, planes, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, planes, 3, stride, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(planes), nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.stride, self.added = stride, (planes - channels) // 2

    def forward(self, x):
        shortcut = x if self.stride == 1 else F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.added, self.added))
        return (self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())) + shortcut).relu()


def resnet20():
    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    channels = 16
    for planes in (16, 32, 64):
        for block in range(3):
            layers.append(Block(channels, planes, 2 if block == 0 and planes > 16 else 1))
            channels = planes
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


NETWORKS = {
    "simplecnn": (SimpleCNN, 32), "resnet20": (resnet20, 32),
    "mobilenet_v2": (lambda: torchvision.models.mobilenet_v2(num_classes=10), 96)}

torch.set_num_threads(THREADS)
for name in sys.argv[1:] or NETWORKS:
    make, side = NETWORKS[name]
    model = make().to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)
    pictures = torch.rand(BATCH, 3, side, side).to(memory_format=torch.channels_last)
    labels = torch.arange(BATCH) % 10
    rates = []
    for step in range(COUNT + 2):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(pictures), labels).backward()
        optimizer.step()
        if step >= 2:
            rates.append(BATCH / (time.perf_counter() - start))
    print(f"{name}: {sorted(rates)[len(rates) // 2]:.0f} images/s", flush=True)
