"""``python -m byzcode.cli``."""

from byzcode.cli import main

main()
