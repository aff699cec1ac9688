"""`python -m producer.cli`: the same as `persqa`."""

from __future__ import annotations

from producer.cli import main

main()
