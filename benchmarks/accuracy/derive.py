"""Makes a folder of pictures in every kind of file from the photos found below the given folders.

    derive.py --out FOLDER [--count 900] [--seed 1] SOURCE…

Each photo of at least 300 pixels a side gives several crops, at other sizes, in other files: JPEG of quality 30 to 95,
of every usual sampling, progressive, turned by EXIF, grey, CMYK; PNG in colour, palette, grey, with alpha; BMP.
Three in ten are as large as a camera's (to 12 megapixels) if their source allows it. The same seed over the same
sources gives the same folder. Needs pillow.
"""
import argparse
import hashlib
import os
import random
import warnings

from PIL import Image, ImageOps

KINDS = ["jpeg"] * 9 + ["progressive"] * 3 + ["turned"] * 3 + ["grey", "cmyk", "png", "png", "palette", "alpha", "bmp"]


def photos(folders):
    """Paths of distinct pictures of some size, most colourful files first to go by name."""
    seen = set()
    for folder in folders:
        for root, _, names in sorted(os.walk(folder)):
            for name in sorted(names):
                if not name.lower().endswith((".jpg", ".jpeg", ".png", ".webp")):
                    continue
                path = os.path.join(root, name)
                data = open(path, "rb").read()
                digest = hashlib.sha256(data).digest()
                if len(data) < 15_000 or digest in seen:
                    continue
                seen.add(digest)
                try:
                    with Image.open(path) as image:
                        small = image.width < 300 or image.height < 300
                        drawn = image.mode in ("1", "P") or image.width * image.height > 100_000_000
                except OSError:
                    continue
                # A photo costs bits in every part; a screenshot or a drawing compresses far better.
                if not small and not drawn and len(data) * 8 / (image.width * image.height) > 0.5:
                    yield path


def derived(path, chance):
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    share = chance.uniform(0.35, 1)
    width, height = max(64, int(image.width * share)), max(64, int(image.height * chance.uniform(0.8, 1.2) * share))
    width, height = min(width, image.width), min(height, image.height)
    left, top = chance.randint(0, image.width - width), chance.randint(0, image.height - height)
    image = image.crop((left, top, left + width, top + height))
    longest = min(4000, max(width, height)) if chance.random() < 0.3 else chance.randint(150, 1920)
    if longest < max(width, height):
        image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return image


def write(image, stem, kind, chance):
    quality, sampling = chance.randint(30, 95), chance.choice([0, 1, 2, 2, 2])
    options = {"quality": quality, "subsampling": sampling}
    if kind == "progressive":
        options["progressive"] = True
    if kind == "turned":
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = chance.randint(2, 8)
    if kind in ("grey", "cmyk"):
        image = image.convert({"grey": "L", "cmyk": "CMYK"}[kind])
        options.pop("subsampling")
    if kind in ("png", "palette", "alpha"):
        image.thumbnail((1200, 1200))
        if kind == "palette":
            image = image.quantize(256)
        if kind == "alpha":
            image.putalpha(Image.radial_gradient("L").resize(image.size).point(lambda level: 255 - level // 3))
        image.save(stem + ".png")
    elif kind == "bmp":
        image.thumbnail((1200, 1200))
        image.save(stem + ".bmp")
    else:
        image.save(stem + ".jpg", **options)


def main():
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("sources", nargs="+")
    words.add_argument("--out", required=True)
    words.add_argument("--count", type=int, default=900)
    words.add_argument("--seed", type=int, default=1)
    words = words.parse_args()
    warnings.simplefilter("ignore")
    chance = random.Random(words.seed)
    sources = list(photos(words.sources))
    if not sources:
        raise SystemExit("no photo found")
    os.makedirs(words.out, exist_ok=True)
    for number in range(words.count):
        if number % len(sources) == 0:
            chance.shuffle(sources)
        kind = chance.choice(KINDS)
        image = derived(sources[number % len(sources)], chance)
        write(image, os.path.join(words.out, f"{number:04}-{kind}"), kind, chance)
    print(f"{words.count} pictures from {len(sources)} photos in {words.out}")


main()
