from privsynth.report.policy import PUBLISHED, Policy


def test_every_threshold_has_a_value_and_a_source():
    assert all(each.value and each.source for each in PUBLISHED)
    values = " ".join(each.value for each in PUBLISHED)
    assert "0.09" in values
    assert "11" in values


def test_the_limit_on_excess_is_named_as_local_policy():
    assert Policy().excess_limit == 0.10
    assert "local policy" in Policy().source


def test_no_threshold_is_claimed_for_epsilon():
    epsilon = next(each for each in PUBLISHED if each.name == "Epsilon")
    assert epsilon.use == "information"
    assert "no legal threshold" in epsilon.value
