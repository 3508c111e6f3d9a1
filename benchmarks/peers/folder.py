"""A folder of JPEG photos to a CSV file, as a good Python engineer would write it: prints images a second.

    folder.py loader|pool|expert MODEL-STEM FOLDER OUT.csv [--count N]

`loader`: PyTorch's DataLoader of two workers with Pillow and torchvision's transforms, ONNX Runtime in floats. `pool`: two
threads that decode and resize with OpenCV, OpenVINO in floats, asynchronously. `expert`: the same with OpenCV's reduced
decoding where it leaves enough, and OpenVINO in bytes on what ONNX Runtime quantized (MODEL-STEM.int8.onnx). The clock
runs from the first photo to the last row on the medium, start-up and a first batch of nothing not counted. Two threads, batches of
8. `lookout bench pipeline --photos FOLDER` is the same way through Lookout's daemon. A photo that cannot be read ends it.
"""
import argparse
import concurrent.futures
import csv
import glob
import itertools
import os
import time

import numpy

BATCH, MEAN, STD = 8, numpy.float32([0.485, 0.456, 0.406]), numpy.float32([0.229, 0.224, 0.225])


def loader(stem, paths):
    import onnxruntime
    import torch
    from PIL import Image
    from torchvision import transforms
    prepare = transforms.Compose([
        transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(),
        transforms.Normalize(MEAN.tolist(), STD.tolist())])

    class Photos(torch.utils.data.Dataset):
        def __len__(self):
            return len(paths)

        def __getitem__(self, index):
            return prepare(Image.open(paths[index]).convert("RGB"))

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(stem + ".onnx", options, providers=["CPUExecutionProvider"])
    session.run(None, {"input": numpy.zeros((BATCH, 3, 224, 224), numpy.float32)})
    yield None
    for images in torch.utils.data.DataLoader(Photos(), BATCH, num_workers=2, prefetch_factor=4):
        yield session.run(None, {"input": images.numpy()})[0]


def reduction(path):
    """OpenCV's flag for the smallest size that still has 256 pixels on the short side."""
    import cv2
    from PIL import Image
    short = min(Image.open(path).size)
    flags = ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2))
    return next((flag for divisor, flag in flags if short >= 256 * divisor), cv2.IMREAD_COLOR)


def pool(stem, paths, reduced=False):
    import cv2
    import openvino
    cv2.setNumThreads(1)
    core = openvino.Core()
    model = core.read_model(stem + (".int8.onnx" if reduced else ".onnx"))
    model.reshape({0: [BATCH, 3, 224, 224]})
    compiled = core.compile_model(model, "CPU", {
        "INFERENCE_NUM_THREADS": 2, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"})
    answers = {}
    requests = openvino.AsyncInferQueue(compiled)
    requests.set_callback(lambda request, start: answers.update({start: numpy.array(request.get_output_tensor().data)}))

    def prepare(path):
        image = cv2.cvtColor(
            cv2.imread(path, reduction(path) if reduced else cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        height, width = image.shape[:2]
        short = 256 / min(height, width)
        image = cv2.resize(image, (round(width * short), round(height * short)), interpolation=cv2.INTER_AREA)
        top, left = (image.shape[0] - 224) // 2, (image.shape[1] - 224) // 2
        image = image[top:top + 224, left:left + 224].astype(numpy.float32) / 255
        return ((image - MEAN) / STD).transpose(2, 0, 1)

    requests.start_async({0: numpy.zeros((BATCH, 3, 224, 224), numpy.float32)}, -1)
    requests.wait_all()
    yield None
    given = 0
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        ahead = [threads.submit(prepare, path) for path in paths[:4 * BATCH]]
        for start in range(0, len(paths), BATCH):
            images = numpy.zeros((BATCH, 3, 224, 224), numpy.float32)
            for place, job in enumerate(ahead[start:start + BATCH]):
                images[place] = job.result()
            ahead[start:start + BATCH] = [None] * BATCH
            ahead += [threads.submit(prepare, path) for path in paths[len(ahead):start + 5 * BATCH]]
            requests.start_async({0: images}, start)
            while given in answers:
                yield answers.pop(given)[:len(paths) - given]
                given += BATCH
    requests.wait_all()
    while given in answers:
        yield answers.pop(given)[:len(paths) - given]
        given += BATCH


def expert(stem, paths):
    return pool(stem, paths, reduced=True)


def main():
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("way", choices=["loader", "pool", "expert"])
    words.add_argument("stem")
    words.add_argument("folder")
    words.add_argument("out")
    words.add_argument("--count", type=int, help="go through the folder until there are so many")
    words = words.parse_args()
    paths = sorted(glob.glob(os.path.join(words.folder, "*.jpg")))
    paths = list(itertools.islice(itertools.cycle(paths), words.count or len(paths)))
    with open(words.out, "w", newline="") as out:
        rows, place = csv.writer(out), 0
        batches = globals()[words.way](words.stem, paths)
        # What it yields first only says that it is ready.
        next(batches)
        begun = time.perf_counter()
        for answers in batches:
            for answer in answers:
                odds = numpy.exp(answer - answer.max())
                odds /= odds.sum()
                best = numpy.argsort(-odds)[:5]
                rows.writerow([paths[place], *(field for index in best for field in (int(index), float(odds[index])))])
                place += 1
        out.flush()
        os.fsync(out.fileno())
    print(place / (time.perf_counter() - begun))


main()
