// LookoutSinkKit
