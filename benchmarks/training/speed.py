"""Whole training steps in PyTorch, channels last: images a second for the networks of `lookout bench training`."""
import sys
import time

import torch
import torchvision
from networks import ResNet20, SimpleCNN
from torch.nn import functional as F

BATCH, THREADS, COUNT = 128, 2, 8

NETWORKS = {
    "simplecnn": (SimpleCNN, 32), "resnet20": (ResNet20, 32),
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
