"""Makes Tests/TrainingTests/Fixtures/training.json: PyTorch's losses, optimizers, schedules and twenty steps of training.

Weights and batches come from formulas that the tests know too. Needs torch, torchvision,
efficientnet_lite_pytorch, numpy and scikit-learn; run from the repository's root.
"""
import json
import math
import os
import sys

import numpy
import sklearn.metrics
import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from efficientnet_lite_pytorch import EfficientNet
from training_counter import counted as drawn

sys.path.append("benchmarks/training")
from networks import ResNet20, SimpleCNN  # noqa: E402

torch.set_num_threads(1)
answer = {}


def counted(seed, *shape):
    return torch.from_numpy(drawn(seed, *shape)).float()


def numbers(tensor):
    return [float(f"{v:.8g}") for v in torch.as_tensor(tensor).detach().flatten().tolist()]


# Losses: 4 images, 5 classes.
logits, classes, N, K = counted(1, 4, 5) * 3, torch.tensor([3, 0, 4, 3]), 4, 5
weights = torch.tensor([0.5, 1.0, 2.0, 1.5, 0.25])
soft = counted(2, 4, 5).abs()
soft /= soft.sum(1, keepdim=True)
binary = (counted(3, 4, 5) > 0).float()
losses = []


def loss(name, function, inputs, rows=None, **settings):
    x = inputs.clone().requires_grad_()
    value = function(x)
    value.backward()
    losses.append({
        "name": name, "answers": numbers(inputs), "rows": None if rows is None else numbers(rows),
        "loss": float(value.detach()), "gradient": numbers(x.grad), **settings})


loss("cross_entropy", lambda x: F.cross_entropy(x, classes), logits)
loss("cross_entropy", lambda x: F.cross_entropy(x, classes, weights), logits, weights=numbers(weights))
loss("cross_entropy", lambda x: F.cross_entropy(x, classes, label_smoothing=0.1), logits, smoothing=0.1)
loss("cross_entropy", lambda x: F.cross_entropy(x, classes, weights, label_smoothing=0.2), logits,
     weights=numbers(weights), smoothing=0.2)
loss("cross_entropy", lambda x: F.cross_entropy(x, soft), logits, soft)
loss("cross_entropy", lambda x: F.cross_entropy(x, soft, weights, label_smoothing=0.1), logits, soft,
     weights=numbers(weights), smoothing=0.1)
loss("binary_cross_entropy", lambda x: F.binary_cross_entropy_with_logits(x, binary), logits * 9, binary)
loss("binary_cross_entropy", lambda x: F.binary_cross_entropy_with_logits(x, binary, pos_weight=weights), logits,
     binary, weights=numbers(weights))
loss("negative_log_likelihood", lambda x: F.nll_loss(x, classes), logits)
loss("negative_log_likelihood", lambda x: F.nll_loss(x, classes, weights), logits, weights=numbers(weights))
loss("mean_squared_error", lambda x: F.mse_loss(x, soft), logits, soft)
answer["losses"] = losses

# Optimizers: 12 weights, 20 steps, the gradients drawn.
OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, 0.1),
    "sgd decay": lambda p: torch.optim.SGD(p, 0.1, weight_decay=0.02),
    "sgd momentum": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.01),
    "sgd dampening": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, dampening=0.3),
    "sgd nesterov": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda p: torch.optim.Adam(p, 0.01),
    "adam decay": lambda p: torch.optim.Adam(p, 0.01, betas=(0.8, 0.99), weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 0.01),
    "rmsprop momentum": lambda p: torch.optim.RMSprop(p, 0.01, alpha=0.9, momentum=0.8, weight_decay=0.1),
    "rmsprop centred": lambda p: torch.optim.RMSprop(p, 0.01, momentum=0.5, centered=True),
}
answer["optimizers"] = {}
for name, make in OPTIMIZERS.items():
    w = counted(5, 12).requires_grad_()
    optimizer, rows = make([w]), []
    for step in range(20):
        w.grad = counted(100 + step, 12)
        optimizer.step()
        rows.append(numbers(w))
    answer["optimizers"][name] = [rows[0], rows[1], rows[-1]]

# Clipping and averaging.
w = counted(5, 12).requires_grad_()
w.grad = counted(6, 12) * 3
length = torch.nn.utils.clip_grad_norm_([w], 1.5)
answer["clip_norm"] = {"length": float(length), "gradient": numbers(w.grad)}
w.grad = counted(6, 12) * 3
torch.nn.utils.clip_grad_value_([w], 1.25)
answer["clip_value"] = numbers(w.grad)
module = nn.Linear(4, 3, bias=False)
averaged = torch.optim.swa_utils.AveragedModel(module, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
for step in range(20):
    module.weight.data = counted(200 + step, 3, 4)
    averaged.update_parameters(module)
answer["average"] = numbers(averaged.module.weight)

# Schedules: the rate of each step; 5 steps an epoch, 12 epochs.
lr = torch.optim.lr_scheduler
PLATEAU = [1.0, 0.9, 0.9, 0.91, 0.9, 0.89, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7]
SCHEDULES = {
    "step": (False, lambda o: lr.StepLR(o, 4, 0.3)),
    "multi_step": (False, lambda o: lr.MultiStepLR(o, [3, 7, 10], 0.2)),
    "exponential": (False, lambda o: lr.ExponentialLR(o, 0.8)),
    "cosine": (True, lambda o: lr.CosineAnnealingLR(o, 60, 0.001)),
    "one_cycle": (True, lambda o: lr.OneCycleLR(o, 0.5, total_steps=60)),
    "plateau": (None, lambda o: lr.ReduceLROnPlateau(o, factor=0.1, patience=2)),
    "warm_up": (True, lambda o: lr.LinearLR(o, 1 / 3, 1.0, 10)),
}
answer["schedules"] = {}
for name, (each_step, make) in SCHEDULES.items():
    optimizer = torch.optim.SGD([torch.zeros(1)], 0.5, momentum=0.9)
    schedule, rates, momenta = make(optimizer), [], []
    for step in range(60):
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])
        if each_step or (each_step is False and step % 5 == 4):
            optimizer.step()
            if step < 59:
                schedule.step()
        elif each_step is None and step % 5 == 4:
            schedule.step(PLATEAU[step // 5])
    answer["schedules"][name] = {"rates": rates, "momenta": momenta if name == "one_cycle" else None}
answer["plateau_losses"] = PLATEAU


# Twenty steps.
def filled(name, shape):
    """A tensor by its name: the sum of its bytes times 31 is the seed."""
    seed = sum((i + 1) * b for i, b in enumerate(name.encode()))
    if name.endswith("running_var") or name.endswith("weight") and len(shape) == 1:
        return torch.ones(shape)
    if len(shape) == 1:
        return torch.zeros(shape)
    return counted(seed, *shape) * float(numpy.float32(math.sqrt(6 / math.prod(shape[1:]))))


def mobilenet():
    return torchvision.models.mobilenet_v2(num_classes=10, dropout=0.0)


answer["curves"] = []
for name, make, size, batch, rate in [
        ("simplecnn", lambda: SimpleCNN(dropout=0), 32, 16, 0.002), ("resnet20", ResNet20, 32, 16, 0.01),
        ("mobilenet_v2", mobilenet, 96, 32, 0.0003)]:
    # In double precision: a deep network at small batches grows the rounding of single precision from step to step.
    model = make().double()
    model.load_state_dict(
        {n: filled(n, t.shape) if "num_batches" not in n else t for n, t in model.state_dict().items()})
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9, weight_decay=5e-4)
    curve = []
    for step in range(20):
        x = counted(1000 + step % 4, batch, 3, size, size).double()
        y = (torch.arange(batch) * 7 + step % 4 * 3) % 10
        value = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        curve.append(float(f"{value.item():.6g}"))
    answer["curves"].append({"name": name, "size": size, "batch": batch, "rate": rate, "losses": curve})
    print(name, curve)

# Transfer: the classifier alone learns, the batch norms going by their running statistics; then everything does, the
# batch norms going by the batch ("batch") or still by their running statistics ("kept").
answer["thawing"] = []
for statistics in ("batch", "kept"):
    size, batch, rate = 64, 32, 0.003
    model = EfficientNet.from_name("efficientnet-lite0").double()
    model._fc, model._dropout = nn.Linear(1280, 10).double(), nn.Identity()
    model.load_state_dict(
        {n: filled(n, t.shape) if "num_batches" not in n else t for n, t in model.state_dict().items()})
    parameters = dict(model.named_parameters())
    groups = [{"params": [p], "factor": 1.0 if n.startswith("_fc") else 0.1} for n, p in parameters.items()]
    optimizer = torch.optim.SGD(groups, rate, momentum=0.9, weight_decay=1e-4)
    norms, curve = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)], []
    for norm in norms:
        norm.momentum = 0.1
    for step in range(20):
        for name, parameter in parameters.items():
            parameter.requires_grad = step >= 8 or name.startswith("_fc")
        for norm in norms:
            norm.train(step >= 8 and statistics == "batch")
        x = counted(1000 + step % 4, batch, 3, size, size).double()
        y = (torch.arange(batch) * 7 + step % 4 * 3) % 10
        x = model._swish(model._bn0(model._conv_stem(x)))
        for block in model._blocks:
            x = block(x)
        value = F.cross_entropy(model._fc(model._swish(model._bn1(model._conv_head(x))).mean((2, 3))), y)
        optimizer.zero_grad()
        value.backward()
        for group in optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        optimizer.step()
        curve.append(float(f"{value.item():.6g}"))
    answer["thawing"].append(
        {"statistics": statistics, "size": size, "batch": batch, "rate": rate, "thaws": 8, "losses": curve})
    print(statistics, curve)

# Metrics: 60 pictures of 5 classes, class 4 never answered.
rows = (counted(7, 60, 5) * 2).softmax(1).double()
rows[:, 4] *= 0.01
rows /= rows.sum(1, keepdim=True)
rows = rows.float()
truth = ((counted(8, 60) + 1) * 2.4999).long().numpy()
found = rows.argmax(1).numpy()
s = sklearn.metrics
per_class = s.precision_recall_fscore_support(truth, found, labels=range(5), zero_division=0)
answer["metrics"] = {
    "probabilities": numbers(rows), "labels": truth.tolist(), "accuracy": s.accuracy_score(truth, found),
    "confusion": s.confusion_matrix(truth, found, labels=range(5)).tolist(),
    "precision": per_class[0].tolist(), "recall": per_class[1].tolist(), "f1": per_class[2].tolist(),
    "macro": list(s.precision_recall_fscore_support(truth, found, average="macro", zero_division=0)[:3]),
    "micro": list(s.precision_recall_fscore_support(truth, found, average="micro", zero_division=0)[:3]),
    "log_loss": s.log_loss(truth, rows.double().numpy() / rows.double().sum(1, keepdim=True).numpy(), labels=range(5)),
}

path = "Tests/TrainingTests/Fixtures/training.json"
os.makedirs(os.path.dirname(path), exist_ok=True)
with open(path, "w") as file:
    json.dump(answer, file, separators=(",", ":"))
    file.write("\n")
print(os.path.getsize(path), "bytes")
