"""One peer on one network, driven line by line on standard input; run.py starts it without a network.

    peer.py PEER MODEL-STEM BATCH THREADS [PRECISION]

PEER is onnxruntime, openvino or pytorch. `run SECONDS` is answered with images a second, `answer FILE.npy` with
the network's answers to the N×3×H×W floats in the file, written to FILE.out.npy.
"""
import sys
import time

import numpy


def onnxruntime(stem, batch, threads, precision):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(stem + ".onnx", options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"input": images})[0]


def openvino(stem, batch, threads, precision):
    import openvino
    core = openvino.Core()
    model = core.read_model(stem + ".onnx")
    _, _, height, width = model.input(0).partial_shape
    model.reshape({0: [batch, 3, height.get_length(), width.get_length()]})
    compiled = core.compile_model(model, "CPU", {
        "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY" if batch == 1 else "THROUGHPUT"})
    request = compiled.create_infer_request()
    return lambda images: request.infer({0: images})[compiled.output(0)]


def pytorch(stem, batch, threads, precision):
    import torch
    import torchvision
    from networks import NAMES
    torch.set_num_threads(threads)
    name = stem.rsplit("/", 1)[-1]
    builder = NAMES[name][0]
    options = {"aux_logits": True, "init_weights": False} if builder in ("googlenet", "inception_v3") else {}
    network = getattr(torchvision.models, builder)(weights=None, **options)
    network.load_state_dict(torch.load(stem + ".pth"))
    network = network.eval().to(memory_format=torch.channels_last)

    def run(images):
        with torch.inference_mode():
            return network(torch.from_numpy(images).to(memory_format=torch.channels_last)).numpy()
    return run


def main():
    peer, stem, batch, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    side = 299 if "inception" in stem else 224
    run = globals()[peer](stem, batch, threads, sys.argv[5] if len(sys.argv) > 5 else "f32")
    images = numpy.random.default_rng(1).standard_normal((batch, 3, side, side), numpy.float32)
    run(images)
    print("ready", flush=True)
    for line in sys.stdin:
        word, value = line.split()
        if word == "run":
            count, begun = 0, time.perf_counter()
            while (taken := time.perf_counter() - begun) < float(value):
                run(images)
                count += batch
            print(count / taken, flush=True)
        else:
            given = numpy.load(value)
            answers = run(numpy.repeat(given, batch, 0)[:batch] if len(given) < batch else given[:batch])
            numpy.save(value + ".out.npy", answers[:len(given)])
            print("written", flush=True)


main()
