"""One peer with one network, driven line by line on standard input as `lookout bench driven` is; engines.py starts it.

    peer.py PEER MODEL-STEM PRECISION

PEER is onnxruntime, openvino, pytorch, mnn or ncnn; PRECISION fp32, int8 or, of
openvino, bf16. `setup BATCH THREADS FORM` is answered by
`ready`, `run SECONDS` by images a second, `answer FILE`, a file of N×3×H×W floats, by `written` when FILE.out has the
network's answers. A form is a way to use the peer, see FORMS.
"""
import os
import queue
import sys
import threading
import time

import numpy

import inputs

FORMS = {
    "onnxruntime": ("default",),
    "openvino": ("one-stream", "streams"),
    "pytorch": ("contiguous", "channels-last"),
    "mnn": ("default",),
    "ncnn": ("threads", "callers"),
}
# Batches that a peer takes; ncnn's networks have no batch.
BATCHES = {"ncnn": (1,)}


class OnnxRuntime:
    def __init__(self, stem, precision):
        self.path = stem + (".int8.onnx" if precision == "int8" else ".onnx")

    def setup(self, batch, threads, form):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(self.path, options, providers=["CPUExecutionProvider"])

    def infer(self, images):
        return self.session.run(None, {"input": images})[0]


class OpenVino:
    """`one-stream`: all threads on one batch; `streams`: each thread a batch of its own, asynchronously."""

    def __init__(self, stem, precision):
        # Said always: the default on processors with bf16 is bf16.
        self.hint = "bf16" if precision == "bf16" else "f32"
        self.path = stem + (".int8.onnx" if precision == "int8" else ".onnx")

    def setup(self, batch, threads, form):
        import openvino
        core = openvino.Core()
        model = core.read_model(self.path)
        _, channels, height, width = model.input(0).partial_shape
        model.reshape({0: [batch, channels.get_length(), height.get_length(), width.get_length()]})
        streams = threads if form == "streams" else 1
        self.compiled = core.compile_model(model, "CPU", {
            "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": streams, "INFERENCE_PRECISION_HINT": self.hint,
            "PERFORMANCE_HINT": "THROUGHPUT" if form == "streams" else "LATENCY"})
        if self.compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() != self.hint:
            raise SystemExit(f"OpenVINO does not compute in {self.hint} here")
        self.request = self.compiled.create_infer_request()
        self.queue = openvino.AsyncInferQueue(self.compiled, 2 * streams) if form == "streams" else None

    def infer(self, images):
        return self.request.infer({0: images})[self.compiled.output(0)]

    def repeat(self, images, seconds):
        if not self.queue:
            return None
        count, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < seconds:
            self.queue.start_async({0: images})
            count += 1
        self.queue.wait_all()
        return count / (time.perf_counter() - begun)


class PyTorch:
    def __init__(self, stem, precision):
        self.stem = stem

    def setup(self, batch, threads, form):
        import torch
        from networks import network
        torch.set_num_threads(threads)
        model = network(self.stem.rsplit("/", 1)[-1])
        model.load_state_dict(torch.load(self.stem + ".pth"))
        self.layout = torch.channels_last if form == "channels-last" else torch.contiguous_format
        self.model = model.eval().to(memory_format=self.layout)

    def infer(self, images):
        import torch
        with torch.inference_mode():
            return self.model(torch.from_numpy(images).to(memory_format=self.layout)).numpy()


class Mnn:
    def __init__(self, stem, precision):
        self.path = stem + ".mnn"

    def setup(self, batch, threads, form):
        import MNN
        self.mnn = MNN
        self.net = MNN.Interpreter(self.path)
        self.session = self.net.createSession({"backend": "CPU", "numThread": threads, "precision": "high"})
        self.shape = None

    def infer(self, images):
        mnn = self.mnn
        given = self.net.getSessionInput(self.session)
        if self.shape != images.shape:
            self.net.resizeTensor(given, images.shape)
            self.net.resizeSession(self.session)
            self.shape = images.shape
        kind = mnn.Tensor_DimensionType_Caffe
        given.copyFrom(mnn.Tensor(images.shape, mnn.Halide_Type_Float, images, kind))
        self.net.runSession(self.session)
        answer = self.net.getSessionOutput(self.session)
        host = mnn.Tensor(answer.getShape(), mnn.Halide_Type_Float, numpy.zeros(answer.getShape(), numpy.float32), kind)
        answer.copyToHostTensor(host)
        return numpy.array(host.getNumpyData()).reshape(len(images), -1)


class Ncnn:
    """`threads`: all threads on one image; `callers`: each thread an image of its own."""

    def __init__(self, stem, precision):
        self.stem = stem

    def setup(self, batch, threads, form):
        import ncnn
        self.ncnn = ncnn
        self.callers = threads if form == "callers" else 1
        self.net = ncnn.Net()
        self.net.opt.num_threads = 1 if form == "callers" else threads
        for half in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
            setattr(self.net.opt, half, False)
        if self.net.load_param(self.stem + ".ncnn.param") or self.net.load_model(self.stem + ".ncnn.bin"):
            raise SystemExit(self.stem + ".ncnn cannot be loaded")

    def one(self, image):
        extractor = self.net.create_extractor()
        extractor.input("in0", self.ncnn.Mat(image).clone())
        return numpy.array(extractor.extract("out0")[1])

    def infer(self, images):
        return numpy.stack([self.one(image) for image in images])

    def repeat(self, images, seconds):
        if self.callers == 1:
            return None
        done, end = queue.Queue(), time.perf_counter() + seconds

        def call():
            while time.perf_counter() < end:
                self.one(images[0])
                done.put(1)
        begun = time.perf_counter()
        threads = [threading.Thread(target=call) for _ in range(self.callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return done.qsize() / (time.perf_counter() - begun)


def main():
    name, stem, precision = sys.argv[1:]
    kinds = {"onnxruntime": OnnxRuntime, "openvino": OpenVino, "pytorch": PyTorch, "mnn": Mnn, "ncnn": Ncnn}
    peer = kinds[name](stem, precision)
    # What a library prints, in C too, must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    images = None
    side = inputs.side(stem.rsplit("/", 1)[-1])
    for line in sys.stdin:
        words = line.split()
        if words[0] == "setup":
            batch = int(words[1])
            peer.setup(batch, int(words[2]), words[3])
            images = numpy.random.default_rng(1).standard_normal((batch, 3, side, side), numpy.float32)
            peer.infer(images)
            said = "ready"
        elif words[0] == "run":
            seconds = float(words[1])
            rate = peer.repeat(images, seconds) if hasattr(peer, "repeat") else None
            if rate is None:
                count, begun = 0, time.perf_counter()
                while (taken := time.perf_counter() - begun) < seconds:
                    peer.infer(images)
                    count += 1
                rate = count / taken
            said = str(rate * len(images))
        else:
            given = numpy.fromfile(words[1], numpy.float32).reshape(-1, 3, side, side)
            made = []
            for start in range(0, len(given), len(images)):
                part = given[start:start + len(images)]
                room = numpy.concatenate([part, numpy.zeros((len(images) - len(part), *part.shape[1:]), numpy.float32)])
                made.append(numpy.array(peer.infer(room)[:len(part)], numpy.float32))
            numpy.concatenate(made).tofile(words[1] + ".out")
            said = "written"
        print(said, file=answers, flush=True)


if __name__ == "__main__":
    main()
