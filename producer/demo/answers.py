"""The right answers about a person, in the words that the shipped model is taught."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from producer.demo.person import Person

_POSES = {
    "arms at rest": "is facing the viewer with arms at rest",
    "waving": "is waving with one hand",
    "both hands raised": "is raising both hands",
    "hands folded": "is folding both hands in front",
}
_ACCESSORIES = {"nothing": "is not wearing any accessories", "a flower": "is wearing a flower in the hair"}


def true_answers(person: Person) -> dict[str, str]:
    """The answer to each question of the `human` pool, by the question's template; `{tag}` stands for the tag."""
    attire = f"{person.attire_colour} {person.attire}"
    says = {
        "How would you describe {tag}'s attire?": f"is wearing {_article(attire)}",
        "What is the color of {tag}'s hair?": f"has {person.hair_colour} hair",
        "How is {tag}'s hair styled?": f"has {person.hairstyle}",
        "What do {tag}'s eyes look like?": f"has {person.eye_shape} {person.eye_colour} eyes",
        "What color are {tag}'s eyes?": f"has {person.eye_colour} eyes",
        "Is {tag} wearing glasses, and if so, what kind?": f"is wearing {person.glasses}",
        "What accessories is {tag} wearing, if any?": _ACCESSORIES.get(
            person.accessory, f"is wearing {person.accessory}"
        ),
        "What is {tag}'s skin tone?": f"has a {person.skin_tone} skin tone",
        "How would you describe {tag}'s build?": f"has {_article(person.build)} build",
        "What expression does {tag} have?": f"has {_article(person.expression)} expression",
        "What pose is {tag} in?": _POSES[person.pose],
        "What is the most distinctive feature of {tag}?": f"stands out by {person.feature}",
    }
    return {question: f"{{tag}} {answer}." for question, answer in says.items()}


def _article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
