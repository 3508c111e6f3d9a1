internal import CShims
internal import Glibc

/// Whom a process works for.
package struct Credentials: Equatable, Sendable {
  package var processID: Int32
  package var userID: UInt32
  package var groupID: UInt32
  package var supplementaryGroupIDs: [UInt32]

  /// A plain value; only the kernel's answers are facts.
  package init(processID: Int32, userID: UInt32, groupID: UInt32, supplementaryGroupIDs: [UInt32]) {
    self.processID = processID
    self.userID = userID
    self.groupID = groupID
    self.supplementaryGroupIDs = supplementaryGroupIDs
  }

  /// Those of the process at the other end when it connected (`SO_PEERCRED`, `SO_PEERGROUPS`).
  package static func ofPeer(ofSocket raw: Int32) throws(PlatformError) -> Credentials {
    var credentials = Credentials(processID: 0, userID: 0, groupID: 0, supplementaryGroupIDs: [])
    var groups = [UInt32](repeating: 0, count: 1024)
    var count = 0
    try checked("SO_PEERCRED") {
      lookout_peer(
        raw, &credentials.processID, &credentials.userID, &credentials.groupID, &groups, groups.count, &count)
    }
    credentials.supplementaryGroupIDs = Array(groups.prefix(count))
    return credentials
  }

  /// The user and group that this process acts as (`geteuid`, `getegid`).
  package static var effective: (userID: UInt32, groupID: UInt32) { (geteuid(), getegid()) }

  /// Whether it is root, this very user, or a member of this group.
  package func mayOperate(userID: UInt32, groupID: UInt32) -> Bool {
    self.userID == 0 || self.userID == userID || self.groupID == groupID || supplementaryGroupIDs.contains(groupID)
  }
}
