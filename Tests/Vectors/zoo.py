"""Makes the small checkpoints of Tests/ModelZooTests/Fixtures. Needs torch; run from the repository's root."""
import collections, os, pickle, zipfile
import torch

out = "Tests/ModelZooTests/Fixtures/"
base = torch.arange(24, dtype=torch.float32) / 8 - 1
state = collections.OrderedDict()
state["module.a.weight"] = base[:12].reshape(3, 4)
state["module.a.bias"] = base[12:15]                      # shares the storage
state["module.t.weight"] = base.reshape(4, 6).t()         # strided
state["module.h.weight"] = torch.tensor([0.5, -2.0]).half()
state["module.b.weight"] = torch.tensor([1.5, -3.0]).bfloat16()
state["module.n.num_batches_tracked"] = torch.tensor(7)
torch.save(state, out + "small.zip.pth")
torch.save(state, out + "small.legacy.pth", _use_new_zipfile_serialization=False)
torch.save({"epoch": 3, "state_dict": state, "lr": 0.1}, out + "checkpoint.pth")
with zipfile.ZipFile(out + "small.zip.pth") as source, zipfile.ZipFile(
    out + "small.deflated.pth", "w", zipfile.ZIP_DEFLATED) as target:
    for name in source.namelist():
        target.writestr(name, source.read(name))

# An axis of one element may have any stride, for nobody ever takes it.
torch.save({"w": base[:12].as_strided((3, 1, 2), (4, 2**63 - 1, 1))}, out + "strides.pth")


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/lookout-hostile-pickle-ran",)


torch.save({"a": Evil()}, out + "hostile.pth")
with open(out + "hostile.legacy.pth", "wb") as file:
    pickle.dump(Evil(), file, protocol=2)
