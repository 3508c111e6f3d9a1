"""Transfer of EfficientNet-Lite0 in PyTorch by the recipe config/train/cifar10-transfer.toml.

The classifier alone learns first, then everything, batch norms by their running statistics. Needs
efficientnet_lite_pytorch; folders hold a folder a class. Prints loss and accuracy after each epoch.
"""
import argparse
import math
import os
import time

import numpy
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from torch import nn
from torch.nn import functional as F

SIDE, EPOCHS, THAWS, BATCH, RATE, BODY, DECAY = 112, 10, 4, 50, 0.02, 0.02, 1e-4

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("weights", help="the state_dict of efficientnet-lite0")
arguments.add_argument("train")
arguments.add_argument("test")
arguments.add_argument("--seed", type=int, default=1)
arguments.add_argument("--threads", type=int, default=2)
arguments = arguments.parse_args()
torch.manual_seed(arguments.seed)
torch.set_num_threads(arguments.threads)


def pictures(folder):
    """TensorFlow's evaluation crop, bicubic, (v - 127) / 128."""
    samples, labels = [], []
    for label, name in enumerate(sorted(os.listdir(folder))):
        for file in sorted(os.listdir(f"{folder}/{name}")):
            picture = Image.open(f"{folder}/{name}/{file}").convert("RGB")
            side = int(min(picture.size) * SIDE / (SIDE + 32))
            left, top = (picture.width - side + 1) // 2, (picture.height - side + 1) // 2
            picture = picture.resize((SIDE, SIDE), Image.BICUBIC, box=(left, top, left + side, top + side))
            samples.append((numpy.asarray(picture, numpy.float32) - 127) / 128)
            labels.append(label)
    x = torch.from_numpy(numpy.stack(samples)).permute(0, 3, 1, 2)
    return x.contiguous(memory_format=torch.channels_last), torch.tensor(labels)


model = EfficientNet.from_name("efficientnet-lite0", image_size=SIDE)
model.load_state_dict(torch.load(arguments.weights))
model._fc = nn.Linear(1280, 10)
model = model.to(memory_format=torch.channels_last).eval()


def answers(x):
    x = model._swish(model._bn0(model._conv_stem(x)))
    for block in model._blocks:
        x = block(x)
    return model._fc(model._swish(model._bn1(model._conv_head(x))).mean((2, 3)))


train, labels = pictures(arguments.train)
test, truth = pictures(arguments.test)
head = [p for n, p in model.named_parameters() if n.startswith("_fc")]
body = [p for n, p in model.named_parameters() if not n.startswith("_fc")]
optimizer = torch.optim.SGD(
    [{"params": head, "factor": 1.0}, {"params": body, "factor": BODY}], RATE, momentum=0.9, weight_decay=DECAY)
steps, step, begun = (len(labels) + BATCH - 1) // BATCH * EPOCHS, 0, time.perf_counter()
for epoch in range(EPOCHS):
    for parameter in body:
        parameter.requires_grad = epoch >= THAWS
    losses = []
    for part in torch.randperm(len(labels)).split(BATCH):
        x, turned = train[part].clone(), torch.rand(len(part)) < 0.5
        x[turned] = x[turned].flip(3)
        loss = F.cross_entropy(answers(x), labels[part])
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 + math.cos(math.pi * step / steps)) / 2 * group["factor"]
        optimizer.step()
        step += 1
        losses.append(loss.item())
    with torch.no_grad():
        found = torch.cat([answers(part) for part in test.split(100)])
    print(f"epoch {epoch + 1}: loss {sum(losses) / len(losses):.4f}, test loss {F.cross_entropy(found, truth):.4f}, "
          f"right {100 * (found.argmax(1) == truth).float().mean():.2f}, {time.perf_counter() - begun:.0f} s", flush=True)
