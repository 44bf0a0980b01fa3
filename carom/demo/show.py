"""What the demo shows: a progress bar while it runs, then the books, for people."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from carom.demo.verdicts import Books

_ORDER = ("delivered", "complained", "bounced", "expired", "suppressed", "cancelled")


def report(
    console: Console, books: Books, *, seconds: float, copies: int, places: dict[str, str]
) -> None:
    """Print the books of a finished demo."""
    console.print()
    console.print(_cast(books))
    console.print(_sums(books, seconds, copies))
    if books.fine:
        console.print("[green]Every message is accounted for, and each ended as it should.[/green]")
    else:
        _complain(console, books)
    for what, where in places.items():
        console.print(f"  {what:<10} {where}", soft_wrap=True)


def _cast(books: Books) -> Table:
    table = Table(title="What the mailboxes did, and what Carom made of it", title_justify="left")
    table.add_column("mailbox")
    table.add_column("sent", justify="right")
    table.add_column("ended as")
    table.add_column("suppressed", justify="right")
    table.add_column("right", justify="right")
    for line in books.lines:
        ended = ", ".join(f"{count} {state}" for state, count in sorted(line.states.items()))
        colour = "green" if line.right == line.sent else "red"
        suppressed = str(line.suppressed) if line.suppressed else ""
        table.add_row(
            line.role.about, str(line.sent), ended, suppressed, f"[{colour}]{line.right}[/{colour}]"
        )
    return table


def _sums(books: Books, seconds: float, copies: int) -> str:
    parts = [f"{books.states.get(state, 0)} {state}" for state in _ORDER if state in books.states]
    waiting = books.accepted - books.settled
    if waiting:
        parts.append(f"{waiting} waiting")
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(books.reasons.items()))
    p50, p95, p99 = (books.wait(share) for share in (0.50, 0.95, 0.99))
    return (
        f"\n  {books.accepted} accepted = {' + '.join(parts)}\n"
        f"  suppressed: {reasons or 'nobody'}; for our own fault: {books.wrongly_suppressed}\n"
        f"  time to accept: p50 {p50:.2f} s, p95 {p95:.2f} s, p99 {p99:.2f} s\n"
        f"  {seconds:.1f} s in all, {copies} copies of messages taken by the providers\n"
    )


def _complain(console: Console, books: Books) -> None:
    console.print("[red]The books do not add up:[/red]")
    if not books.balanced:
        console.print(f"  {books.accepted} accepted, {books.settled} settled")
    for recipient in books.wrong[:10]:
        console.print(f"  {recipient} did not end as it should")
