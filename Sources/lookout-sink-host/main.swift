print("lookout-sink-host")
