internal import Glibc

/// Why the file of a plugin must not be loaded by the user who runs the sink host; nil if it may.
///
/// It must be a regular file of root's or of that user's own that nobody else can write, under an absolute path.
package func pluginFileProblem(_ path: String, userID: UInt32 = geteuid()) -> String? {
  guard path.utf8.first == UInt8(ascii: "/") else { return "plugin path \(path) is not absolute" }
  var status = stat()
  guard stat(path, &status) == 0 else { return "plugin \(path): \(String(cString: strerror(errno)))" }
  guard status.st_mode & S_IFMT == S_IFREG else { return "plugin \(path) is not a regular file" }
  guard status.st_uid == 0 || status.st_uid == userID else {
    return "plugin \(path) belongs to user \(status.st_uid); it must belong to root or to user \(userID): chown it"
  }
  guard status.st_mode & 0o022 == 0 else {
    return "plugin \(path) is writable by its group or by others: chmod go-w it"
  }
  return nil
}
