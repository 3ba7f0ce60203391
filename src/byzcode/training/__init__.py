"""Training: the loop, the devices, the channel, the server, and the records."""
