"""Drives the KServe V2 endpoints of a running lookoutd with NVIDIA's client.

usage: kserve_client.py HOST:PORT MODEL     (PyPI: tritonclient[http], numpy)
"""

import sys

import numpy
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

url, model = sys.argv[1:]
client = triton.InferenceServerClient(url, concurrency=4)
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(model)
assert not client.is_model_ready("no such model")
assert client.get_server_metadata()["name"] == "lookout"
metadata = client.get_model_metadata(model)
shape = metadata["inputs"][0]["shape"][1:]
classes = metadata["outputs"][0]["shape"][1]
tensors = numpy.random.default_rng(7).standard_normal([3, *shape]).astype(numpy.float32)


def infer(batch, is_binary, **options):
    given = triton.InferInput("input", list(batch.shape), "FP32")
    given.set_data_from_numpy(batch, binary_data=is_binary)
    wanted = triton.InferRequestedOutput("output", binary_data=is_binary)
    return client.infer(model, [given], outputs=[wanted], **options).as_numpy("output")


whole = infer(tensors, True)
assert whole.shape == (3, classes) and numpy.isfinite(whole).all()
for index in range(3):
    alone = infer(tensors[index : index + 1], True)
    numpy.testing.assert_allclose(alone[0], whole[index], atol=1e-3)
numpy.testing.assert_allclose(infer(tensors[:1], False), whole[:1], atol=1e-3)
numpy.testing.assert_allclose(
    infer(tensors[:1], True, model_version=metadata["versions"][0], request_id="r1"), whole[:1], atol=1e-3)

given = triton.InferInput("input", [1, *shape], "FP32")
given.set_data_from_numpy(tensors[:1])
pending = [client.async_infer(model, [given]) for _ in range(12)]
for request in pending:
    numpy.testing.assert_allclose(request.get_result().as_numpy("output"), whole[:1], atol=1e-3)
try:
    infer(numpy.zeros([1, 1, 2, 2], numpy.float32), True)
except InferenceServerException as error:
    assert "shape must be" in str(error), error
else:
    raise AssertionError("a wrong shape was answered")
print("all answered")
