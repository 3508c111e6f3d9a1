/// What the ledger could not do, with the file and the remedy in its text.
///
/// A stage's edge asks only `isTransient`: such an error is **retry** (intake pauses, nothing was written, the same call
/// may simply be made again); every other one is **stop**.
package enum LedgerError: Error, Equatable, Sendable {
  /// The file system or another process is in the way: full, read-only, I/O error, busy, no rights, no memory.
  /// `code` is SQLite's extended result code.
  case unavailable(path: String, operation: String, code: Int32, detail: String)
  /// The file is no sound SQLite database.
  case damaged(path: String, operation: String, code: Int32, detail: String)
  /// The file is a database, but not a ledger of Lookout's.
  case foreign(path: String, applicationID: Int64)
  /// A later version of Lookout wrote the file.
  case newer(path: String, found: Int64, supported: Int64)
  /// The call cannot be right: a mistake in this program, or a ledger changed by hand.
  case misuse(path: String, operation: String, detail: String)

  /// Whether waiting and repeating the call can help.
  ///
  /// Nothing of the failed call was kept.
  package var isTransient: Bool {
    if case .unavailable = self { true } else { false }
  }
}

extension LedgerError: CustomStringConvertible {
  /// One line for the journal: the file, what was tried, what was found, what to do.
  package var description: String {
    switch self {
    case .unavailable(let path, let operation, let code, let detail):
      "ledger \(path): cannot \(operation): \(detail) (sqlite \(code)); "
        + "check free space, that the file system is writable and the rights of the folder; it is tried again"
    case .damaged(let path, let operation, let code, let detail):
      "ledger \(path): cannot \(operation): \(detail) (sqlite \(code)); the file is damaged: check the disk, "
        + "restore it with its -wal file from a backup, or move both away to begin anew, "
        + "which classifies every image still in an inbox once more"
    case .foreign(let path, let applicationID):
      "ledger \(path): this database belongs to another program (application id \(applicationID)); "
        + "give state_dir a folder of its own"
    case .newer(let path, let found, let supported):
      "ledger \(path): schema version \(found) was written by a later lookout, this one knows up to \(supported); "
        + "install that version again, or move the file away to begin anew"
    case .misuse(let path, let operation, let detail):
      "ledger \(path): cannot \(operation): \(detail); this is a defect in lookout, or the file was changed by hand"
    }
  }
}
