"""What a column's name hints at: a role, a person, a key, a code."""

from __future__ import annotations

import re

from privsynth.schema.column import Role
from privsynth.schema.pii import words_of

_QUASI = (
    r"_(age|sex|gender|zip|zip_?code|postal|post_?code|plz|birth\w*|dob|yob|race|ethnic\w*|marital"
    r"|civil_status|occupation|job|profession|education\w*|degree|nationality|native|citizen\w*"
    r"|country|county|city|town|state|region|district|municipality|religion|language|household"
    r"|children|dependents|relationship|employer|work_?class|hospital|ward|site|branch|insur\w*"
    r"|payer|admi\w+|discharge\w*|arriv\w*|time_in_hospital|length_of_stay|los|height|weight"
    r"|specialty|veteran)_"
)
_SENSITIVE = (
    r"_(diag\w*|dx|icd\w*|disease|condition|comorbid\w*|hiv|aids|cancer|tumou?r|pregnan\w*|mental"
    r"|psych\w*|drug\w*|alcohol|smok\w*|addict\w*|medicat\w*|treatment|therapy|genetic|disab\w*"
    r"|income|salary|wage\w*|balance|debt|loan|credit\w*|arrears|political|sexual\w*|orientation"
    r"|a1c\w*|glu|result)_"
)
_TARGETS = (
    r"_(target|label|outcome|y)_",
    r"_(readmi\w+|surviv\w*|died|death|deceased|mortality|default\w*|churn\w*|fraud\w*)_",
    r"_(response|approved|income)_|^_class_$",
)
_PERSON = (
    r"_(patient|subject|person|client|customer|member|participant|enrollee|insured|employee|user"
    r"|holder|resident|citizen|beneficiary|donor|student|account)"
)
_COUNT = r"^_(number|num|n|nr|count)_(of_)?[a-z]|_counts?_$"
_KEY = r"_(id|ids|uuid|guid|key|nbr|nr|no|number|index|idx|record|serial|ref|reference|code)_$"
_CODE = (
    r"_(id|code|cd|type|class|category|group|status|grade|stage|flag|zip|zip_?code|post_?code|icd\w*"
    r"|diag\w*|drg|cpt|sex|gender|race)_"
)


def role_by_name(column_name: str) -> Role:
    """Quasi-identifier, sensitive or ordinary, by the words of a name.

    >>> role_by_name("ZIP"), role_by_name("diag_1"), role_by_name("capital_gain")
    ('quasi_identifier', 'sensitive', 'ordinary')
    """
    words = words_of(column_name)
    if re.search(_SENSITIVE, words) and not re.search(_COUNT, words):
        return "sensitive"
    return "quasi_identifier" if re.search(_QUASI, words) else "ordinary"


def target_rank(column_name: str) -> int | None:
    """How strongly a name says that the column is what is to be predicted: 0 is strongest."""
    words = words_of(column_name)
    return next((rank for rank, rule in enumerate(_TARGETS) if re.search(rule, words)), None)


def names_a_person(column_name: str) -> bool:
    """Whether a name says that the column tells persons apart.

    >>> names_a_person("patient_nbr"), names_a_person("patient_age")
    (True, False)
    """
    words = words_of(column_name)
    return re.search(rf"{_PERSON}(_?(id|uuid|key|nbr|nr|no|number|code))?_$", words) is not None


def names_a_key(column_name: str) -> bool:
    """Whether a name says that the column tells records apart."""
    words = words_of(column_name)
    return re.search(_KEY, words) is not None or words in ("_index_", "_row_")


def names_a_code(column_name: str) -> bool:
    """Whether a name says that whole numbers stand for categories."""
    words = words_of(column_name)
    return re.search(_CODE, words) is not None and not re.search(_COUNT, words)
