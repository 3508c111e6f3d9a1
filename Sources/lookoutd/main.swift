print("lookoutd")
