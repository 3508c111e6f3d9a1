"""Makes Tests/ImagingTests/Fixtures with Pillow: small pictures of every kind, and what Pillow makes of them.

Each NAME.jpg|png|bmp has NAME.rgb beside it: the upright RGB samples, alpha over white. resize.txt lists resized
versions of resize.png. Run it from the repository's root; needs pillow and numpy.
"""
import os, random
import numpy as np
from PIL import Image, ImageOps

OUT = "Tests/ImagingTests/Fixtures/"
random.seed(1)
rng = np.random.default_rng(1)


def picture(w, h):
    y, x = np.mgrid[0:h, 0:w]
    a = np.stack([x * 255 / w, y * 255 / h, 127 + 120 * np.sin(x * y / 17)], 2) + rng.normal(0, 12, (h, w, 3))
    return Image.fromarray(a.clip(0, 255).astype(np.uint8))


def save(image, name, **options):
    image.save(OUT + name, **options)
    back = ImageOps.exif_transpose(Image.open(OUT + name))
    if back.mode in ("RGBA", "LA") or "transparency" in back.info:
        back = back.convert("RGBA")
        white = Image.new("RGBA", back.size, "white")
        white.alpha_composite(back)
        back = white
    open(OUT + os.path.splitext(name)[0] + ".rgb", "wb").write(back.convert("RGB").tobytes())


base = picture(37, 29)
alpha = base.convert("RGBA")
alpha.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, 37).astype(np.uint8), (29, 1))))
for s in (0, 1, 2):
    save(base, f"sampling{s}.jpg", quality=90, subsampling=s)
save(base, "progressive.jpg", quality=90, progressive=True)
save(base, "restart.jpg", quality=90, restart_marker_blocks=2)
save(base, "ownCodes.jpg", quality=100, subsampling=0, optimize=True)
save(base.convert("L"), "grey.jpg", quality=90)
save(base.convert("CMYK"), "cmyk.jpg", quality=90)
for o in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = o
    save(base, f"turned{o}.jpg", quality=90, exif=exif)
save(base, "rgb.png")
save(base.convert("L"), "luma.png")
save(base.convert("1"), "bit.png")
save(base.quantize(16), "palette4.png")
save(base.quantize(200), "palette8.png")
save(base.quantize(16), "key.png", transparency=3)
save(base, "rgbkey.png", transparency=base.getpixel((0, 0)))
save(alpha, "rgba.png")
save(alpha.convert("LA"), "la.png")
save(base, "rgb.bmp"[:-4] + "24.bmp")
save(base.quantize(200), "palette.bmp"[:-4] + "8bit.bmp")

source = picture(61, 43)
source.save(OUT + "resize.png")
lines = []
for filter in ("bilinear", "bicubic"):
    for i, (w, h, box) in enumerate([(16, 16, (0, 0, 61, 43)), (97, 80, (0, 0, 61, 43)), (61, 7, (0, 0, 61, 43)),
                                     (13, 50, (5, 3, 40, 38)), (24, 24, (5.25, 3.5, 40.75, 38.125)), (1, 1, (0, 0, 61, 43))]):
        result = source.resize((w, h), getattr(Image.Resampling, filter.upper()), box=box)
        name = f"{filter}{i}.rgb"
        open(OUT + name, "wb").write(result.tobytes())
        lines.append(" ".join(map(str, [name, filter, w, h, *box])))
open(OUT + "resize.txt", "w").write("\n".join(lines) + "\n")
