"""The checks by their ids: what each one asks, what it must reach, and which tests ask it.

A check without tests is one that is still to be written; the table says so.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    id: str
    asks: str
    reach: str
    tests: tuple[str, ...]


def _check(name: str, asks: str, reach: str, *tests: str) -> Check:
    return Check(name, asks, reach, tuple(f"tests/{test}" for test in tests))


CHECKS = (
    _check(
        "R1",
        "kill -9 during sends, SQLite and PostgreSQL",
        "lost 0; duplicates <= concurrency x kills; Message-IDs identical",
        "flows/test_kill.py::test_no_death_loses_a_message_or_sends_more_than_it_must",
    ),
    _check(
        "R2",
        "kill -9 during API and SMTP inbound",
        "acknowledged and missing 0; duplicates per idempotency key 0",
        "flows/test_kill.py::test_no_death_loses_a_report_or_records_one_twice",
    ),
    _check(
        "R3",
        "power cut between the calls of the SQLite store to its disk",
        "acknowledged and missing 0; integrity ok at each",
        "faults/test_power_cut.py",
    ),
    _check(
        "R4",
        "every Nth database call fails, before or after it is done",
        "false acknowledgements 0; only 451 and 503",
        "faults/test_database_calls.py",
    ),
    _check(
        "R5",
        "disk full on a 16 MB store",
        "acknowledged and missing 0; 452 and 503; recovers <= 10 s",
        "faults/test_disk_full.py",
    ),
    _check(
        "R6",
        "PostgreSQL restarted at once during sends",
        "lost 0; recovers <= 5 s",
        "faults/test_restarts.py",
        "flows/test_database_gone.py",
    ),
    _check(
        "R7",
        "11 SMTP stages x 7 misbehaviours",
        "77/77 right; descriptors +0",
        "sender/test_stages.py",
    ),
    _check(
        "R8",
        "drop after the dot",
        "filed as failed 0; at most one extra copy each",
        "faults/test_unsure_answers.py::test_silence_after_the_dot_is_doubt_and_costs_one_more_copy",
    ),
    _check(
        "R9",
        "cancelled sends, late and extra replies",
        "replies tied to the wrong message 0",
        "faults/test_unsure_answers.py::test_no_answer_is_tied_to_another_message",
    ),
    _check(
        "R10",
        "SIGSTOP past the lease, two nodes; the same in one process, by their clocks",
        "stale writes 0; no dot after the lease",
        "faults/test_nodes.py::test_nodes_that_slept_past_their_lease_send_and_write_nothing",
        "faults/test_paused.py",
    ),
    _check(
        "R11",
        "the clock jumps by an hour, a day, ten years",
        "wrong expiries 0; broken leases 0",
        "faults/test_clock.py",
    ),
    _check(
        "R12",
        "421, greylisting, SERVFAIL for everybody",
        "suppressed 0; delivered 100 % after recovery",
        "faults/test_receivers_in_trouble.py",
    ),
    _check(
        "R13",
        "1 million queued, SQLite and PostgreSQL",
        "RSS <= 250 MB; start <= 10 s",
        "faults/test_queue_full.py",
    ),
    _check(
        "R14",
        "soak with 1 % faults",
        "RSS <= 1 MB/10 min; descriptors 0; accounts balance",
        "faults/test_soak.py",
    ),
    _check(
        "R15",
        "seeded simulation with clock, network and crashes; three processes statement by statement",
        "broken invariants 0",
        "faults/test_simulated_life.py",
        "faults/test_interleavings.py",
    ),
    _check(
        "R16",
        "kill -9 of one of two nodes with mail under way, PostgreSQL",
        "its work is taken over within the lease + 5 s",
        "faults/test_nodes.py::test_the_work_of_a_killed_node_is_taken_over",
    ),
    _check(
        "R17",
        "4 nodes, one PostgreSQL, a provider's rate of 50/s",
        "kept and used within 5 %",
        "faults/test_nodes.py::test_four_nodes_keep_to_a_provider_s_rate_together",
        "sender/test_shared_pacing.py",
    ),
    _check(
        "S1",
        "SMTP smuggling: 9 end-of-data forms x all splits, in and out",
        "extra messages 0",
        "faults/test_smuggling.py",
    ),
    _check(
        "S2",
        "forged DSNs, complaints, unsubscribes; replays; another's token",
        "accepted 0; genuine all",
        "faults/test_forged.py::test_no_forged_report_comes_in_and_every_genuine_one_does",
    ),
    _check(
        "S3",
        "inbound mail of every kind, relay probes",
        "mail caused 0; relayed 0",
        "faults/test_forged.py::test_nothing_is_relayed_and_no_mail_causes_mail",
    ),
    _check("S4", "mutated messages", "uncaught 0; p99 < 20 ms", "fuzz/test_fuzz.py"),
    _check(
        "S5",
        "MIME, zip, XML and regex bombs",
        "contained: <= 1 s CPU, <= 100 MB",
        "ingest/test_bombs.py",
        "ingest/test_reading_room.py",
    ),
    _check(
        "S6",
        "hostile SMTP and slow HTTP connections",
        "RSS +<= 150 MB; genuine p99 < 2 s; slots come back",
        "faults/test_hostile_connections.py",
    ),
    _check(
        "S7",
        "header, SQL, CSV, HTML and log injection through every field",
        "0",
        "flows/test_injection.py",
        "carom/console/test_hostile.py",
    ),
    _check(
        "S8",
        "hostile URLs and zones",
        "forbidden connections 0",
        "sender/test_webhook_http.py",
        "sender/test_doctor_hostile.py",
    ),
    _check(
        "S9",
        "MTA-STS and DANE downgrade",
        "plaintext 0",
        "sender/test_downgrade.py",
        "flows/test_dane.py",
    ),
    _check(
        "S10",
        "tampered tokens; keys in dumps and logs",
        "accepted 0; found 0",
        "faults/test_secrets.py",
    ),
    _check(
        "S11",
        "sends to very many domains",
        "series <= 2,000; '@' in metrics 0",
        "faults/test_series.py",
    ),
    _check(
        "S12",
        "spellings of a suppressed address, made by rule, 4 entrances",
        "RCPT on the wire 0",
        "flows/test_spellings.py",
    ),
)
