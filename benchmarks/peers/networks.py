"""Makes the networks to compare: torchvision's architectures with seeded weights, for Lookout and for its peers.

    networks.py --out FOLDER [--lookout .build/release/lookout] [NAME…]

Writes NAME.pth, NAME.onnx (input N×3×H×W, batch free) and, through `lookout import`, NAME.swiftweights: the same weights
in all three. What `lookout import` does not know is left out and named. Needs torch, torchvision and onnx.
"""
import argparse
import os
import subprocess

import torch
import torchvision

NAMES = {
    "resnet18": ("resnet18", 224), "resnet50": ("resnet50", 224), "mobilenet_v2": ("mobilenet_v2", 224),
    "mobilenet_v3_small": ("mobilenet_v3_small", 224), "vgg16": ("vgg16", 224), "alexnet": ("alexnet", 224),
    "googlenet": ("googlenet", 224), "inception_v3": ("inception_v3", 299), "squeezenet1_1": ("squeezenet1_1", 224),
    "efficientnet_b0": ("efficientnet_b0", 224),
}


def settled(network, side):
    """Gives batch norm the statistics of some noise, so that no layer of a random network dies out or overflows."""
    network.train()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.eval()
    with torch.inference_mode():
        for _ in range(4):
            network(torch.randn(4, 3, side, side))
    return network.eval()


def main():
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("names", nargs="*")
    words.add_argument("--out", required=True)
    words.add_argument("--lookout", default=".build/release/lookout")
    words = words.parse_args()
    os.makedirs(words.out, exist_ok=True)
    for name in words.names or NAMES:
        builder, side = NAMES[name]
        stem = os.path.join(words.out, name)
        if os.path.exists(stem + ".swiftweights"):
            continue
        torch.manual_seed(1)
        options = {"aux_logits": True, "init_weights": True} if builder in ("googlenet", "inception_v3") else {}
        network = settled(getattr(torchvision.models, builder)(weights=None, **options), side)
        torch.save(network.state_dict(), stem + ".pth")
        torch.onnx.export(
            network, torch.zeros(1, 3, side, side), stem + ".onnx", input_names=["input"], output_names=["output"],
            dynamic_axes={"input": {0: "n"}, "output": {0: "n"}}, dynamo=False)
        done = subprocess.run(
            [words.lookout, "import", stem + ".pth", "--architecture", name, "-o", stem + ".swiftweights"],
            capture_output=True, text=True)
        print(name, "ready" if done.returncode == 0 else "left out: " + done.stderr.strip(), flush=True)


if __name__ == "__main__":
    main()
