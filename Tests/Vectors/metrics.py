"""Makes Tests/TrainingTests/Fixtures/metrics.json: scikit-learn's top-5 accuracy and NumPy's calibration error, and
scikit-learn's numbers for pictures that show several classes or none.

Answers come from a formula that the tests know too, with rows in which several are equal. Needs numpy and
scikit-learn; run from the repository's root.
"""
import json
import os

import numpy
import sklearn.metrics
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
    "top_five": float(sklearn.metrics.top_k_accuracy_score(truth, rows, k=5, labels=range(CLASSES))),
    "calibration_error": sum(n * abs(c - a) for n, c, a in bins) / PICTURES, "bins": bins,
}

PICTURES, CLASSES = 80, 6
logits = (counted(31, PICTURES, CLASSES) * 3).astype(numpy.float32)
logits[40:60, 2] = logits[40, 2]  # among equals the order does not decide
rows = (1 / (1 + numpy.exp(-logits.astype(numpy.float64)))).astype(numpy.float32)
shown = (counted(32, PICTURES, CLASSES) * 2 + logits / 3 > 0.3).astype(int)
shown[:, 5] = 0  # a class that no picture shows
shown[::9] = 0
said = (rows >= 0.5).astype(int)
metrics = sklearn.metrics


def triple(average):
    found = metrics.precision_recall_fscore_support(shown, said, average=average, zero_division=0)[:3]
    return numpy.array(found, dtype=float).T.tolist()


flat, there = rows.ravel().astype(numpy.float64), shown.ravel()
inside = [(flat > low) & (flat <= high) for low, high in zip(edges, edges[1:])]
answer["multi_label"] = {
    "truths": [numpy.flatnonzero(row).tolist() for row in shown], "accuracy": metrics.accuracy_score(shown, said),
    "hamming_loss": metrics.hamming_loss(shown, said), "classes": triple(None),
    "log_loss": float(numpy.mean([metrics.log_loss(shown[:, c], rows[:, c].astype(numpy.float64), labels=[0, 1])
                                  for c in range(CLASSES)])),
    "means": [triple("macro"), triple("micro")],
    "average_precision": metrics.average_precision_score(shown, rows, average=None).tolist(),
    "mean_average_precision": float(metrics.average_precision_score(shown, rows, average="macro")),
    "decisions": [m.ravel().tolist() for m in metrics.multilabel_confusion_matrix(shown, said)],
    "calibration_error": float(sum(abs(flat[b].mean() - there[b].mean()) * b.sum() for b in inside if b.any()) / flat.size),
}
path = "Tests/TrainingTests/Fixtures/metrics.json"
with open(path, "w") as file:
    json.dump(answer, file, separators=(",", ":"))
    file.write("\n")
print(os.path.getsize(path), "bytes", answer)
