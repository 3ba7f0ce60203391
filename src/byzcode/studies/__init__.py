"""What is asked: run specifications, studies, plans, identities. Reads and checks; computes nothing."""
