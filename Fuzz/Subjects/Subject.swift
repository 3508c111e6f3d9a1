// What a stranger's bytes reach first, each behind one call: shared by the fuzzer and by the tests that replay its cases.

/// A reader under attack; one thread owns it and feeds it one input after another.
package protocol Subject {
  init()

  /// Takes an input as the product would.
  ///
  /// - Returns: nil if the bytes are accepted, else the error as its reader would print it. A crash, a hang, a sanitizer's
  ///   report or a broken promise (`preconditionFailure`) is a finding.
  func take(_ bytes: UnsafeRawBufferPointer) -> String?
}

/// Every subject by the name of its corpus.
package enum Subjects {
  package static let all: [(name: String, make: @Sendable () -> any Subject)] = [
    ("imaging", { ImagingSubject() }),
    ("weights", { WeightsSubject() }),
    ("checkpoint", { CheckpointSubject() }),
    ("onnx", { ONNXSubject() }),
    ("script", { ScriptSubject() }),
    ("http", { HTTPSubject() }),
    ("configuration", { ConfigurationSubject() }),
    ("frames", { FramesSubject() }),
    ("ledger", { LedgerSubject() }),
  ]
}
