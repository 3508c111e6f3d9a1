"""Makes Tests/TrainingTests/Fixtures/augmentation.json: what torchvision makes of a small picture.

Needs torch, torchvision, numpy and Pillow; run from the repository's root.
"""
import json

import numpy
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F
from training_counter import counted_bytes

WIDTH, HEIGHT = 11, 8
# Smooth enough that half a level of rounding stays half a level.
picture = Image.fromarray(counted_bytes(11, HEIGHT, WIDTH, 3))
grey = Image.fromarray(counted_bytes(12, HEIGHT, WIDTH))
cases = {
    "hflip": F.hflip(picture), "vflip": F.vflip(picture),
    "crop": F.crop(F.pad(picture, 3), 1, 5, HEIGHT, WIDTH),
    "resized_crop": F.resized_crop(picture, 2, 1, 5, 7, [6, 9], InterpolationMode.BILINEAR),
    "rotate 30": F.rotate(picture, 30), "rotate -75": F.rotate(picture, -75),
    "affine": F.affine(picture, 25, [2, -1], 1.25, [10, 0]), "affine grey": F.affine(grey, -40, [0, 1], 0.75, [0, 0]),
    "brightness 1.4": F.adjust_brightness(picture, 1.4), "brightness 0.3": F.adjust_brightness(picture, 0.3),
    "contrast 1.7": F.adjust_contrast(picture, 1.7), "contrast 0.4": F.adjust_contrast(picture, 0.4),
    "saturation 1.8": F.adjust_saturation(picture, 1.8), "saturation 0.2": F.adjust_saturation(picture, 0.2),
    "hue 0.2": F.adjust_hue(picture, 0.2), "hue -0.4": F.adjust_hue(picture, -0.4),
    "grey": F.rgb_to_grayscale(picture, 3), "blur 5": F.gaussian_blur(picture, 5, 1.3),
    "blur 3 grey": F.gaussian_blur(grey, 3, 0.7),
}
path = "Tests/TrainingTests/Fixtures/augmentation.json"
with open(path, "w") as file:
    json.dump({n: {"width": i.width, "height": i.height, "samples": numpy.asarray(i).flatten().tolist()}
               for n, i in cases.items()}, file, separators=(",", ":"))
    file.write("\n")
