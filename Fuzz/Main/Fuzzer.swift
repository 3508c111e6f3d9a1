// libFuzzer's entry points; its own main lies in the compiler's runtime. `make fuzz` builds and runs it.

internal import Glibc
internal import HostileSubjects

/// The subject that LOOKOUT_FUZZ names, made before the first input and kept; libFuzzer runs on one thread.
nonisolated(unsafe) private let subject: any Subject = {
  let name = getenv("LOOKOUT_FUZZ").map { String(cString: $0) } ?? ""
  guard let found = Subjects.all.first(where: { $0.name == name }) else {
    let text = "LOOKOUT_FUZZ must be one of: \(Subjects.all.map(\.name).joined(separator: " "))\n"
    _ = text.withCString { write(STDERR_FILENO, $0, strlen($0)) }
    exit(64)
  }
  return found.make()
}()

/// Makes the subject.
@_cdecl("LLVMFuzzerInitialize")
func initialise(_ count: UnsafeMutablePointer<CInt>, _ arguments: UnsafeMutableRawPointer) -> CInt {
  _ = subject
  return 0
}

/// Feeds one input.
@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  _ = subject.take(UnsafeRawBufferPointer(start: start, count: count))
  return 0
}
