"""Makes Tests/TrainingTests/Fixtures/optimizers.json: PyTorch's optimizers under OneCycleLR, and with weights that thaw.

Needs torch and numpy; run from the repository's root.
"""
import json
import os

import torch
from training_counter import counted as drawn

torch.set_num_threads(1)


def counted(seed, *shape):
    return torch.from_numpy(drawn(seed, *shape)).float()


def numbers(tensors):
    return [float(f"{v:.8g}") for t in tensors for v in t.detach().flatten().tolist()]


# OneCycleLR cycles the momentum of every optimizer that has one, also if it was made with none.
CYCLED = {
    "sgd": (0.1, lambda p, rate: torch.optim.SGD(p, rate)),
    "sgd momentum": (0.1, lambda p, rate: torch.optim.SGD(p, rate, momentum=0.9)),
    "rmsprop": (0.01, lambda p, rate: torch.optim.RMSprop(p, rate)),
    "rmsprop centred": (0.01, lambda p, rate: torch.optim.RMSprop(p, rate, centered=True)),
    "adam": (0.01, lambda p, rate: torch.optim.Adam(p, rate)),
}
one_cycle = {}
for name, (rate, make) in CYCLED.items():
    w = counted(5, 12).requires_grad_()
    optimizer, rows = make([w], rate), []
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=20)
    for step in range(20):
        w.grad = counted(100 + step, 12)
        optimizer.step()
        if step < 19:
            schedule.step()
        rows.append(numbers([w]))
    one_cycle[name] = [rows[0], rows[1], rows[-1]]

# Eight steps of the first four weights alone, then twelve of all.
THAWED = {
    "sgd": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, dampening=0.3),
    "adam": lambda p: torch.optim.Adam(p, 0.01),
    "adamw": lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 0.01, momentum=0.8),
}
thawed = {}
for name, make in THAWED.items():
    w = counted(5, 12)
    parts = [w[:4].clone().requires_grad_(), w[4:].clone().requires_grad_()]
    optimizer, rows = make(parts), []
    for step in range(20):
        gradient = counted(100 + step, 12)
        parts[0].grad = gradient[:4].clone()
        parts[1].grad = gradient[4:].clone() if step >= 8 else None
        optimizer.step()
        rows.append(numbers(parts))
    thawed[name] = [rows[7], rows[8], rows[-1]]

path = "Tests/TrainingTests/Fixtures/optimizers.json"
with open(path, "w") as file:
    json.dump({"one_cycle": one_cycle, "thawed": thawed}, file, separators=(",", ":"))
    file.write("\n")
print(os.path.getsize(path), "bytes")
