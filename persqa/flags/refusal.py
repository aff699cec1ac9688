"""Refusal: the answer says that the model cannot or will not answer, in one of a dozen languages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from persqa.flags.flag import Finding, Flag
from persqa.flags.phrases import Phrases

if TYPE_CHECKING:
    from persqa.flags.told import Told

# What is in quotation marks is written on something that is seen.
_I = r"(?<![\"'“‘«])\bi(?: really| also| simply| just| honestly)?"
_AM = r"(?<![\"'“‘«])\bi(?:'m| am)(?: really| just| also| simply)?"
_FIND_OUT = (
    r"(?:tell|determine|say|identify|know|describe|answer|discern|judge|ascertain|establish|give|provide|make out"
    r"|recogni[sz]e|infer)\b"
)
_FOUND_OUT = r"(?:determined|identified|ascertained|answered|established|inferred|discerned|deduced|confirmed)\b"
#: That somebody cannot be sure is a hedge, and that one cannot help smiling is praise.
_BUT_NOT = r"(?! help (?:but|\w+ing)| wait| be (?:\w+ )?(?:sure|certain)| (?:say|tell) (?:for|with))"

_ENGLISH: Final = {
    "sorry": (
        rf"{_AM}(?: so| very| truly)? sorry(?! to hear| about your| for your)|^\W*(?:so )?sorry(?:[,.!]| but\b| i\b)"
    ),
    "apologize|apologise|apologies": r"\bi (?:do |must |sincerely )?apologi[sz]e|\bmy apologies",
    "afraid": rf"{_AM} afraid (?:i|that|this|we|not)\b",
    "cannot|can't": rf"{_I} (?:cannot|can't){_BUT_NOT}|(?:cannot|can't) be {_FOUND_OUT}",
    "can": rf"{_I} can not{_BUT_NOT}|can not be {_FOUND_OUT}",
    "couldn't|could": rf"{_I} could(?:n't| not){_BUT_NOT}",
    "won't|will": rf"{_I} w(?:on't|ill not) (?:be able|answer|describe|help|do|comment|identify)",
    "unable": rf"{_AM} unable|^\W*unable to\b",
    "able": rf"{_AM} not able",
    "possible": r"(?:\bis not|\bisn't|\bnot) possible (?:for me )?to (?:say|see|" + _FIND_OUT[3:],
    "impossible": rf"\bimpossible (?:for me )?to {_FIND_OUT}|\bimpossible d(?:e |')(?:dire|savoir|dét|ident|répon)",
    "enough|sufficient": r"(?:\bnot|n't)(?: have| provide| contain)?(?: enough| sufficient) (?:info|detail|context)",
    "insufficient": r"\binsufficient (?:info|detail|context|data)",
    "ability|capability": r"\bi (?:do not|don't) have the (?:ab|capab)ility|\bi lack the (?:ab|capab)ility",
    "know": rf"{_I} (?:do not|don't)(?: really)? know\b",
    "knowing": r"\bno way of knowing",
    "see": rf"{_I} (?:do not|don't) see (?:any|an?|the) (?:image|picture|photo|person|attach)",
    "comfortable": rf"{_AM} not comfortable",
    "decline": r"\bi (?:must |have to |will |need to )?(?:respectfully |politely )?decline",
    "image|picture|photo": r"\bno (?:image|picture|photo) (?:was|is|has been) (?:provided|attached|given|uploaded)",
    "guidelines|policies|programming": r"\bmy (?:guidelines|policies|programming)",
    "sure": rf"{_AM} not sure (?:how|what) (?:to|you)\b",
    "rather|prefer": r"\bi(?:'d| would) (?:rather|prefer) not\b|\bi prefer not\b",
    "appropriate|ethical": r"\bnot (?:appropriate|ethical)(?: (?:or|and) \w+)? (?:for me )?to\b",
    "something": r"\bnot something (?:that )?i (?:can|am able)\b",
}
_OTHERS: Final = {
    "leid": r"\btut mir (?:sehr )?leid",
    "leider": r"\bleider (?:kann|darf|ist es|lässt)\b",
    "kann|darf": r"\b(?:(?:kann|darf) ich|ich (?:kann|darf)) (?:\w+ ){0,5}(?:nichts?|keine?)\b",
    "lässt": r"\blässt sich (?:\w+ ){0,6}nicht (?:erk|sag|best|fest|beurt)",
    "désolé|désolée": r"\bje suis (?:vraiment )?désolée?|^\W*désolée?\b",
    "peux|vois|sais": r"\bje ne (?:peux|vois|sais) (?:malheureusement )?pas\b",
    "mesure": r"\bpas en mesure d",
    "siento": r"\blo siento\b",
    "puedo": r"\bno (?:le |te )?puedo\b",
    "posible": r"\bno es posible (?:det|sab|dec|ident|resp|ver)",
    "suficiente": r"\bno (?:tengo|hay) suficiente información",
    "dispiace": r"\bmi dispiace",
    "posso": r"\b(?:non|não) posso\b",
    "possibile": r"\bnon è possibile (?:det|dir|sap|ident|risp|stab|ved)",
    "grado": r"\bnon sono in grado di",
    "desculpe|desculpa": r"^\W*desculp[ea]\b",
    "sinto": r"\bsinto muito",
    "consigo": r"\bnão consigo\b",
    "possível": r"\bnão é possível (?:det|diz|sab|ident|resp|ver)",
    "spijt": r"\bspijt me\b",
    "kan": r"\b(?:kan ik|ik kan) (?:\w+ ){0,5}(?:niet|geen)\b",
    "извините|простите": r"^\W*(?:извините|простите)\b",
    "могу": r"\bне могу\b",
    "вижу": r"\bя не вижу\b",
    "невозможно": r"\bневозможно (?:опред|сказ|ответ|узн)",
}
_CANNOT: Final = r"(?:回答|判断|确定|识别|看到|看清|提供|得知|辨认|查看|描述|帮助|協助|协助|確定|辨識|判斷)"
_PARTS: Final = {
    "抱歉": "抱歉",
    "对不起": "对不起",
    "對不起": "對不起",
    "无法": "无法" + _CANNOT,
    "無法": "無法" + _CANNOT,
    "不能": "我不能" + _CANNOT,
    "看不到": "我?看不到(?:图|任何)",
    "申し訳": "申し訳(?:ありません|ございません|ない)",
    "すみません": "すみません",
    "でき": "(?:答え|回答|特定|判断|識別|確認|説明|手伝い)(?:することは|は|が)?でき(?:ません|かねます|ない)",
    "かりません": "[わ分]かりません",
    "죄송": "죄송",
    "수 없": "(?:알|볼|도와드릴|답변할|확인할|식별할|판단할|대답할) 수 없",
    "أستطيع": "لا أستطيع",
    "يمكنني": "لا يمكنني",
    "عذر": "عذراً|عذرا",
    "آسف": "آسف",
}
_PHRASES: Final = Phrases(_ENGLISH | _OTHERS, by_part=_PARTS)
#: Characters before a refusal that is all there is.
_AT_ONCE = 25


def look(told: Told) -> Finding | None:
    """The first words that refuse; the score says whether something else was said before."""
    start, end = min(_PHRASES.places(told), default=(-1, -1))
    if start < 0:
        return None
    return Finding(Flag.REFUSAL, 1.0 if start <= len(told.tag) + _AT_ONCE else 0.7, *told.place(start, end))
