"""Makes Tests/TrainingTests/Fixtures/digits-*: scikit-learn's 1,797 handwritten digits as IDX files.

The last 360 are for testing: other writers than the first. Needs scikit-learn; run from the repository's root.
"""
import gzip
import struct

from sklearn.datasets import load_digits

digits = load_digits()
pixels = (digits.images * 255 / 16).round().astype("uint8")
for name, part in ("train", slice(0, -360)), ("t10k", slice(-360, None)):
    images, labels = pixels[part], digits.target[part].astype("uint8")
    folder = "Tests/TrainingTests/Fixtures/digits"
    with gzip.GzipFile(f"{folder}/{name}-images-idx3-ubyte.gz", "w", mtime=0) as file:
        file.write(struct.pack(">4I", 0x803, *images.shape) + images.tobytes())
    with gzip.GzipFile(f"{folder}/{name}-labels-idx1-ubyte.gz", "w", mtime=0) as file:
        file.write(struct.pack(">2I", 0x801, len(labels)) + labels.tobytes())
