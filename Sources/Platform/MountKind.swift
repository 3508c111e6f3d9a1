internal import CShims

/// What kind of file system a folder is on.
package enum MountKind {
  /// Whether every writer's changes come as inotify events: not where other hosts or a user process hold the files.
  ///
  /// Numbers from statfs(2): NFS, SMB, SMB2, CIFS, FUSE, 9P, AFS, Ceph, CODA.
  package static func givesEvents(_ path: Path) -> Bool {
    let magic = path.withCString { lookout_file_system_magic($0) }
    let remote: Set<UInt32> = [
      0x6969, 0x517B, 0xFE53_4D42, 0xFF53_4D42, 0x6573_5546, 0x0102_1997, 0x5346_414F, 0x00C3_6400, 0x7375_7245,
    ]
    return magic < 0 || !remote.contains(UInt32(truncatingIfNeeded: magic))
  }

  /// Whether files and folders of one mount may name different devices: an overlay (number from statfs(2)).
  package static func mixesDevices(_ path: Path) -> Bool {
    path.withCString { lookout_file_system_magic($0) } == 0x794C_7630
  }
}
