/// Every metric of `/metrics`; `docs/OPERATIONS.md` has a row for each, and a test compares the two.
package enum Metric: String, CaseIterable, Sendable {
  case buildInfo = "lookout_build_info"
  case modelInfo = "lookout_model_info"
  case startTime = "lookout_start_time_seconds"
  case residentMemory = "lookout_resident_memory_bytes"
  case memoryBound = "lookout_memory_bound_bytes"
  case processorTime = "lookout_processor_seconds_total"
  case openDescriptors = "lookout_open_descriptors"
  case isReady = "lookout_ready"
  case isPaused = "lookout_paused"
  case troubles = "lookout_troubles"
  case watchCondition = "lookout_watch_condition"
  case filesAdmitted = "lookout_admitted_files_total"
  case filesIgnored = "lookout_ignored_files_total"
  case filesFoundByRescan = "lookout_rescan_found_files_total"
  case filesDisposed = "lookout_disposed_files_total"
  case filesQuarantined = "lookout_quarantined_files_total"
  case imagesAnswered = "lookout_answered_images_total"
  case imagesReused = "lookout_reused_images_total"
  case imagesFailed = "lookout_failed_images_total"
  case imagesRequested = "lookout_requested_images_total"
  case batches = "lookout_batches_total"
  case eventOverflows = "lookout_event_overflows_total"
  case settlingFiles = "lookout_settling_files"
  case queueImages = "lookout_queue_images"
  case unprocessedFiles = "lookout_unprocessed_files"
  case undisposedFiles = "lookout_undisposed_files"
  case oldestUnprocessed = "lookout_oldest_unprocessed_seconds"
  case settleTime = "lookout_settle_seconds"
  case queueTime = "lookout_queue_seconds"
  case decodeTime = "lookout_decode_seconds"
  case computeTime = "lookout_compute_seconds"
  case commitTime = "lookout_commit_seconds"
  case batchSize = "lookout_batch_images"
  case sinkOpen = "lookout_sink_open"
  case sinkLag = "lookout_sink_lag_records"
  case sinkDeadLetters = "lookout_sink_dead_letters"
  case sinkDelivered = "lookout_sink_delivered_records_total"
  case sinkRejected = "lookout_sink_rejected_records_total"
  case sinkRestarts = "lookout_sink_restarts_total"
  case deliveryTime = "lookout_delivery_seconds"
  case httpResponses = "lookout_http_responses_total"
  case httpTime = "lookout_http_response_seconds"

  /// As Prometheus names them.
  package enum Kind: String, Sendable {
    case counter
    case gauge
    case histogram
  }

  package var kind: Kind {
    switch self {
    case .settleTime, .queueTime, .decodeTime, .computeTime, .commitTime, .batchSize, .deliveryTime, .httpTime:
      .histogram
    case _ where rawValue.hasSuffix("_total"): .counter
    default: .gauge
    }
  }

  /// The line behind `# HELP`; counters and histograms count from the start of the service.
  package var help: String {
    switch self {
    case .buildInfo: "Always 1; the label names the version."
    case .modelInfo: "Always 1; the labels name a model in service, its digest and its file."
    case .startTime: "When the service started, in seconds since 1970."
    case .residentMemory: "Memory of the service's process that is in RAM."
    case .memoryBound: "The bound on memory that the start printed."
    case .processorTime: "Processor time of the service's process, user and system."
    case .openDescriptors: "File descriptors of the service's process."
    case .isReady: "1 if /readyz says ready, else 0."
    case .isPaused: "1 while an operator has paused the intake."
    case .troubles: "How many things keep the service from doing its whole job; /readyz names them."
    case .watchCondition: "1 for the condition that a watch is in, 0 for the others."
    case .filesAdmitted: "Files that the service took charge of."
    case .filesIgnored: "Files that were passed over."
    case .filesFoundByRescan: "Files that only the periodic listing found, though events should have told of them."
    case .filesDisposed: "Answered files that were kept, moved or deleted."
    case .filesQuarantined: "Files that went to quarantine."
    case .imagesAnswered: "Images of the folders with a result."
    case .imagesReused: "Images answered from an earlier image with the same bytes; they count as answered too."
    case .imagesFailed: "Images of the folders that could not be answered."
    case .imagesRequested: "Images and tensors that came over HTTP."
    case .batches: "Batches computed."
    case .eventOverflows: "Times that the kernel lost events and the folders were listed anew."
    case .settlingFiles: "Files that wait until they are whole."
    case .queueImages: "Images between two stages."
    case .unprocessedFiles: "Files in the ledger that have no result yet."
    case .undisposedFiles: "Files with a result that some sink still lacks, or that cannot leave their folder yet."
    case .oldestUnprocessed: "Age of the oldest image that is not with all its sinks yet; 0 if there is none."
    case .settleTime: "From the first sign of a file until it was taken."
    case .queueTime: "Waiting of an image between the stages, from admission until its batch began."
    case .decodeTime: "Opening, reading, hashing, decoding and resizing of an image."
    case .computeTime: "The network's work on a batch."
    case .commitTime: "The ledger's transaction for a batch."
    case .batchSize: "Images of a batch."
    case .sinkOpen: "1 if the sink is open, 0 if its results wait."
    case .sinkLag: "Results that a sink does not have yet."
    case .sinkDeadLetters: "Results that a sink refused and nobody has sent again."
    case .sinkDelivered: "Results that a sink has durably."
    case .sinkRejected: "Results that a sink refused for good."
    case .sinkRestarts: "Times that a sink crashed, hung or could not be opened, and was started again."
    case .deliveryTime: "From the commit of a result until its sink had it durably."
    case .httpResponses: "HTTP responses by status."
    case .httpTime: "From a request's head until its response."
    }
  }
}
