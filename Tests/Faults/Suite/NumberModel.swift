internal import Engine

/// The network that reads a `NumberPicture`: one linear layer that adds up the cells of an 8 × 12 picture.
///
/// Its 96 classes are the cells. The six best are the six digits; a label is `<tag>/<digit>:<value>`, so that a row also
/// tells which of several models made it.
package enum NumberModel {
  private struct Tensors: TensorSource {
    let cells: Int

    func extents(ofTensor name: String) -> [Int]? {
      switch name {
      case "cells.weight": [cells, 3 * cells]
      case "cells.bias": [cells]
      default: nil
      }
    }

    func floats(ofTensor name: String) throws(EngineError) -> [Float] {
      guard name == "cells.weight" else { return [Float](repeating: 0, count: cells) }
      var weights = [Float](repeating: 0, count: 3 * cells * cells)
      for cell in 0..<cells {
        for c in 0..<3 { weights[cell * 3 * cells + c * cells + cell] = 4 }
      }
      return weights
    }
  }

  /// Writes a weights file and gives its digest; another tag makes another digest.
  package static func write(to path: String, tag: String) throws -> String {
    let cells = NumberPicture.rows * NumberPicture.columns
    let graph = Graph(
      inputShape: Shape(c: 3, h: NumberPicture.rows, w: NumberPicture.columns),
      nodes: [
        Graph.Node(name: "flatten", operation: .flatten, inputs: ["input"]),
        Graph.Node(
          name: "cells", operation: .linear(Linear(inFeatures: 3 * cells, outFeatures: cells)), inputs: ["flatten"]),
      ], outputName: "cells")
    let preprocessing =
      #"{"channels":"RGB","mean":[0,0,0],"resize":{"filter":"bilinear","height":8,"mode":"exact","width":12},"#
      + #""scale":\#(1 / 255.0),"std":[1,1,1]}"#
    try WeightsFile.write(
      to: path, graph: graph, labels: (0..<cells).map { "\(tag)/\($0 / 16):\($0 % 16)" }, preprocessing: preprocessing,
      canary: nil, provenance: "fault suite \(tag)", tensors: Tensors(cells: cells), storage: .f32)
    return try WeightsFile.open(path: path).digest
  }

  /// The number and the tag that six labels stand for, in whatever order; nil if they stand for none.
  package static func reading(of labels: [String]) -> (number: Int, tag: String)? {
    var digits = [Int](repeating: -1, count: NumberPicture.digits)
    var tag: Substring?
    for label in labels.prefix(NumberPicture.digits) {
      let parts = label.split(separator: "/")
      guard parts.count == 2, tag == nil || tag == parts[0] else { return nil }
      tag = parts[0]
      let digit = parts[1].split(separator: ":").compactMap { Int($0) }
      guard digit.count == 2, digits.indices.contains(digit[0]), digits[digit[0]] < 0 else { return nil }
      digits[digit[0]] = digit[1]
    }
    guard let tag, let number = NumberPicture.number(of: digits) else { return nil }
    return (number, String(tag))
  }
}
