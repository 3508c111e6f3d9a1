internal import Glibc
internal import LookoutSinkKit

/// `lookout doctor`: what could keep the service from its job, each with its remedy.
enum DoctorCommand {
  static func run(_ words: [String]) throws(Failure) {
    let arguments = try Arguments(
      words, options: ServiceClient.options.union(["--user", "--unit"]), switches: ["--json"])
    guard arguments.operands.isEmpty else { throw .usage("doctor takes no operand") }
    let doctor = Doctor(
      configurationPath: arguments["--config"] ?? defaultConfigurationPath, user: arguments["--user"] ?? "lookout",
      unit: arguments["--unit"] ?? "lookout.service")
    var findings = doctor.findings()
    findings += service(arguments)
    let bad = findings.count { $0.severity == .bad }
    if arguments.has("--json") {
      var json = JSONWriter()
      json.beginArray()
      for finding in findings {
        json.beginObject()
        for (name, text) in [
          ("severity", finding.severity.rawValue), ("subject", finding.subject), ("what", finding.what),
          ("remedy", finding.remedy),
        ] {
          json.key(name)
          json.value(text)
        }
        json.endObject()
      }
      json.endArray()
      write(json.bytes + [0x0A])
    } else {
      for finding in findings {
        print("\(finding.severity.rawValue)\t\(finding.subject): \(finding.what)")
        if let remedy = finding.remedy { print("\tremedy: \(remedy)") }
      }
    }
    if bad > 0 {
      throw Failure(code: 78, message: "\(bad) of \(findings.count) findings keep the service from its job")
    }
  }

  /// Whether it runs, and what it says of itself.
  private static func service(_ arguments: Arguments) -> [Finding] {
    do throws(Failure) {
      let status = try ServiceClient(arguments).ask("GET", "/v1/status").json()
      let reasons = (status["reasons"]?.items ?? []).compactMap(\.asText)
      if reasons.isEmpty { return [.good("service", "runs, \(status["status"]?.asText ?? "")")] }
      return reasons.map { .bad("service", $0, "lookout status; journalctl -u lookout") }
    } catch {
      return [
        .note(
          "service", error.message,
          error.code == 77 ? "run doctor as root" : "systemctl start lookout; journalctl -u lookout")
      ]
    }
  }
}

/// One thing that was looked at.
struct Finding {
  enum Severity: String {
    case good
    case note
    case bad
  }

  let severity: Severity
  let subject: String
  let what: String
  /// What to do, as exactly as it can be said.
  let remedy: String?

  static func good(_ subject: String, _ what: String) -> Finding {
    Finding(severity: .good, subject: subject, what: what, remedy: nil)
  }

  static func note(_ subject: String, _ what: String, _ remedy: String) -> Finding {
    Finding(severity: .note, subject: subject, what: what, remedy: remedy)
  }

  static func bad(_ subject: String, _ what: String, _ remedy: String) -> Finding {
    Finding(severity: .bad, subject: subject, what: what, remedy: remedy)
  }
}
