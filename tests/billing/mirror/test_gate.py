"""The gate: any order of events, answers and writes, and the mirror neither goes back nor stops short. Pure."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from billing.mirror.gate import FAR, Gate, Says, Verdict, Word, judge, may_write


def state(created: int, name: str = "a", **more: Any) -> Word:
    return Word(created, Says.STATE, {"name": name}, **more)


def gone(created: int) -> Word:
    return Word(created, Says.GONE, None)


def thin(created: int) -> Word:
    return Word(created, Says.NOTHING, None)


TOLD = Gate(5, 5, 1)  # by an event of second 5
ASKED = Gate(4, 8, 1)  # by an answer of the API
BURIED = Gate(5, 5, 1, gone=True)
HELD = {"name": "a"}


@pytest.mark.parametrize(
    ("gate", "words", "stored", "verdict"),
    [
        # the mirror knows nothing
        (None, [state(1)], None, Verdict.WRITE),
        (None, [gone(1)], None, Verdict.WRITE),
        (None, [thin(1)], None, Verdict.ASK),
        # it has a row of unknown age
        (None, [state(1)], HELD, Verdict.ASK),
        # newer, older, the same second
        (TOLD, [state(6, "b")], HELD, Verdict.WRITE),
        (TOLD, [state(4, "b")], HELD, Verdict.COVERED),
        (TOLD, [state(5, "b")], HELD, Verdict.ASK),
        (TOLD, [state(5, "a")], HELD, Verdict.COVERED),  # says what is held: paid and payment_succeeded
        (TOLD, [thin(6)], HELD, Verdict.ASK),
        (TOLD, [thin(4)], HELD, Verdict.COVERED),
        # several at once: the newest counts, if it is undisputed
        (TOLD, [state(4, "b"), state(6, "c")], HELD, Verdict.WRITE),
        (TOLD, [state(6, "b"), state(6, "c")], HELD, Verdict.ASK),
        (TOLD, [state(6, "b"), state(6, "b")], HELD, Verdict.WRITE),
        (TOLD, [state(6, "b"), gone(6)], HELD, Verdict.ASK),
        # against an answer: older than the question, while it was asked, newer
        (ASKED, [state(3, "b")], HELD, Verdict.COVERED),
        (ASKED, [state(4, "b")], HELD, Verdict.ASK),
        (ASKED, [state(8, "b")], HELD, Verdict.ASK),
        (ASKED, [state(9, "b")], HELD, Verdict.WRITE),
        (ASKED, [state(3, "b", timely=False)], HELD, Verdict.ASK),  # a test clock's time says nothing here
        (Gate(0, FAR, 1), [state(10**10, "b")], HELD, Verdict.ASK),
        # deletions stay, unless Stripe says otherwise
        (BURIED, [state(4)], HELD, Verdict.COVERED),
        (BURIED, [state(9)], HELD, Verdict.ASK),
        (BURIED, [gone(5)], HELD, Verdict.COVERED),
        (TOLD, [gone(6)], HELD, Verdict.WRITE),
        (TOLD, [gone(4)], HELD, Verdict.COVERED),
    ],
)
def test_it_judges(gate, words, stored, verdict):
    assert judge(gate, words, stored=stored)[0] is verdict


@pytest.mark.parametrize(
    ("gate", "low", "expected_version", "writable"),
    [
        (TOLD, 6, None, True),  # surely newer
        (TOLD, 5, None, False),
        (TOLD, 1, 1, True),  # nothing was written since Stripe was asked
        (TOLD, 1, 0, False),
        (TOLD, 6, 0, True),
    ],
)
def test_it_lets_through_only_what_is_newer(gate, low, expected_version, writable):
    assert may_write(gate, low=low, expected_version=expected_version) is writable


@dataclass
class Question:
    """Stripe is being asked: `answer` is the state's number that it read, once it has."""

    version: int
    since: int
    pks: list[int]
    answer: int | None = None
    high: int = 0


@dataclass
class Mirror:
    gate: Gate | None = None
    number: int = -1  # which state of the object's history it holds
    questions: list[Question] = field(default_factory=list)


class AnyInterleaving(RuleBasedStateMachine):
    """One object, its history at Stripe, and workers that do each step at any time.

    `history[n]` is the second in which state n came about; `arrived` are events that wait in the inbox.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 100
        self.history: list[int] = [100]
        self.undelivered: set[int] = {0}
        self.arrived: set[int] = set()
        self.mirror = Mirror()

    @rule(seconds=st.integers(0, 2))
    def something_happens(self, seconds):
        self.now += seconds
        self.history.append(self.now)
        self.undelivered.add(len(self.history) - 1)

    @rule(seconds=st.integers(1, 3))
    def time_passes(self, seconds):
        self.now += seconds

    @precondition(lambda self: self.undelivered)
    @rule(data=st.data())
    def an_event_arrives(self, data):
        number = data.draw(st.sampled_from(sorted(self.undelivered)))
        self.undelivered.discard(number)
        self.arrived.add(number)

    @rule(number=st.integers(0, 50))
    def an_event_is_replayed(self, number):
        if number < len(self.history) and number not in self.undelivered:
            self.arrived.add(number)

    @precondition(lambda self: self.arrived)
    @rule(data=st.data())
    def a_worker_looks(self, data):
        taken = data.draw(st.sets(st.sampled_from(sorted(self.arrived)), min_size=1))
        self.look(taken)

    def look(self, taken: set[int]) -> None:
        gate, words = self.mirror.gate, [Word(self.history[n], Says.STATE, {"n": n}) for n in sorted(taken)]
        stored = None if self.mirror.number < 0 else {"n": self.mirror.number}
        verdict, word = judge(gate, words, stored=stored)
        self.arrived -= taken
        if verdict is Verdict.WRITE:
            assert word and word.data
            self.write(word.data["n"], word.created, word.created)
        elif verdict is Verdict.ASK:
            self.mirror.questions.append(Question(gate.version if gate else 0, self.now, sorted(taken)))

    @precondition(lambda self: any(question.answer is None for question in self.mirror.questions))
    @rule(data=st.data(), seconds=st.integers(0, 3))
    def stripe_reads_and_answers_later(self, data, seconds):
        question = data.draw(st.sampled_from([q for q in self.mirror.questions if q.answer is None]))
        question.answer = len(self.history) - 1
        self.now += seconds
        question.high = self.now

    @precondition(lambda self: any(question.answer is not None for question in self.mirror.questions))
    @rule(data=st.data())
    def an_answer_is_written(self, data):
        question = data.draw(st.sampled_from([q for q in self.mirror.questions if q.answer is not None]))
        self.finish(question)

    def finish(self, question: Question) -> None:
        self.mirror.questions.remove(question)
        assert question.answer is not None
        gate = self.mirror.gate or Gate(-1, -1, 0)
        if may_write(gate, low=question.since - 1, expected_version=question.version):
            self.write(question.answer, question.since - 1, question.high)
        else:
            self.arrived |= set(question.pks)  # its events wait on: Stripe is asked again

    def write(self, number: int, low: int, high: int) -> None:
        assert number >= self.mirror.number, "the mirror went back in time"
        version = self.mirror.gate.version if self.mirror.gate else 0
        self.mirror.gate = Gate(low, high, version + 1)
        self.mirror.number = number

    @invariant()
    def it_holds_something_that_was(self):
        assert self.mirror.number < len(self.history)

    def teardown(self) -> None:
        """Everything arrives and is looked at: the mirror ends at the last state."""
        self.arrived |= self.undelivered
        for _ in range(1000):
            if not (self.arrived or self.mirror.questions):
                break
            if self.arrived:
                self.look(set(self.arrived))
            for question in list(self.mirror.questions):
                if question.answer is None:
                    question.answer, question.high = len(self.history) - 1, self.now
                self.finish(question)
        assert self.mirror.number == len(self.history) - 1


TestAnyInterleaving = AnyInterleaving.TestCase
TestAnyInterleaving.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
