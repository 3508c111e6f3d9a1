#if arch(x86_64)
  internal import CConfine
  internal import Glibc

  /// The system calls that a plugin's process never gets (seccomp), as a classic BPF program.
  ///
  /// It closes what Landlock leaves open: sockets, processes, signals, rights and times of files. A refused call answers
  /// with an error, so that a plugin can say what it lacks.
  struct SystemCallFilter {
    private var program: [sock_filter] = []

    private enum Code {
      static let loadWord: UInt16 = 0x20  // BPF_LD | BPF_W | BPF_ABS
      static let and: UInt16 = 0x54  // BPF_ALU | BPF_AND | BPF_K
      static let equal: UInt16 = 0x15  // BPF_JMP | BPF_JEQ | BPF_K
      static let atLeast: UInt16 = 0x35  // BPF_JMP | BPF_JGE | BPF_K
      static let anyBit: UInt16 = 0x45  // BPF_JMP | BPF_JSET | BPF_K
      static let answer: UInt16 = 0x06  // BPF_RET | BPF_K
    }

    private enum Answer {
      static let allow: UInt32 = 0x7FFF_0000
      static let kill: UInt32 = 0x8000_0000
      static func error(_ code: Int32) -> UInt32 { 0x5_0000 | UInt32(code) }
    }

    /// Offsets in `struct seccomp_data`; arguments are 64 bits wide, their low half first.
    private enum Field {
      static let number: UInt32 = 0
      static let architecture: UInt32 = 4
      static func argument(_ index: UInt32) -> UInt32 { 16 + 8 * index }
    }

    private static let x8664: UInt32 = 0xC000_003E
    /// CLONE_THREAD, which the Glibc module lacks.
    private static let threadFlag: UInt32 = 0x1_0000
    /// Calls of the x32 convention carry this bit.
    private static let x32Bit: UInt32 = 0x4000_0000

    /// - Parameters:
    ///   - process: The one process that may be signalled: this one.
    ///   - allowingNetwork: Whether sockets may be opened.
    init(process: Int32, allowingNetwork: Bool) {
      add(Code.loadWord, Field.architecture)
      add(Code.equal, Self.x8664, onMatch: 1)
      add(Code.answer, Answer.kill)
      add(Code.loadWord, Field.number)
      add(Code.atLeast, Self.x32Bit, onMismatch: 1)
      add(Code.answer, Answer.error(ENOSYS))

      if !allowingNetwork { refuse([SYS_socket], EACCES) }
      // A newer interface to the same thing, which a filter cannot look into; the C library falls back.
      refuse([SYS_clone3, 437 /* openat2 */], ENOSYS)
      refuse([SYS_fork, SYS_vfork, SYS_execve, SYS_execveat], EPERM)
      refuse(
        [
          SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp, SYS_tkill, 424 /* pidfd_send_signal */,
          434 /* pidfd_open */, 438 /* pidfd_getfd */, 440 /* process_madvise */, 448 /* process_mrelease */,
        ], EPERM)
      refuse(
        [
          SYS_chmod, SYS_fchmodat, 452 /* fchmodat2 */, SYS_chown, SYS_fchown, SYS_lchown, SYS_fchownat, SYS_setxattr,
          SYS_lsetxattr, SYS_fsetxattr, SYS_removexattr, SYS_lremovexattr, SYS_fremovexattr, SYS_utime, SYS_utimes,
          SYS_futimesat, SYS_utimensat, SYS_truncate,
        ], EPERM)
      refuse(
        [
          SYS_setpriority, SYS_sched_setaffinity, SYS_sched_setscheduler, SYS_sched_setparam, SYS_sched_setattr,
          SYS_ioprio_set, SYS_migrate_pages, SYS_move_pages,
        ], EPERM)
      refuse(
        [
          SYS_unshare, SYS_setns, SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_open_by_handle_at, SYS_bpf,
          SYS_perf_event_open, SYS_userfaultfd, SYS_add_key, SYS_request_key, SYS_keyctl, 425 /* io_uring_setup */,
          426 /* io_uring_enter */, 427 /* io_uring_register */,
        ], EPERM)

      for number in [SYS_kill, SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo] {
        refuse(number, unlessArgument: 0, is: [UInt32(bitPattern: process)], EPERM)
      }
      refuse(SYS_prlimit64, unlessArgument: 0, is: [0, UInt32(bitPattern: process)], EPERM)
      // Threads, but no processes: CLONE_THREAD.
      refuseClone()
      // Emptying a file takes a right to write it, also for a kernel that lets readers do it.
      refuseTruncatingReaders(SYS_open, flags: 1)
      refuseTruncatingReaders(SYS_openat, flags: 2)
      add(Code.answer, Answer.allow)
    }

    /// Puts every thread of the process behind it; 0, or -1 with errno.
    func install() -> Int32 { lookout_filter_system_calls(program, program.count) }

    private mutating func add(_ code: UInt16, _ value: UInt32, onMatch: UInt8 = 0, onMismatch: UInt8 = 0) {
      program.append(sock_filter(code: code, jt: onMatch, jf: onMismatch, k: value))
    }

    private mutating func refuse(_ numbers: [Int32], _ error: Int32) {
      for number in numbers {
        add(Code.equal, UInt32(bitPattern: number), onMismatch: 1)
        add(Code.answer, Answer.error(error))
      }
    }

    private mutating func refuse(_ number: Int32, unlessArgument index: UInt32, is values: [UInt32], _ error: Int32) {
      // The comparisons skip the refusal; behind it the number is loaded again.
      add(Code.equal, UInt32(bitPattern: number), onMismatch: UInt8(values.count + 3))
      add(Code.loadWord, Field.argument(index))
      for (place, value) in values.enumerated() { add(Code.equal, value, onMatch: UInt8(values.count - place)) }
      add(Code.answer, Answer.error(error))
      add(Code.loadWord, Field.number)
    }

    private mutating func refuseClone() {
      add(Code.equal, UInt32(bitPattern: SYS_clone), onMismatch: 4)
      add(Code.loadWord, Field.argument(0))
      add(Code.anyBit, Self.threadFlag, onMatch: 1)
      add(Code.answer, Answer.error(EPERM))
      add(Code.loadWord, Field.number)
    }

    private mutating func refuseTruncatingReaders(_ number: Int32, flags index: UInt32) {
      add(Code.equal, UInt32(bitPattern: number), onMismatch: 5)
      add(Code.loadWord, Field.argument(index))
      add(Code.and, UInt32(O_ACCMODE | O_TRUNC))
      add(Code.equal, UInt32(O_TRUNC), onMismatch: 1)
      add(Code.answer, Answer.error(EACCES))
      add(Code.loadWord, Field.number)
    }
  }
#endif
