/// What the numbers are that a network answers with.
package enum AnswerKind: String, Sendable {
  /// Scores without bounds; a softmax makes probabilities of them.
  case scores
  /// Probabilities of classes that exclude each other: the network ends in a softmax.
  case distribution
  /// A probability a class, each of its own: the network ends in a sigmoid.
  case independent
}

extension Graph {
  /// What kind of answers the last node gives that does more than pass them on.
  package var answerKind: AnswerKind {
    switch lastComputing?.operation {
    case .softmax: .distribution
    case .activation(.sigmoid): .independent
    default: .scores
    }
  }

  private var lastComputing: Node? {
    var name: String? = outputName
    // Inputs stand before their use, so that one way back suffices.
    for node in nodes.reversed() where node.name == name {
      switch node.operation {
      case .flatten, .dropout: name = node.inputs.first
      default: return node
      }
    }
    return nil
  }

  /// The same network without the softmax or sigmoid at its end, whose answers a loss of scores can be taken of.
  package func endingInScores() -> Graph {
    guard answerKind != .scores, let last = lastComputing else { return self }
    var graph = self
    graph.nodes.removeAll { $0.name == last.name }
    for index in graph.nodes.indices {
      graph.nodes[index].inputs = graph.nodes[index].inputs.map { $0 == last.name ? last.inputs[0] : $0 }
    }
    if outputName == last.name { graph.outputName = last.inputs[0] }
    return graph
  }

  /// The same network with a sigmoid behind its scores.
  package func endingInSigmoid() -> Graph {
    guard answerKind != .independent else { return self }
    var name = "sigmoid"
    while nodes.contains(where: { $0.name == name }) || name == inputName { name += "_" }
    var graph = self
    graph.nodes.append(Node(name: name, operation: .activation(.sigmoid), inputs: [outputName]))
    graph.outputName = name
    return graph
  }
}
