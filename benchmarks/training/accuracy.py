"""Trains in PyTorch by the recipes config/train/cifar10-*.toml: what accuracy the same recipe comes to there.

Folders hold a folder a class. Prints accuracy after each epoch on each of the folders to test on.
"""
import argparse
import os
import time

import numpy
import torch
from networks import ResNet20, SimpleCNN
from PIL import Image
from torch import nn
from torch.nn import functional as F

MEAN, STD = torch.tensor([0.4914, 0.4822, 0.4465]), torch.tensor([0.2470, 0.2435, 0.2616])
# Network, largest rate, Nesterov's momentum, padding of the random crop: as the recipes have them.
RECIPES = {"simplecnn": (SimpleCNN, 0.05, False, 0), "resnet20": (ResNet20, 0.2, True, 4)}


def pictures(folder):
    samples, labels = [], []
    for label, name in enumerate(sorted(os.listdir(folder))):
        for file in sorted(os.listdir(f"{folder}/{name}")):
            samples.append(numpy.asarray(Image.open(f"{folder}/{name}/{file}").convert("RGB")))
            labels.append(label)
    return torch.from_numpy(numpy.stack(samples)), torch.tensor(labels)


def fed(samples):
    x = (samples.float() / 255 - MEAN) / STD
    return x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def augmented(samples, padding):
    x = samples.clone()
    if padding:
        wide = F.pad(x, (0, 0, padding, padding, padding, padding))
        for n, (top, left) in enumerate(torch.randint(0, 2 * padding + 1, (len(x), 2)).tolist()):
            x[n] = wide[n, top:top + x.shape[1], left:left + x.shape[2]]
    turned = torch.rand(len(x)) < 0.5
    x[turned] = x[turned].flip(2)
    return x


def accuracy(model, samples, labels):
    model.eval()
    with torch.no_grad():
        right = sum(
            int((model(fed(samples[i:i + 500])).argmax(1) == labels[i:i + 500]).sum())
            for i in range(0, len(labels), 500))
    return right / len(labels)


arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("network", choices=RECIPES)
arguments.add_argument("train")
arguments.add_argument("test", nargs="+")
arguments.add_argument("--epochs", type=int, default=6)
arguments.add_argument("--seed", type=int, default=1)
arguments.add_argument("--threads", type=int, default=2)
arguments = arguments.parse_args()
torch.manual_seed(arguments.seed)
torch.set_num_threads(arguments.threads)
make, rate, nesterov, padding = RECIPES[arguments.network]
model = make().to(memory_format=torch.channels_last)
if arguments.network == "resnet20":
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight)
train, labels = pictures(arguments.train)
tests = [pictures(folder) for folder in arguments.test]
optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9, nesterov=nesterov, weight_decay=5e-4)
steps = (len(labels) + 127) // 128 * arguments.epochs
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
begun = time.perf_counter()
for epoch in range(arguments.epochs):
    model.train()
    losses = []
    for part in torch.randperm(len(labels)).split(128):
        loss = F.cross_entropy(model(fed(augmented(train[part], padding))), labels[part])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if schedule.last_epoch < steps - 1:
            schedule.step()
        losses.append(loss.item())
    found = " ".join(f"{100 * accuracy(model, *test):.2f}" for test in tests)
    print(f"{arguments.network} seed {arguments.seed} epoch {epoch + 1}: loss {sum(losses) / len(losses):.4f}, "
          f"right {found}, {time.perf_counter() - begun:.0f} s", flush=True)
