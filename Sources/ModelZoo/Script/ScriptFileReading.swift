package import Engine

/// Reading a whole TorchScript archive.
package enum TorchScriptFile {
  /// Follows the archive's `forward`; the size of the pictures is not in it and must be given.
  ///
  /// - Throws: `ModelZooError` naming the byte, or the line of code that is not known.
  package static func read(path: String, size: Extent2D?) throws(ModelZooError) -> ImportedNetwork {
    guard let size else {
      throw .unsupported(
        path: path, reason: "a TorchScript archive does not tell its pictures' size; give --input-size")
    }
    let file = try MappedFile(path: path)
    let outcome = try file.read { bytes throws(FormatFault) in try network(bytes, source: file, size: size) }
    do throws(TraceFault) {
      return try outcome.get()
    } catch {
      throw .unsupported(path: path, reason: error.reason)
    }
  }

  /// The same from bytes in memory.
  package static func read(bytes: [UInt8], size: Extent2D) throws(ModelZooError) -> ImportedNetwork {
    let memory = MemoryBytes(bytes)
    let outcome: Result<ImportedNetwork, TraceFault>
    do throws(FormatFault) {
      outcome = try memory.withBytes { file throws(FormatFault) in try network(file, source: memory, size: size) }
    } catch {
      throw error.error(path: "the archive")
    }
    do throws(TraceFault) {
      return try outcome.get()
    } catch {
      throw .unsupported(path: "the archive", reason: error.reason)
    }
  }

  private static func network(
    _ file: UnsafeRawBufferPointer, source: any ByteSource, size: Extent2D
  ) throws(FormatFault) -> Result<ImportedNetwork, TraceFault> {
    let archive = try ScriptArchive(file, bytes: source)
    // The number of channels shows in the first convolution: another than it wants is refused there.
    var first: TraceFault?
    for channels in [3, 1] {
      var interpreter = ScriptInterpreter(archive, file: file, shape: Shape(c: channels, h: size.h, w: size.w))
      do throws(TraceFault) {
        return .success(try interpreter.run())
      } catch {
        first = first ?? error
      }
    }
    return .failure(first ?? TraceFault("holds no network"))
  }
}
