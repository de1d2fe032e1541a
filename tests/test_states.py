"""The states and the one table of transitions."""

from __future__ import annotations

from aque import states


def test_each_state_is_in_one_set_only() -> None:
    sets = (
        states.READY_STATES,
        states.UNREADY_STATES,
        states.ACTIVE_STATES,
        states.COMPLETE_STATES,
    )
    assert sorted(state for group in sets for state in group) == sorted(states.STATES)
    assert (
        set(states.STATES)
        - {
            states.RUNNING,
            states.SUCCESS,
            states.ERROR,
            states.CANCELLED,
        }
        == states.WAITING_STATES
    )


def test_transitions_lead_between_states_that_differ() -> None:
    for start, to in states.TRANSITIONS:
        assert start in states.STATES
        assert to in states.STATES
        assert start != to


def test_every_state_is_reached_from_the_initial_ones_and_left_again() -> None:
    reached = set(states.INITIAL_STATES)
    for _ in states.STATES:
        reached |= {to for start, to in states.TRANSITIONS if start in reached}
    assert reached == set(states.STATES)
    assert {start for start, _ in states.TRANSITIONS} == set(states.STATES)


def test_only_a_retry_or_a_run_taken_up_again_leads_out_of_an_end() -> None:
    out = {
        (start, to, act)
        for (start, to), act in states.TRANSITIONS.items()
        if start in states.COMPLETE_STATES
    }
    ends = states.COMPLETE_STATES
    resumed = {(end, states.CREATING, "resume a run") for end in ends}
    assert out == {(end, states.PENDING, "retry") for end in ends} | resumed


def test_only_a_claim_leads_to_running() -> None:
    into = {start for start, to in states.TRANSITIONS if to == states.RUNNING}
    assert into == {states.PENDING}


def test_nothing_but_a_run_taken_up_again_leads_back_to_creating() -> None:
    back = {act for (_, to), act in states.TRANSITIONS.items() if to == states.CREATING}
    assert back == {"resume a run"}
