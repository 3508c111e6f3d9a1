// SinkProtocol
