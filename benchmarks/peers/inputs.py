"""Photos as the tensors of a network: what every engine is given, so that their answers can be compared."""
import glob
import os

import numpy

SIDES = {"inception_v3": 299, "simplecnn": 32}
MEAN, STD = numpy.float32([0.485, 0.456, 0.406]), numpy.float32([0.229, 0.224, 0.225])


def side(name):
    return SIDES.get(name, 224)


def scaled(pixels, name):
    """Bytes H×W×3 to floats as the network was fed when it was made."""
    if name == "efficientnet_lite0":
        return (pixels.astype(numpy.float32) - 127) / 128
    if name == "simplecnn":
        return pixels.astype(numpy.float32) / 255
    if name in ("googlenet", "inception_v3"):
        return pixels.astype(numpy.float32) / 127.5 - 1
    return (pixels.astype(numpy.float32) / 255 - MEAN) / STD


def tensors(folder, name, count=None):
    """The middle squares of a folder's photos, N×3×H×W."""
    from PIL import Image
    edge = side(name)
    made = []
    for path in sorted(glob.glob(os.path.join(folder, "*.jpg")))[:count]:
        image = Image.open(path).convert("RGB")
        short = min(image.size)
        left, top = (image.width - short) // 2, (image.height - short) // 2
        image = image.resize(
            (edge, edge), Image.Resampling.BICUBIC, (left, top, left + short, top + short), reducing_gap=3)
        made.append(scaled(numpy.asarray(image), name).transpose(2, 0, 1))
    if not made:
        raise SystemExit(f"{folder}: no photo (*.jpg)")
    return numpy.ascontiguousarray(numpy.stack(made), numpy.float32)
