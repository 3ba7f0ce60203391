"""What ``import byzcode`` offers: one function a file, loaded when it is first used."""
