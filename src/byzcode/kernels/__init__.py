"""The few hot loops, each behind one signature for the CPU and the GPU."""
