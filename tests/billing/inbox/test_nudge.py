from billing.inbox.nudge import message_taken, mirror_soon


def test_many_events_are_one_message_until_a_worker_takes_it(sent):
    assert [mirror_soon() for _ in range(5)] == [True, False, False, False, False]
    message_taken()
    assert mirror_soon()
    assert sent == ["billing.tasks.mirror_due"] * 2
