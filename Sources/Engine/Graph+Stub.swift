extension Graph {
  package func shapes() throws(EngineError) -> [String: Shape] {
    var out: [String: Shape] = [inputName: inputShape]
    var c = 1
    for n in nodes {
      switch n.operation {
      case .linear(let l): c = l.outFeatures
      case .convolution(let l): c = l.outChannels
      default: break
      }
      out[n.name] = Shape(c: c)
    }
    return out
  }
  package func requiredTensors() throws(EngineError) -> [(name: String, extents: [Int])] {
    var out: [(name: String, extents: [Int])] = []
    let s = try shapes()
    for n in nodes {
      switch n.operation {
      case .linear(let l):
        out.append((n.name + ".weight", [l.outFeatures, l.inFeatures]))
        if l.bias { out.append((n.name + ".bias", [l.outFeatures])) }
      case .convolution(let l):
        out.append((n.name + ".weight", [l.outChannels, l.inChannels / l.groups, l.kernel.h, l.kernel.w]))
        if l.bias { out.append((n.name + ".bias", [l.outChannels])) }
      case .batchNorm:
        for k in ["weight", "bias", "running_mean", "running_var"] {
          out.append((n.name + "." + k, [s[n.inputs[0]]!.c]))
        }
      default: break
      }
    }
    return out
  }
}
