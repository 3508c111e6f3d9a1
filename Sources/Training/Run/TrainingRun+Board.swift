internal import Engine
internal import Imaging
internal import Platform

extension TrainingRun {
  /// What the network will see in the first epoch, as a PNG.
  func writeContactSheet(_ stop: StopRequest, _ tell: (TrainingEvent) -> Void) throws(TrainingError) {
    let wanted = min(recipe.output.contactSheet, training.samples.count)
    guard wanted > 0 else { return }
    let output = preprocessing.output
    var sheet = ContactSheet(count: wanted, width: output.width, height: output.height)
    let batches = trainLoader.epoch(0)
    var shown = 0
    while shown < wanted, let batch = batches.next() {
      // It is drawn when the run goes on.
      if stop.isAsked { return }
      for n in 0..<min(batch.count, wanted - shown) {
        guard let base = batch.images.baseAddress else { break }
        sheet.set(shown + n, preprocessing.picture(ofInput: base + n * preprocessing.outputCount))
      }
      shown += batch.count
      batches.recycle(batch)
    }
    let bytes: [UInt8]
    do throws(ImagingError) {
      bytes = try sheet.png()
    } catch {
      throw .settings(reason: "the contact sheet: \(error); show fewer samples")
    }
    let path = folder.appending("samples.png")
    do throws(PlatformError) {
      try AtomicFile.write(path, bytes, mode: 0o644)
    } catch {
      throw .platform(error)
    }
    tell(.note("what the network sees: \(path.displayed)"))
    try openBoard()?.add(image: bytes, width: output.width, height: output.height, tag: "samples", step: 0)
  }

  /// The event file, made when it is first needed.
  private func openBoard() throws(TrainingError) -> TensorBoardLog? {
    guard recipe.output.tensorBoard else { return nil }
    if let board { return board }
    let made = try TensorBoardLog(folder: folder.appending("tensorboard"))
    made.add(graph: start.graph)
    board = made
    return made
  }

  /// An epoch's numbers and the distribution of each tensor.
  func logToBoard(_ record: EpochRecord) throws(TrainingError) {
    guard let board = try openBoard() else { return }
    let step = record.epoch
    board.add(scalar: record.trainLoss, tag: "loss/train", step: step)
    board.add(scalar: record.trainAccuracy, tag: "accuracy/train", step: step)
    board.add(scalar: record.learningRate, tag: "learning_rate", step: step)
    if let loss = record.validationLoss { board.add(scalar: loss, tag: "loss/validation", step: step) }
    if let accuracy = record.validationAccuracy { board.add(scalar: accuracy, tag: "accuracy/validation", step: step) }
    for parameter in weights.parameters {
      let values = UnsafeBufferPointer(
        start: weights.values + parameter.range.lowerBound, count: parameter.range.count)
      board.add(histogram: values, tag: parameter.name, step: step)
    }
    try board.flush()
  }
}
