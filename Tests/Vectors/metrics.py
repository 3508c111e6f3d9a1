"""Makes Tests/TrainingTests/Fixtures/metrics.json: scikit-learn's top-5 accuracy and NumPy's calibration error.

Answers come from a formula that the tests know too, with rows in which several are equal. Needs numpy and
scikit-learn; run from the repository's root.
"""
import json
import os

import numpy
from sklearn.metrics import top_k_accuracy_score
from training_counter import counted

PICTURES, CLASSES, BINS = 64, 12, 15

logits = (counted(21, PICTURES, CLASSES) * 3).astype(numpy.float32)
logits[60, 3:11] = logits[60, 0]  # among equals the order decides
logits[61] = 0
logits[62, :2] = 9
logits[63, 7] = 40  # as sure as can be
powers = numpy.exp((logits - logits.max(1, keepdims=True)).astype(numpy.float64))
rows = (powers / powers.sum(1, keepdims=True)).astype(numpy.float32)
truth = numpy.floor((counted(22, PICTURES) + 1) * 5.9999).astype(int)
truth[::3] = rows.argmax(1)[::3]  # as a network that has learnt something

# Guo and others, 2017: bins of equal width, the upper edge belongs to the bin.
confidence, right = rows.max(1).astype(numpy.float64), rows.argmax(1) == truth
edges = numpy.arange(BINS + 1) / BINS
inside = [(confidence > low) & (confidence <= high) for low, high in zip(edges, edges[1:])]
bins = [[int(b.sum()), float(confidence[b].mean()) if b.any() else 0, float(right[b].mean()) if b.any() else 0]
        for b in inside]
answer = {
    "labels": truth.tolist(), "accuracy": float(right.mean()),
    "top_five": float(top_k_accuracy_score(truth, rows, k=5, labels=range(CLASSES))),
    "calibration_error": sum(n * abs(c - a) for n, c, a in bins) / PICTURES, "bins": bins,
}
path = "Tests/TrainingTests/Fixtures/metrics.json"
with open(path, "w") as file:
    json.dump(answer, file, separators=(",", ":"))
    file.write("\n")
print(os.path.getsize(path), "bytes", answer)
