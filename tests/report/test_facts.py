import pytest

from privsynth.report.facts import Claim, Fact, Figure, Interval, Proportion, Series, Trial

TRIAL = Trial(
    criterion="copies",
    attacker="a recipient",
    knowledge="the table",
    goal="a copy",
    n_planned=100,
    n_done=90,
    member=Proportion(0.1, 9, 90),
    control=None,
    prior=Proportion(0.05),
    persons=9,
    guards=("1: something",),
)


def test_a_fact_survives_json():
    fact = Fact(
        "testing.copies",
        "testing",
        "Copies",
        value=0.1,
        interval=Interval(0.0, 0.2),
        details={"rows": 3},
        trial=TRIAL,
    )
    assert Fact.from_dict(fact.to_dict()) == fact


def test_a_figure_survives_json():
    matrix = ((1.0, None), (None, 1.0))
    figure = Figure("m", "fidelity", "matrix", "M", ("a", "b"), (Series("real", matrix),))
    document = figure.to_dict()
    document["series"] = [{"name": "real", "values": [list(row) for row in matrix]}]
    assert Figure.from_dict(document) == figure


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_fact_is_never_a_nan_nor_infinite(value):
    with pytest.raises(ValueError, match="finite"):
        Fact("x", "data", "X", value=value)


def test_what_is_not_said_to_be_public_is_the_controllers():
    assert Fact("x", "data", "X", value=1).sensitivity == "controller"
    assert Figure("m", "f", "curve", "M", (), ()).sensitivity == "controller"


def test_inconclusive_is_a_reason_or_a_verdict():
    assert Fact("x", "data", "X", reason="too few").is_inconclusive
    assert Fact("x", "data", "X", value=1.0, verdict="inconclusive").is_inconclusive
    assert not Fact("x", "data", "X", value=1.0, verdict="not supported").is_inconclusive


def test_the_public_form_of_a_tested_claim_says_nothing_of_the_test():
    claim = Claim(
        "C2",
        "Copies",
        "No copies.",
        "all",
        "tested",
        "not supported",
        "a copy",
        finding="upper limit 0.3",
        evidence=("testing.copies",),
        limit=0.1,
        upper=0.3,
    )
    public = claim.public()
    assert (public.status, public.finding, public.evidence) == ("held by the controller", "", ())
    assert public.upper is None
    assert public.limit == 0.1
    assert Claim.from_dict(claim.to_dict()) == claim
