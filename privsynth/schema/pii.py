"""Direct identifiers by name, by pattern and by checksum: one list for drafts and for scans."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

import pyarrow as pa
import pyarrow.compute as pc

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_SSN_AREA = r"(?:00[1-9]|0[1-9][0-9]|[1-57-8][0-9][0-9]|6[0-57-9][0-9]|66[0-57-9])"
_STREET = (
    r"(?:[Ss]treet|St|[Aa]venue|Ave|[Rr]oad|Rd|[Bb]oulevard|Blvd"
    r"|[Ll]ane|[Dd]rive|[Cc]ourt|[Ss]quare)"
)

IDENTIFIER_PATTERNS: Mapping[str, str] = MappingProxyType(
    {
        "e-mail": r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}",
        "phone": (
            r"\+[0-9]{1,3}(?:[ ./-]?\(?[0-9]{1,4}\)?){2,5}\b"
            r"|(?:\([0-9]{3}\) ?|\b[0-9]{3}[-. ])[0-9]{3}[-. ][0-9]{4}\b"
            r"|(?:^|[^0-9 ] ?)\b0[0-9]{2,4}[ /-][0-9]{3,4}[ -][0-9]{3,4}\b"
        ),
        "ssn": rf"\b{_SSN_AREA}-(?:0[1-9]|[1-9][0-9])-[0-9]{{4}}\b",
        "mrn": r"(?i)\bMRN[-_:# ]{0,2}[0-9]{4,12}\b",
        "iban": r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
        "card number": r"\b(?:4|5[1-5]|2[2-7]|3[47]|6[0245])[0-9]{0,3}(?:[ -]?[0-9]{2,6}){2,4}\b",
        "ip address": (
            rf"\b(?:{_OCTET}\.){{3}}{_OCTET}\b"
            r"|\b(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}\b"
        ),
        "mac address": r"\b(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}\b",
        "url": r"(?i)\bhttps?://[^\s]+|\bwww\.[a-z0-9-]+\.[a-z]{2,}",
        "street address": rf"\b[0-9]{{1,5}} (?:[A-Z][A-Za-z.'-]* ){{1,4}}{_STREET}\b",
    }
)
"""Kind of identifier to a regular expression that both RE2 (Arrow) and Python read alike."""

_PERSON = (
    "first|last|full|middle|maiden|given|family|patient|customer|client|person|holder|doctor"
    "|physician|nurse|employee|member|mother|father|spouse|contact|card_?holder|next_of_kin"
)
_NAMES: Mapping[str, str] = {
    "name": (
        rf"_(?:{_PERSON})_?name_|^_names?_$"
        r"|_(?:surname|forename|nachname|vorname|prenom|apellidos?)_"
    ),
    "e-mail": r"_e_?mails?_|_mail_address_",
    "phone": r"_(?:tele)?phone_|_telefon|_mobile_|_cell_?(?:phone|number)_|_tel_|_fax_",
    "ssn": (
        r"_ssn_|_social_security_|_national_(?:id|insurance)_|_nhs_(?:number|no|id)_"
        r"|_tax_id_|_tin_"
    ),
    "mrn": r"_mrn_|_medical_record_",
    "iban": r"_iban_",
    "account number": (
        r"_(?:bank_)?(?:account|acct)_?(?:number|no|nbr|to|from)_|_(?:to|from)_(?:account|acct)_"
        r"|_policy_(?:number|no)_"
    ),
    "card number": r"_card_?(?:number|no|nbr)_|_(?:credit|debit)_card_|_pan_",
    "ip address": r"_ip_(?:addr|address)_|_ipv?[46]?_$",
    "mac address": r"_mac_address_",
    "url": r"_urls?_|_website_|_homepage_",
    "street address": r"_street_|_addr(?:ess)?_?(?:line)?_?[12]?_$",
    "document number": (
        r"_passport_|_(?:driver|driving)s?_?licen[cs]e_|_licen[cs]e_(?:number|no|plate)_"
    ),
    "vehicle number": r"_vin_|_number_plate_|_registration_plate_",
    "device number": r"_(?:device|serial|implant)_(?:id|number|no)_|_imei_",
    "user name": r"_user_?name_|_login_",
    "biometric or photo": r"_fingerprint_|_biometric_|_photo(?:graph)?_|_face_image_",
}


def find_identifiers(values: pa.ChunkedArray) -> dict[str, int]:
    """The number of values that hold each kind of identifier; kinds without a hit are left out.

    Text and whole numbers are scanned; other types hold no identifier of these kinds. IBANs and
    card numbers count only where their checksum is right.

    >>> find_identifiers(pa.chunked_array([["ann@example.org", "none", None]]))
    {'e-mail': 1}
    """
    if pa.types.is_dictionary(values.type):
        return find_identifiers(values.cast(values.type.value_type))
    if pa.types.is_integer(values.type):  # digits alone can be a card number and nothing else
        kinds = ["card number"]
        values = values.filter(pc.greater_equal(values, _SHORTEST_CARD))
    elif pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        kinds = list(IDENTIFIER_PATTERNS)
    else:
        return {}
    counted = pc.value_counts(values.drop_null())
    texts, counts = counted.field("values").cast(pa.string()), counted.field("counts")
    found = {kind: _n_matching(kind, texts, counts) for kind in kinds}
    return {kind: n for kind, n in found.items() if n}


def name_suggests(column_name: str) -> str | None:
    """The kind of direct identifier that a column's name promises, if any.

    >>> name_suggests("PatientEmail"), name_suggests("drug_name")
    ('e-mail', None)
    """
    words = words_of(column_name)
    return next((kind for kind, pattern in _NAMES.items() if re.search(pattern, words)), None)


def words_of(column_name: str) -> str:
    """A column's name in lower case with its words between underscores, for matching.

    >>> words_of("PatientID")
    '_patient_id_'
    """
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", column_name)
    return "_" + re.sub(r"[^a-z0-9]+", "_", split.lower()).strip("_") + "_"


def luhn(number: str) -> bool:
    """Whether the digits of a card number end in the right check digit (Luhn 1960).

    >>> luhn("4111 1111 1111 1111"), luhn("4111 1111 1111 1112")
    (True, False)
    """
    digits = [int(character) for character in number if character.isdigit()]
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def iban_valid(number: str) -> bool:
    """Whether an IBAN's check digits are right (ISO 13616: the number is 1 modulo 97).

    >>> iban_valid("GB82 WEST 1234 5698 7654 32"), iban_valid("GB83 WEST 1234 5698 7654 32")
    (True, False)
    """
    compact = number.replace(" ", "").upper()
    if not re.fullmatch(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", compact):
        return False
    return int("".join(str(int(letter, 36)) for letter in compact[4:] + compact[:4])) % 97 == 1


_SHORTEST_CARD = 10**12
_CHECKSUMS: Mapping[str, Callable[[str], bool]] = {"iban": iban_valid, "card number": luhn}


def _n_matching(kind: str, texts: pa.Array, counts: pa.Array) -> int:
    pattern = IDENTIFIER_PATTERNS[kind]
    hits = pc.match_substring_regex(texts, pattern)
    texts, counts = texts.filter(hits), counts.filter(hits)
    if valid := _CHECKSUMS.get(kind):
        right = pa.array(
            [_any_valid(text, pattern, valid) for text in texts.to_pylist()], pa.bool_()
        )
        counts = counts.filter(right)
    return int(pc.sum(counts).as_py() or 0)


def _any_valid(text: str, pattern: str, valid: Callable[[str], bool]) -> bool:
    return any(valid(match.group()) for match in re.finditer(pattern, text))
