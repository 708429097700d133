"""The words that a report never uses, and a linter that finds them."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

_RULES: tuple[tuple[str, str], ...] = (
    (r"anonym(?:ous(?:ly)?|ity|i[sz]\w+)", "say 'synthetic'; the rest is a legal conclusion"),
    (
        r"(?:GDPR|HIPAA|CCPA|PIPEDA|LGPD)[-\s]complian\w+",
        "name the clause that a figure helps show",
    ),
    (
        r"compl(?:y|ies|iant|iance) with (?:the )?(?:GDPR|HIPAA|CCPA)",
        "name the clause that a figure helps show",
    ),
    (r"(?:CNIL|FDA|EMA|ICO|EDPB)[-\s]approved", "no authority has approved a table"),
    (r"(?:zero|no)[-\s]risk|risk[-\s]free|without (?:any )?risk", "give the upper limit"),
    (r"safe (?:to|for) (?:shar|releas|publi|us)\w+", "name the recipient and the conditions"),
    (r"(?:fully|completely|100 ?%|totally) (?:safe|secure|private|protected)", "give the limit"),
    (r"(?:cannot|can not|can never|impossible to) be re-?identif\w+", "give the upper limit"),
    (r"impossible to re-?identify|no one can re-?identify", "give the upper limit"),
    (
        r"(?:ε|epsilon) is (?:low|small)[^.]{0,20}(?:so|therefore|hence)[^.]{0,30}risk",
        "epsilon is a ceiling, not a measurement of risk",
    ),
    (
        r"(?:low|small|minimal) risk (?:because|since|as)[^.]{0,20}(?:ε|epsilon)",
        "epsilon is a ceiling, not a measurement of risk",
    ),
    (r"\d(?:\.\d)?(?:/10| out of (?:10|ten))(?![.,]?\d)", "no single score"),
    (r"proves? (?:the )?absence of leakage|no leakage", "absence of detected leakage is not proof"),
)
_PATTERNS = tuple((re.compile(rf"\b{rule}\b", re.IGNORECASE), hint) for rule, hint in _RULES)


@dataclass(frozen=True)
class Forbidden:
    """A phrase that a report must not use, and what to do instead."""

    phrase: str
    hint: str


def forbidden_words(text: str) -> tuple[Forbidden, ...]:
    """Every forbidden phrase in a text or page; markup between words does not hide one.

    >>> forbidden_words("The table is fully <b>anonymised</b>.")[0].phrase
    'anonymised'
    >>> forbidden_words("Under the stated attacker no evidence was found.")
    ()
    """
    plain = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", "", text)))
    return tuple(
        Forbidden(match.group(0), hint)
        for pattern, hint in _PATTERNS
        for match in pattern.finditer(plain)
    )
