internal import Platform
internal import SinkProtocol

extension Daemon {
  /// Takes over the configuration file as it is now, or goes on as before.
  ///
  /// - Returns: whether the service goes on; without a pipeline it has to start anew.
  func reload() -> Bool {
    Notify.reloading()
    let tell = operations.beginReload()
    http.show(.reloading)
    // Whoever asked is told last: what they look at next must be what they were told.
    var refusal: String?
    do {
      let new = try Configuration.load(path: configurationPath)
      try refuseMoves(in: new)
      let listeners = try http.prepare(new)
      let models = try Self.load(new, measured: ground.algorithms.measured, inService: ground.shelf.all)
      let memory = try Self.memory(new, models)
      if new.isSame(exceptModels: configuration) {
        ground.shelf.replace(by: models)
      } else {
        try rebuild(new, models, memory)
        if new.daemon != configuration.daemon { tellMemory() }
      }
      serve(listeners)
      configuration = new
      settleModelFiles()
      Journal.log(.notice, "reloaded \(configurationPath)", id: .reloaded)
    } catch {
      refusal = "\(error)"
      let outcome =
        hasPipeline ? "reload refused, everything goes on as before" : "reload failed, the service has to start anew"
      for line in "\(error)".split(separator: "\n") {
        Journal.log(.error, "\(outcome): \(line)", id: .reloadRefused)
      }
    }
    if hasPipeline { http.show(.serving) }
    if let refusal { tell(.failure(.refused(refusal))) } else { tell(.success(())) }
    guard hasPipeline else { return false }
    Notify.ready(status: status())
    return true
  }

  /// What was opened at the start cannot be somewhere else now.
  private func refuseMoves(in new: Configuration) throws(ServiceError) {
    guard new.daemon.stateDir == configuration.daemon.stateDir,
      new.daemon.runtimeDir == configuration.daemon.runtimeDir
    else { throw .state(reason: "state_dir and runtime_dir change with a restart only") }
  }

  /// Ends the old pipeline and starts one under the new configuration; if its sinks do not open, the old one again.
  private func rebuild(_ new: Configuration, _ models: [String: LoadedModel], _ memory: MemoryPlan) throws {
    let old = configuration
    let (oldModels, oldMemory) = (ground.shelf.all, ground.memory)
    hasPipeline = false
    try suspend()
    do {
      try build(new, models, memory)
    } catch {
      // Whatever its sinks do by now: without a pipeline nothing would go on at all.
      try build(old, oldModels, oldMemory, refusing: [])
      throw error
    }
  }

  /// Ends the pipeline; what its sinks have not got yet stays in the outbox for the next one's.
  private func suspend() throws(ServiceError) {
    let pipeline = self.pipeline
    let deadline = Clock.monotonicNanoseconds() + Int64(configuration.daemon.stopTimeoutSeconds) * 1_000_000_000
    let hasEnded = attending(until: deadline, giveUp: { pipeline.abort() }, { pipeline.drain(delivering: false) })
    guard hasEnded else {
      throw .state(reason: "a stage did not end, maybe as a file system does not answer")
    }
  }

  /// Makes a pipeline on the same ledger, opens its sinks and starts it.
  ///
  /// `refusing`: as for `Pipeline.openSinks`.
  private func build(
    _ configuration: Configuration, _ models: [String: LoadedModel], _ memory: MemoryPlan,
    refusing: Set<SinkRefusal> = [.settings, .plugin]
  ) throws {
    ground.memory = memory
    try makeRoom(for: configuration)
    ground.launch = SinkLaunch(
      hostPath: ground.launch.hostPath, pluginDirectories: configuration.daemon.pluginDirs)
    ground.shelf.replace(by: models)
    try ground.ledger.retireSinks(keeping: configuration.sinks.map(\.name))
    // Nobody listens since the old pipeline ended.
    ground.unheard = pipeline.heardUntil...max(pipeline.heardUntil, Clock.wallNanoseconds())
    let made = try Pipeline(configuration, on: ground)
    try made.openSinks(within: .seconds(10), refusing: refusing)
    pipeline = made
    operations.replace(made, memoryBoundBytes: memory.totalBytes)
    made.start()
    hasPipeline = true
  }

  // MARK: Models

  /// Notes which files the models in service came from.
  func settleModelFiles() {
    modelFiles.keep(configuration.models.map(\.name))
    for model in ground.shelf.all.values {
      modelFiles.settle(model.name, model.identity, now: Clock.monotonicNanoseconds())
    }
  }

  /// A weights file that was replaced is loaded beside the old one once it rests, and takes over if it proves itself.
  func reloadChangedModels() {
    for settings in configuration.models {
      let now = Clock.monotonicNanoseconds()
      let identity = Self.identity(of: settings)
      switch modelFiles.looked(at: settings.name, identity, now: now) {
      case .nothing: continue
      case .gone:
        Journal.log(
          .warning, "model \(settings.name) goes on from memory: its weights file \(settings.file) is gone",
          id: .modelRefused, fields: [("LOOKOUT_MODEL", settings.name)])
      case .load:
        modelFiles.settle(settings.name, identity, now: now)
        takeOver(settings)
      }
    }
  }

  private func takeOver(_ settings: ModelSettings) {
    do {
      let model = try LoadedModel(
        settings: settings, slotCount: settings.slotCount(workers: configuration.daemon.workers),
        measured: ground.algorithms.measured)
      var models = ground.shelf.all
      models[settings.name] = model
      _ = try Self.memory(configuration, models)
      ground.shelf.replace(model)
      modelFiles.settle(settings.name, model.identity, now: Clock.monotonicNanoseconds())
      Journal.log(
        .notice, "model \(settings.name) is now \(model.digest), from \(settings.file)", id: .modelReplaced,
        fields: [("LOOKOUT_MODEL", settings.name), ("LOOKOUT_MODEL_DIGEST", model.digest)])
    } catch {
      Journal.log(
        .error, "a new weights file is refused, the old model goes on until the file changes again: \(error)",
        id: .modelRefused, fields: [("LOOKOUT_MODEL", settings.name)])
    }
  }
}
