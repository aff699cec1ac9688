"""Other language: the answer is not in the question's, wholly or in a part.

Scripts tell most languages apart, and words that only one of them has the others. What is in quotation marks was read
off something that is seen.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from persqa.flags.flag import Finding, Flag
from persqa.flags.told import words_of

if TYPE_CHECKING:
    from persqa.flags.told import Asked, Told

# Words of one language that are no words of English, names or single letters, and few others': the commonest, and what
# is said of people.
_PROFILES: Final = {
    "en": (
        "the is has with and of that are wearing wears hair eyes it to by which who from his her their looks this "
        "what does how holding standing sitting smiling"
    ),
    "de": (
        "der das und ist sind ein eine einen einem einer mit nicht auf zu von sie er den dem des auch sich für "
        "haare haar augen trägt braune braun blonde lächelt schaut kamera mund gesicht steht sitzt welche wie "
        "hält bis"
    ),
    "fr": (
        "les des est et une elle un dans avec qui pas cette aussi cheveux yeux porte sont ses sur visage sourit "
        "regarde caméra quelle quel du au aux assis debout bruns brun couleur personne"
    ),
    "es": (
        "el los las una tiene es y con pelo ojos lleva que del por está su sus cabello sonriendo mira cámara qué "
        "cómo castaño sonríe rostro expresión mujer hombre sentado"
    ),
    "it": (
        "il gli della di è ha con che non una sono capelli occhi indossa lunghi sorride guarda macchina nel viso "
        "castani delle dei porta suoi seduto anche"
    ),
    "pt": (
        "os uma tem com não cabelo olhos veste está dos câmera sorrindo para castanho comprido rosto usa mulher "
        "homem seu sua óculos"
    ),
    "nl": (
        "het een van en heeft zijn niet op met haar ogen draagt kijkt naar glimlacht bruin bruine ook aan gezicht "
        "zit staat de camera pony"
    ),
    "pl": ("się nie jest włosy oczy nosi okulary uśmiecha kamery są twarz brązowe siedzi stoi"),
    "sv": ("och är har på som ett hår ögon brunt blå bär inte sitter står ler ansikte kameran"),
}
_LANGUAGES_OF: Final[dict[str, tuple[str, ...]]] = {
    word: tuple(language for language, profile in _PROFILES.items() if word in profile.split())
    for word in {word for profile in _PROFILES.values() for word in profile.split()}
}
#: By language the words of all others that it has not, too.
_OTHERS_WORDS: Final = {
    own: frozenset(word for word, languages in _LANGUAGES_OF.items() if own not in languages) for own in _PROFILES
}
#: With so many words of its own a language is told where it is most of the answer, or a part of one.
_MOST, _PART = 2, 4
#: So many letters of a script in a row are words of it; a single one may be a sign on a shirt.
_LETTERS = 2
#: So many letters must be of the question's script where there are any of another.
_ENOUGH_LATIN = 3
_QUOTED: Final = re.compile(
    r"\"[^\"\n]{0,120}\"|“[^”\n]{0,120}”|«[^»\n]{0,120}»|「[^」\n]{0,120}」|(?<!\w)'[^'\n]{0,120}'(?!\w)"
)
_SCRIPTS: Final = {
    "kana": "\u3040-\u30ff",
    "han": "\u3400-\u4dbf\u4e00-\u9fff",
    "hangul": "\u1100-\u11ff\uac00-\ud7af",
    "cyrillic": "\u0400-\u052f",
    "greek": "\u0370-\u03ff",
    "arabic": "\u0600-\u06ff",
    "hebrew": "\u0590-\u05ff",
    "indic": "\u0900-\u0dff",
    "thai": "\u0e00-\u0e7f",
}
_RUNS: Final = re.compile("|".join(f"(?P<{script}>[{letters}]+)" for script, letters in _SCRIPTS.items()))
_LATIN: Final = re.compile(r"[a-z\u00c0-\u024f]{2,}")


def look(told: Told, question: Asked) -> Finding | None:
    """The first words in another script, or the whole answer where its words are another language's."""
    if not question.words:
        return None
    script = _script_of_question(question.words)
    if not told.text.isascii() and (found := _other_script(told, script)):
        return found
    if script != "latin":
        return _only_latin(told)
    return _other_words(told, _language_of_question(question.words))


def _without_quotes(told: Told) -> str:
    return _QUOTED.sub(lambda quoted: " " * len(quoted[0]), told.plain)


@lru_cache(maxsize=4096)
def _script_of_question(words: tuple[str, ...]) -> str:
    runs = Counter(run.lastgroup or "latin" for word in words for run in _RUNS.finditer(word))
    if runs["kana"]:
        return "kana"
    return runs.most_common(1)[0][0] if runs else "latin"


def _other_script(told: Told, own: str) -> Finding | None:
    # Japanese is written in both.
    allowed = {own, "han"} if own == "kana" else {own}
    plain = _without_quotes(told)
    first: tuple[int, int] | None = None
    letters = 0
    for run in _RUNS.finditer(plain):
        length = run.end() - run.start()
        if run.lastgroup in allowed or (length < _LETTERS and run.lastgroup != "hangul"):
            continue
        letters += length
        first = first or run.span()
    if first is None:
        return None
    whole = sum(map(len, told.words)) or letters
    return Finding(Flag.OTHER_LANGUAGE, round(min(1.0, letters / whole), 3), *told.place(*first))


def _only_latin(told: Told) -> Finding | None:
    """An answer without a letter of the question's script; names in Latin letters are at home everywhere."""
    if _RUNS.search(told.plain) or sum(map(len, _LATIN.findall(told.plain))) < _ENOUGH_LATIN:
        return None
    return Finding(Flag.OTHER_LANGUAGE, 1.0, *told.place(0, len(told.text)))


@lru_cache(maxsize=4096)
def _language_of_question(words: tuple[str, ...]) -> str:
    counts = Counter(language for word in words for language in _LANGUAGES_OF.get(word, ()))
    # English wins a tie: it is what pools are written in.
    return max(counts, key=lambda language: (counts[language], language == "en"), default="en")


def _other_words(told: Told, own: str) -> Finding | None:
    if len(told.distinct & _OTHERS_WORDS[own]) < _MOST:
        return None
    # Now it pays to look at what is quoted.
    words = words_of(_without_quotes(told))
    counts = Counter(language for word in words if word in _OTHERS_WORDS[own] for language in _LANGUAGES_OF[word])
    other, number = max(counts.items(), key=lambda pair: pair[1], default=("", 0))
    mine = sum(own in _LANGUAGES_OF.get(word, ()) for word in words)
    if not other or number < _MOST or (number <= mine and number < _PART):
        return None
    return Finding(Flag.OTHER_LANGUAGE, round(number / (number + mine), 3), *told.place(0, len(told.text)))
