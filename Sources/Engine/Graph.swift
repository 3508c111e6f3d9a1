/// A network as data: what is computed, not how.
///
/// Nodes stand in an order in which every input comes before its use. A node's `name` is the PyTorch module path
/// (`layer1.0.conv1`), so its tensors are called `<name>.weight`, `<name>.bias`, `<name>.running_mean`,
/// `<name>.running_var`, as in a `state_dict`. A node's output is known by the node's name.
package struct Graph: Equatable, Sendable {
  /// One operation and where its operands come from.
  package struct Node: Equatable, Sendable {
    package var name: String
    package var operation: Operation
    /// Names of earlier nodes, or of the graph's input.
    package var inputs: [String]

    package init(name: String, operation: Operation, inputs: [String]) {
      self.name = name
      self.operation = operation
      self.inputs = inputs
    }
  }

  /// The name by which nodes call the picture.
  package var inputName: String
  /// C, H and W of the picture; N is 1 here and the batch's size at run time.
  package var inputShape: Shape
  package var nodes: [Node]
  /// The node whose output is the network's answer, usually logits N×classes.
  package var outputName: String

  package init(inputName: String = "input", inputShape: Shape, nodes: [Node], outputName: String) {
    self.inputName = inputName
    self.inputShape = inputShape
    self.nodes = nodes
    self.outputName = outputName
  }
}
