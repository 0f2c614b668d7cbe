"""Tells whether an event's name is in the past tense, carefully: it doubts before it accuses."""

from __future__ import annotations

import re
from typing import Final


def words(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


IRREGULAR: Final = {
    "arise": "arisen", "awake": "awoken", "bear": "born", "beat": "beaten", "become": "become",
    "begin": "begun", "bend": "bent", "bet": "bet", "bid": "bid", "bind": "bound",
    "bite": "bitten", "blow": "blown", "break": "broken", "bring": "brought", "build": "built",
    "burn": "burnt", "buy": "bought", "cast": "cast", "catch": "caught", "choose": "chosen",
    "come": "come", "cost": "cost", "cut": "cut", "deal": "dealt", "dig": "dug", "do": "done",
    "draw": "drawn", "drink": "drunk", "drive": "driven", "eat": "eaten", "fall": "fallen",
    "feed": "fed", "fight": "fought", "find": "found", "fly": "flown", "forget": "forgotten",
    "forgive": "forgiven", "freeze": "frozen", "get": "got", "give": "given", "go": "gone",
    "grow": "grown", "hang": "hung", "hear": "heard", "hide": "hidden", "hit": "hit",
    "hold": "held", "hurt": "hurt", "keep": "kept", "know": "known", "lay": "laid",
    "lead": "led", "learn": "learnt", "leave": "left", "lend": "lent", "let": "let",
    "lie": "lain", "light": "lit", "lose": "lost", "make": "made", "mean": "meant",
    "meet": "met", "overcome": "overcome", "overdraw": "overdrawn", "override": "overridden",
    "pay": "paid", "prove": "proven", "put": "put", "quit": "quit", "read": "read",
    "rebuild": "rebuilt", "redo": "redone", "repay": "repaid", "reset": "reset", "ride": "ridden",
    "ring": "rung", "rise": "risen", "run": "run", "say": "said", "see": "seen", "seek": "sought",
    "sell": "sold", "send": "sent", "set": "set", "shake": "shaken", "shine": "shone",
    "shoot": "shot", "show": "shown", "shrink": "shrunk", "shut": "shut", "sing": "sung",
    "sink": "sunk", "sit": "sat", "sleep": "slept", "speak": "spoken", "spend": "spent",
    "split": "split", "spread": "spread", "stand": "stood", "steal": "stolen", "stick": "stuck",
    "strike": "struck", "swear": "sworn", "sweep": "swept", "swim": "swum", "take": "taken",
    "teach": "taught", "tear": "torn", "tell": "told", "think": "thought", "throw": "thrown",
    "undergo": "undergone", "understand": "understood", "undo": "undone", "upset": "upset",
    "wake": "woken", "wear": "worn", "win": "won", "wind": "wound", "withdraw": "withdrawn",
    "withhold": "withheld", "write": "written", "rewrite": "rewritten", "oversell": "oversold",
    "resend": "resent", "resell": "resold", "retake": "retaken", "mistake": "mistaken",
    "foresee": "foreseen", "overrun": "overrun", "outbid": "outbid", "input": "input",
}  # fmt: skip
"""Verbs by their infinitive, with the participle that an event's name ends in."""

PAST_TENSE: Final = words(
    "arose became began bit blew broke came chose drank drew drove ate fell flew forgot froze "
    "gave went grew hid knew ran rang rose rode sang saw shook spoke stole struck swam threw "
    "took tore woke wore withdrew wrote was were had did"
)
"""Irregular past tenses that are no participles: ``StockRanLow``, ``GuestCame``."""

NOT_PAST: Final = words(
    "bed bleed breed embed exceed feed greed heed hundred need proceed red reed seed shed sled "
    "speed succeed weed wed zed biped moped"
)
"""Words that end in -ed and are not the past of anything."""

VERBS: Final = words(
    "accept activate add adjust allocate approve archive assign authorize book cancel change "
    "charge check clear close complete confirm connect convert copy create deactivate decline "
    "delete deliver deposit disable discard disconnect dispatch earn enable end enter expire "
    "export fail file finish fulfil import increase insert install invite issue join launch "
    "link lock log mark merge modify move name notify open order pack pass pick place plan "
    "prepare print process publish pull purchase push raise receive record refund register "
    "reject release remove rename renew repair replace request reserve resolve restore return "
    "revoke save schedule scan select ship sign start stop store submit subscribe suspend "
    "terminate transfer trigger unlock unsubscribe update upload use validate verify visit "
    "void"
)
"""Regular verbs that names of commands begin with; only for the suggestion."""

_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]*|[a-z]+")


def is_past(name: str) -> bool:
    """Tell whether some word of a class name is a past form: ``DishPrepared``, ``PaidInFull``."""
    return any(_is_past_word(word.lower()) for word in _WORDS.findall(name))


def suggested(name: str) -> str:
    """Return a name in the past tense where the verb can be told; else an empty string."""
    parts = _WORDS.findall(name)
    if not parts:
        return ""
    for verb, others in ((parts[0], parts[1:]), (parts[-1], parts[:-1])):
        known = verb.lower() in IRREGULAR or verb.lower() in VERBS
        if known:
            return "".join([*others, _past(verb.lower()).capitalize()])
    return ""


def _is_past_word(word: str) -> bool:
    if word in _PARTICIPLES or word in PAST_TENSE:
        return True
    return len(word) > 3 and word.endswith("ed") and word not in NOT_PAST


def _past(verb: str) -> str:
    if verb in IRREGULAR:
        return IRREGULAR[verb]
    if verb.endswith("e"):
        return f"{verb}d"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return f"{verb[:-1]}ied"
    if verb in _DOUBLED:
        return f"{verb}{verb[-1]}ed"
    return f"{verb}ed"


_PARTICIPLES: Final = frozenset(IRREGULAR.values())
_DOUBLED: Final = words("log plan scan ship stop submit transfer")
"""Verbs whose last consonant is doubled."""
