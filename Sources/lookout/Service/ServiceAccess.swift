internal import Glibc

/// What the service's user may do, tried as that user (setpriv(1)) when root asks, else as oneself.
struct ServiceAccess {
  let user: String

  func findings(_ folders: Folders) -> [Finding] {
    guard getpwnam(user) != nil else {
      return [.note("user", "there is no user \(user)", "systemd-sysusers; or name the service's user with --user")]
    }
    guard geteuid() == 0 || getpwnam(user)?.pointee.pw_uid == geteuid() else {
      return [.note("user", "rights of \(user) cannot be tried by another user", "sudo lookout doctor")]
    }
    var findings: [Finding] = []
    for folder in folders.read where !may("-r", folder.path) || !may("-x", folder.path) {
      findings.append(
        .bad(
          folder.purpose, "\(user) cannot list \(folder.path)",
          "setfacl -m u:\(user):rwx \(folder.path); or chgrp \(user) \(folder.path) && chmod g+rwxs \(folder.path)"))
    }
    var told: Set<String> = []
    for folder in folders.written where !may("-w", folder.path) && told.insert(folder.path).inserted {
      let isInbox = folders.read.contains { $0.path == folder.path }
      findings.append(
        .bad(
          folder.purpose,
          "\(user) cannot write in \(folder.path)\(isInbox ? ", so no file can leave it, not even for quarantine" : "")",
          isInbox
            ? "chgrp \(user) \(folder.path) && chmod g+rwxs \(folder.path)"
            : "install -d -o \(user) -g \(user) -m 750 \(folder.path)"))
    }
    if findings.isEmpty { findings.append(.good("rights", "\(user) may read and write what it has to")) }
    return findings
  }

  /// `test FLAG PATH` as the service's user.
  private func may(_ flag: String, _ path: String) -> Bool {
    let test = ["test", flag, path]
    guard geteuid() == 0 else { return ChildProcess.run(test)?.status == 0 }
    let privileges = ["setpriv", "--reuid=\(user)", "--regid=\(user)", "--init-groups", "--inh-caps=-all", "--"]
    return ChildProcess.run(privileges + test)?.status == 0
  }
}
