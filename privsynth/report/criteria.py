"""The criteria of adversarial testing: the question, the words of the claim, what refutes it."""

from __future__ import annotations

from dataclasses import dataclass

from privsynth.report.facts import CRITERION, Fact
from privsynth.report.format import number
from privsynth.risk.base import NOTHING_TOLERATED


@dataclass(frozen=True)
class Criterion:
    """One question that attackers are set, with its source and the limits of the answer.

    `claim_of_table` is what is claimed where nobody attacked the model: the table alone.
    """

    id: str
    title: str
    question: str
    claim: str
    falsifier: str
    limits: str
    source: str = ""
    claim_of_table: str = ""

    @property
    def is_strict(self) -> bool:
        """Whether no excess is tolerated that an attack has shown, whatever the limit."""
        return self.id in NOTHING_TOLERATED

    def statement(self, model_attacked: bool) -> str:
        """What is claimed, of the model only where it was attacked."""
        return self.claim if model_attacked else self.claim_of_table or self.claim


_WP29 = "Article 29 Working Party, Opinion 05/2014 (WP216)"

CRITERIA: tuple[Criterion, ...] = (
    Criterion(
        "copies",
        "Copies of records",
        "Does the synthetic table repeat records that the generator was trained on more often than "
        "comparable records that it never saw?",
        "Training records do not come back in the synthetic table more often than records that "
        "the generator never saw.",
        "An excess of copies of training records over copies of control records.",
        "A copy may be chance where few combinations of values exist, so only the excess over the "
        "control records counts: where one person in ten is kept as control, about twenty copied "
        "records cannot be told from chance. Near copies that differ in several values are not "
        "found, nor copies of a record that several real persons have in common: repeat no record "
        "in the train table.",
    ),
    Criterion(
        "membership",
        "Membership",
        "Can an attacker tell which of two persons was in the training data, by how close the "
        "synthetic table comes to each, or, where the model was attacked, by how well it fits "
        "each?",
        "Neither the synthetic table nor the model fits training persons better than comparable "
        "persons that the generator never saw.",
        "Pairs of a training and a control person in which the training person is named more "
        "often than a coin's toss would name it.",
        "Each pair is one training and one control person, and holds where the two tables were "
        "split by lot: a control of another year or place differs for that reason alone. Who holds "
        "the table judges by the distance over all columns; a copied record among a thousand "
        "persons escapes that, which is why copies are tested apart. Who holds the model, where it "
        "was attacked, judges by one loss; the model stays with the controller.",
        "European Data Protection Board, Opinion 28/2024",
        "The synthetic table does not come closer to training persons than to comparable persons "
        "that the generator never saw.",
    ),
    Criterion(
        "vulnerable",
        "Vulnerable persons",
        "Do copies, or the naming of members, succeed for the persons whom a leak would hit first: "
        "those far from all others, with a rare label, or of a small group?",
        "Vulnerable training persons fare no worse than vulnerable persons that the generator "
        "never saw.",
        "An excess of copies, or of members named, among the persons of one of these groups.",
        "Few persons belong to such a group, so a small excess cannot be told from chance, and "
        "the finding is inconclusive where they are fewer than the limit needs.",
    ),
    Criterion(
        "singling out",
        "Singling out",
        "Can an attacker state a condition, learned from the synthetic table, that exactly one "
        "person in the training data meets?",
        "Conditions learned from the synthetic table do not isolate training persons more often "
        "than control persons.",
        "A set of conditions that isolates training persons more often than control persons, "
        "beyond the limit.",
        "The attack tries a sample of the possible conditions. Its power is low: a few copied "
        "records may escape it, which is why copies are tested apart.",
        _WP29,
    ),
    Criterion(
        "linkability",
        "Linkability",
        "Can an attacker who holds two separate sets of attributes of a person join them by means "
        "of the synthetic table?",
        "The synthetic table does not help to join two sets of attributes of a training person "
        "more than it does for a control person.",
        "A split of the columns for which training persons are joined more often than control "
        "persons, beyond the limit.",
        "Only the splits of columns that are stated were tried.",
        _WP29,
    ),
    Criterion(
        "inference",
        "Inference of a sensitive value",
        "Can an attacker who knows the other attributes of a person guess a sensitive value better "
        "for training persons than for persons outside the training data?",
        "Sensitive values of training persons are not guessed better than those of control "
        "persons.",
        "A guessing rule that does better on training persons than on control persons, beyond the "
        "limit.",
        "What holds for the population can be inferred for everybody, in the data or not: that is "
        "the use of the table, and stays possible by design.",
        _WP29,
    ),
    Criterion(
        "identifiers",
        "Direct identifiers",
        "Does the synthetic table hold names, contact details, numbers or free text that point to "
        "a person directly?",
        "No direct identifier of a real person is found in the synthetic table.",
        "A direct identifier, or a piece of free text, in the synthetic table that occurs in the "
        "real records.",
        "The scan knows the patterns and checksums that are listed; an identifier of another form "
        "is not found.",
    ),
)


def limit_words(title: str, limit: float | None) -> str:
    """The limit on the excess under a criterion, as a table prints it.

    >>> limit_words("Linkability", 0.1), limit_words("Membership", 0.1)
    ('0.1', '0.1, and none shown')
    """
    strict = any(each.is_strict for each in CRITERIA if each.title == title)
    return f"{number(limit)}, and none shown" if strict else number(limit)


def is_on_model(fact: Fact) -> bool:
    """Whether a fact is of an attack on the model itself, carried out or failed.

    >>> is_on_model(Fact("testing.white_box_tail", "testing", "Membership by the model"))
    True
    """
    return fact.id.startswith("testing.white_box")


def criterion_of(fact: Fact) -> Criterion | None:
    """The criterion that an attack's fact speaks to; a failed attack says it in its details.

    >>> failed = {"criterion": "singling out"}
    >>> criterion_of(Fact("testing.predicates", "testing", "Predicates", details=failed)).title
    'Singling out'
    """
    name = fact.id.removeprefix("testing.").replace("_", " ")  # reports of earlier versions
    said = fact.trial.criterion if fact.trial else str(fact.details.get(CRITERION, name))
    return next((criterion for criterion in CRITERIA if said.startswith(criterion.id)), None)
