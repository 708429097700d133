import re

import pyarrow as pa
import pytest

from privsynth.schema.pii import (
    IDENTIFIER_PATTERNS,
    find_identifiers,
    iban_valid,
    luhn,
    name_suggests,
)


def found(*values):
    return find_identifiers(pa.chunked_array([list(values)]))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("ann.b-c+d@mail.example.org", "e-mail"),
        ("write to ann@example.org today", "e-mail"),
        ("617-555-0100", "phone"),
        ("(617) 555-0100", "phone"),
        ("+1 617 555 0100", "phone"),
        ("+49 30 901820", "phone"),
        ("020 7946 0958", "phone"),
        ("123-45-6789", "ssn"),
        ("MRN 00123456", "mrn"),
        ("mrn:00123456", "mrn"),
        ("GB82 WEST 1234 5698 7654 32", "iban"),
        ("DE89370400440532013000", "iban"),
        ("NO9386011117947", "iban"),
        ("4111 1111 1111 1111", "card number"),
        ("4111-1111-1111-1111", "card number"),
        ("378282246310005", "card number"),
        ("10.0.0.255", "ip address"),
        ("2001:0db8:0000:0000:0000:ff00:0042:8329", "ip address"),
        ("00:1A:2b:3c:4d:5e", "mac address"),
        ("https://example.org/ann", "url"),
        ("www.example.org", "url"),
        ("12 Elm Tree Road", "street address"),
    ],
)
def test_identifiers_are_found_by_pattern(value, kind):
    assert found(value) == {kind: 1}


@pytest.mark.parametrize(
    "value",
    [
        "none", "250.83", "V45", "E11.9", "[10-20)", "2024-01-31", "2024-01-31T10:00:00", "02139",
        "1,234.50", "12345678", "<=50K", "Self-emp-not-inc", "000-12-3456", "900-12-3456",
        "123-00-6789", "256.0.0.1", "4111 1111 1111 1112", "GB83 WEST 1234 5698 7654 32",
        "AB12 CD34", "a@b", "10:30", "3 mg twice",
    ],
)  # fmt: skip
def test_ordinary_values_are_no_identifiers(value):
    assert found(value) == {}


def test_rows_are_counted_not_distinct_values():
    assert found("a@b.org", "a@b.org", None, "x", "c@d.org 617-555-0100") == {
        "e-mail": 3,
        "phone": 1,
    }


def test_whole_numbers_are_scanned_and_other_types_are_not():
    assert found(4111111111111111, 5) == {"card number": 1}
    assert found(0.5, 4111111111111111.0) == {}
    assert found(True) == {}
    assert find_identifiers(pa.chunked_array([pa.array(["a@b.org"]).dictionary_encode()])) == {
        "e-mail": 1
    }
    assert find_identifiers(pa.chunked_array([], pa.string())) == {}


def test_both_engines_read_the_patterns_alike():
    text = "a@b.org 617-555-0100 123-45-6789 MRN 12345 10.0.0.1 www.x.org 4111 1111 1111 1111"
    for kind, pattern in IDENTIFIER_PATTERNS.items():
        if kind not in ("iban", "card number"):
            assert bool(re.search(pattern, text)) == (kind in found(text))


@pytest.mark.parametrize("number", ["4111111111111111", "378282246310005", "6011111111111117"])
def test_luhn_sees_one_wrong_digit(number):
    assert luhn(number)
    for place in range(len(number)):
        wrong = str((int(number[place]) + 1) % 10)
        assert not luhn(number[:place] + wrong + number[place + 1 :])


@pytest.mark.parametrize("number", ["", "0", "0000000000000000", "411111111111"])
def test_luhn_refuses_what_is_no_card_number(number):
    assert not luhn(number)


def test_iban_sees_one_wrong_digit_and_two_swapped():
    number = "DE89370400440532013000"
    assert iban_valid(number)
    for place in range(2, len(number)):
        wrong = str((int(number[place]) + 1) % 10)
        assert not iban_valid(number[:place] + wrong + number[place + 1 :])
    assert not iban_valid("DE98370400440532013000")
    assert not iban_valid("DE89")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("name", "name"), ("First Name", "name"), ("lastName", "name"), ("PATIENT_NAME", "name"),
        ("surname", "name"), ("email", "e-mail"), ("E-Mail", "e-mail"), ("contactEmail", "e-mail"),
        ("phone_number", "phone"), ("Telephone", "phone"), ("fax", "phone"), ("SSN", "ssn"),
        ("mrn", "mrn"), ("medical_record_number", "mrn"), ("IBAN", "iban"),
        ("account_number", "account number"), ("account_to", "account number"),
        ("from_account", "account number"), ("acct_no", "account number"),
        ("credit_card", "card number"),
        ("ip", "ip address"), ("ip_address", "ip address"), ("address", "street address"),
        ("street", "street address"), ("address_line_1", "street address"),
        ("passport_no", "document number"), ("license_plate", "document number"),
        ("VIN", "vehicle number"), ("device_id", "device number"), ("username", "user name"),
        ("photo", "biometric or photo"), ("website", "url"), ("mac_address", "mac address"),
    ],
)  # fmt: skip
def test_names_of_columns_suggest_identifiers(name, kind):
    assert name_suggests(name) == kind


@pytest.mark.parametrize(
    "name",
    [
        "age", "drug_name", "country_name", "relationship", "native_country", "zip", "hotel",
        "diagnosis", "shipment", "description", "card_type", "device_type", "emailed", "species",
        "race", "income", "medical_specialty", "mobility", "panel",
    ],
)  # fmt: skip
def test_names_of_ordinary_columns_suggest_nothing(name):
    assert name_suggests(name) is None
