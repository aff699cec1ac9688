"""Portraits: drawings of people whose attributes are all known, for trials and tests."""

from producer.demo.answers import true_answers
from producer.demo.drawing import draw
from producer.demo.person import ATTRIBUTES, Person, random_person

__all__ = ["ATTRIBUTES", "Person", "draw", "random_person", "true_answers"]
