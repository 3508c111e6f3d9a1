internal import FaultControlPage
internal import Glibc

/// The page through which the suite tells the preloaded hooks what to do; see `faults.h`.
package final class FaultControl {
  package struct Calls: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let sync = Calls(rawValue: FAULTS_SYNC)
    package static let rename = Calls(rawValue: FAULTS_RENAME)
    package static let unlink = Calls(rawValue: FAULTS_UNLINK)
    package static let write = Calls(rawValue: FAULTS_WRITE)
    package static let truncate = Calls(rawValue: FAULTS_TRUNCATE)
    package static let read = Calls(rawValue: FAULTS_READ)
  }

  package enum Action: Sendable {
    case count
    case kill
    case killHalfDone
    case fail(errno: Int32)
    case delay(milliseconds: UInt32)
  }

  package let path: String
  private let page: UnsafeMutablePointer<faults_control>

  /// Makes the page's file.
  package init(path: String) {
    self.path = path
    let file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    fchmod(file, 0o666)
    let size = MemoryLayout<faults_control>.size
    precondition(file >= 0 && ftruncate(file, off_t(size)) == 0, "cannot make \(path)")
    defer { close(file) }
    guard let mapped = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), mapped != MAP_FAILED else {
      preconditionFailure("cannot map \(path)")
    }
    page = mapped.bindMemory(to: faults_control.self, capacity: 1)
  }

  deinit { munmap(page, MemoryLayout<faults_control>.size) }

  /// Lets the calls from the `first` to the `last` matching one suffer `action`; counting begins anew.
  ///
  /// `program` is a program's name, empty for any; `path` is a part of the path of the file concerned.
  package func arm(
    _ calls: Calls, _ action: Action, first: UInt64 = 1, last: UInt64 = .max, program: String = "", path: String = ""
  ) {
    disarm()
    page.pointee.calls = calls.rawValue
    page.pointee.first = first
    page.pointee.last = last
    switch action {
    case .count: page.pointee.action = FAULTS_COUNT
    case .kill: page.pointee.action = FAULTS_KILL
    case .killHalfDone: page.pointee.action = FAULTS_KILL_HALF
    case .fail(let code):
      page.pointee.action = FAULTS_FAIL
      page.pointee.error = code
    case .delay(let milliseconds):
      page.pointee.action = FAULTS_DELAY
      page.pointee.delay_ms = milliseconds
    }
    withUnsafeMutableBytes(of: &page.pointee.program) { $0.copyBytes(from: Array(program.utf8.prefix(31)) + [0]) }
    withUnsafeMutableBytes(of: &page.pointee.path) { $0.copyBytes(from: Array(path.utf8.prefix(511)) + [0]) }
    page.pointee.matched = 0
    page.pointee.struck = 0
    page.pointee.armed = 1
  }

  package func disarm() { page.pointee.armed = 0 }

  /// How many calls matched and how many suffered since the last `arm`.
  package var matched: Int { Int(page.pointee.matched) }
  package var struck: Int { Int(page.pointee.struck) }

  /// What is added to the wall clock of the processes.
  package var clockOffsetNanoseconds: Int64 {
    get { page.pointee.clock_offset_ns }
    set { page.pointee.clock_offset_ns = newValue }
  }
  package var clockReadings: Int { Int(page.pointee.clock_readings) }

  /// Whether pictures of the poisonous widths do harm.
  package var isPoisonous: Bool {
    get { page.pointee.poison != 0 }
    set { page.pointee.poison = newValue ? 1 : 0 }
  }
  package var poisoned: Int { Int(page.pointee.poisoned) }

  /// Widths at which the decoder crashes and turns for ever.
  package static let crashWidth = Int(FAULTS_WIDTH_CRASH)
  package static let loopWidth = Int(FAULTS_WIDTH_LOOP)
}
