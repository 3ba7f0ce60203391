"""The hot loops. Each has one signature for the CPU and the GPU."""
