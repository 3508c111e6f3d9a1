// ModelZooTests
