"""Shows what an image costs as work grows: after 1,000 images and after 100,000, with one watch and with a hundred.

    growth.py --model FILE.swiftweights --photos FOLDER [--build .build/release] [--images 100000] [--watches 100]

Seconds on a processor, all threads and the sink's process together, so that it need not have the machine to itself: run it
under `chrt --idle 0`. The smaller model and photos are, the more the daemon's own work counts: SimpleCNN and photos of
64×48 show nearly nothing else. Prints a table, and fails if time or memory grew by more than a twentieth.
"""
import argparse
import glob
import statistics
import sys

from daemon import Daemon

STEP = 1000


def read(folder):
    photos = []
    for path in sorted(glob.glob(folder + "/*.jpg")):
        with open(path, "rb") as file:
            photos.append(file.read())
    if not photos:
        raise SystemExit(f"{folder}: no photo (*.jpg)")
    return photos


def steps(words, photos, watches, images):
    """Microseconds an image and MiB after each thousand, the first thousand being the warm-up."""
    found = []
    with Daemon(words.build, words.model, watches=watches, scratch=words.scratch) as daemon:
        daemon.drop(photos, 0, STEP)
        for start in range(STEP, images + 1, STEP):
            before = sum(daemon.threads().values())
            daemon.drop(photos, start, STEP)
            taken = sum(daemon.threads().values()) - before
            found.append((1e6 * taken / STEP, daemon.resident()))
            if start % 10_000 == 0 or start == STEP:
                print(f"| {watches} | {start} | {found[-1][0]:.0f} | {found[-1][1]:.1f} |", flush=True)
    return found


def middle(steps):
    return statistics.median(time for time, _ in steps), statistics.median(memory for _, memory in steps)


def main():
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--model", required=True)
    words.add_argument("--photos", required=True)
    words.add_argument("--build", default=".build/release")
    words.add_argument("--images", type=int, default=100_000)
    words.add_argument("--watches", type=int, default=100)
    words.add_argument("--scratch", default="/tmp")
    words = words.parse_args()
    photos = read(words.photos)
    print("| watches | images before | µs an image | MiB resident |\n|---|---|---|---|", flush=True)
    long = steps(words, photos, 1, words.images)
    wide = steps(words, photos, words.watches, 5 * STEP)
    first, last = middle(long[:5]), middle(long[-5:])
    broken = False
    for what, (time, memory) in {"images": last, "watches": middle(wide)}.items():
        print(f"more {what}: time × {time / first[0]:.3f}, memory × {memory / first[1]:.3f}")
        broken |= time > 1.05 * first[0] or memory > 1.05 * first[1]
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
