"""The promises behind `jacprobe.testing.check_model`, one function each."""
