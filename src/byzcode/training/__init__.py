"""Training: the loop, what devices send, the channel, what the server makes of it, what is recorded."""
