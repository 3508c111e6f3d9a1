internal import SinkProtocol

/// What a sink host and the daemon send each other, and the records inside.
package struct FramesSubject: Subject {
  package init() {}

  package func take(_ bytes: UnsafeRawBufferPointer) -> String? {
    let bytes = Array(bytes)
    // The first byte tells a record from a frame as well as anything: its version is 1, and so is the kind of a greeting.
    if let record = try? ResultRecord(decoding: bytes) { check(record) }
    do throws(WireError) {
      let frame = try Frame(decoding: bytes)
      let coded = frame.encoded()
      let again = try Frame(decoding: Array(coded.dropFirst(4)))
      precondition(again.encoded() == coded, "a frame changes when it is coded again")
      if case .write(let entries) = frame {
        for entry in entries {
          if let record = try? ResultRecord(decoding: entry.record) { check(record) }
        }
      }
      return nil
    } catch {
      return "\(error)"
    }
  }

  private func check(_ record: ResultRecord) {
    let coded = record.encoded()
    guard let again = try? ResultRecord(decoding: coded) else {
      preconditionFailure("a record cannot be read once it is coded")
    }
    precondition(again.encoded() == coded, "a record changes when it is coded again")
  }
}
