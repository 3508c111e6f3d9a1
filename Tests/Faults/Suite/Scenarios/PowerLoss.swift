internal import Glibc
internal import TestSupport

extension Scenario {
  /// State, inbox and results on a disk with a volatile cache; the power goes at random moments.
  package static let powerLoss = Scenario(
    "power", "Power loss: what was not flushed is lost in part, at random moments", needsRoot: true
  ) { bench in
    let program = "\(Bench.products)/lookout-faults-disk"
    guard access(program, X_OK) == 0 else {
      throw Impossible("lookout-faults-disk is not built: `make faults` needs libfuse3-dev and cc")
    }
    guard access("/dev/fuse", F_OK) == 0 else { throw Impossible("there is no /dev/fuse") }
    let scratch = Scratch()
    let (fuse, mount) = (scratch.folder("fuse"), scratch.folder("mnt"))
    var image = scratch("disk-0.img")
    try Bench.mustRun("truncate -s 96m '\(image)' && mkfs.ext4 -q -F '\(image)'")
    var disk = try Disk(program: program, image: image, fuse: fuse, mount: mount, log: scratch("disk.log"))
    let site = try Site(root: "\(mount)/site", after: "move")
    let ballast = Ballast(folder: mount)
    sync()
    var lost = 0
    var forgotten = 0
    let rounds = bench.scaled(60, short: 3)
    for round in 1...rounds {
      site.service.isRestarted = false
      site.service.start()
      let end = Bench.seconds() + Double.random(in: 0.1...1.5)
      repeat {
        site.handOver(Int.random(in: 1...5))
        if Int.random(in: 0..<6) == 0 { site.handOverCutShort() }
        site.service.tend(for: Double.random(in: 0...0.2))
      } while Bench.seconds() < end
      ballast.disturb(round)
      let next = scratch("disk-\(round).img")
      lost += try disk.cut(to: next, seed: UInt32(round))
      site.service.killNow()
      disk.remove()
      unlink(image)
      image = next
      // Another loop device each time: a machine may number its disks otherwise after it comes up.
      disk = try Disk(program: program, image: image, fuse: fuse, mount: mount, log: scratch("disk.log"))
      bench.happened()
      forgotten += ballast.isForgotten(round) ? 1 : 0
      if round % 10 == 0 || round == rounds {
        site.service.isRestarted = true
        site.service.start()
        let took = bench.settle(site, within: 90, "after \(round) losses of power")
        bench.say("\(round) losses of power, \(site.oracle.count) pictures, settled in \(Bench.text(took)) s")
        if round < rounds { site.service.killNow() }
      }
    }
    bench.fresh(site, within: 5)
    bench.stop(site)
    bench.blame(site.oracle.violations())
    bench.figure("pictures", "\(site.oracle.count)")
    bench.figure("blocks lost from the disk's cache", "\(lost)")
    bench.figure("files lost that nobody had synced", "\(forgotten)")
    bench.check(lost > 0 && forgotten > 0, "nothing that was written was ever lost: the power was not cut")
    disk.remove()
    bench.check(
      Bench.shell("e2fsck -fn '\(image)'") & 4 == 0, "the file system itself was damaged: the suite's disk is wrong")
  }

  /// What nobody has synced, to see that the power was cut: blocks in the disk's cache, and a file in the kernel's.
  private struct Ballast {
    private let folder: String

    init(folder: String) {
      self.folder = folder
      write()
      sync()
    }

    /// Past the kernel's cache into the disk's, which is not flushed.
    private func write() {
      Bench.shell("dd if=/dev/urandom of='\(folder)/ballast' bs=1M count=1 conv=notrunc oflag=direct")
    }

    /// Overwrites what is there, which needs no journal, and makes a file.
    func disturb(_ round: Int) {
      write()
      close(open("\(folder)/unsynced-\(round)", O_WRONLY | O_CREAT | O_CLOEXEC, 0o644))
    }

    /// Whether the file of this round is gone after the power came back.
    func isForgotten(_ round: Int) -> Bool { !Files.exists("\(folder)/unsynced-\(round)") }
  }

  /// A disk whose cache forgets, behind a loop device, with a mounted file system.
  private struct Disk {
    let server: Int32
    let fuse: String
    let mount: String
    let device: String

    init(program: String, image: String, fuse: String, mount: String, log: String) throws {
      self.fuse = fuse
      self.mount = mount
      server = Program.start(
        [program, "-f", "-s", fuse], environment: ["LOOKOUT_FAULTS_DISK=\(image)", "PATH=/usr/bin:/bin"], log: log)
      let end = Bench.seconds() + 10
      while !Files.exists("\(fuse)/disk"), Bench.seconds() < end { usleep(10_000) }
      let note = "\(log).device"
      try Bench.mustRun("losetup -f --show '\(fuse)/disk' > '\(note)'")
      device = Files.text(note).split(separator: "\n").first.map(String.init) ?? ""
      try Bench.mustRun("mount -o noatime '\(device)' '\(mount)'")
    }

    /// Stores what a loss of power at this instant would leave; gives the number of blocks lost.
    func cut(to image: String, seed: UInt32) throws -> Int {
      Files.write(Array("\(seed) \(image)".utf8), to: "\(fuse)/cut")
      let told = Files.text("\(fuse)/cut").split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
      guard told.count == 2, Files.exists(image) else { throw SiteError("the disk was not cut") }
      return told[1]
    }

    func remove() {
      Bench.shell("umount -l '\(mount)'; losetup -d '\(device)'; umount -l '\(fuse)'")
      kill(server, SIGKILL)
      var status: Int32 = 0
      waitpid(server, &status, 0)
    }
  }
}
