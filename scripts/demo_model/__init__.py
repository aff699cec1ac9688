"""Trains the demo model, which answers the questions of the `human` pool about drawn portraits."""
