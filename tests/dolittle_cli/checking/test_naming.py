from __future__ import annotations

import pytest

from dolittle_cli.checking.naming import is_past, suggested

PAST = """
DishPrepared OrderPlaced InvoicePaid GuestLeft StockRanLow OrderPlacedByGuest PaidInFull
HTTPRequestReceived TableSet PriceCut KeyLost MessageSent PasswordReset LightShone DishCooked
ItemShipped2 MeetingHeld ThingsGotWorse BookWritten AccountOverdrawn WentHome UserSignedUp
""".split()  # noqa: SIM905 - a list of words is read more easily

NOT_PAST = """
PrepareDish DishPrepare Order OrderEvent Feed Speed NeedHelp HundredDishes RedCarpet OrderCreation
DishPreparing ReceiptSeed Embed
""".split()  # noqa: SIM905


@pytest.mark.parametrize("name", PAST)
def test_names_in_the_past_tense_are_left_alone(name: str) -> None:
    assert is_past(name)


@pytest.mark.parametrize("name", NOT_PAST)
def test_names_that_are_no_past_tense_are_found(name: str) -> None:
    assert not is_past(name)


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("PrepareDish", "DishPrepared"),
        ("PayInvoice", "InvoicePaid"),
        ("DishPrepare", "DishPrepared"),
        ("NotifyGuest", "GuestNotified"),
        ("ShipItem", "ItemShipped"),
        ("WithdrawMoney", "MoneyWithdrawn"),
        ("Close", "Closed"),
        ("OrderCreation", "CreationOrdered"),
        ("Thing", ""),
        ("Hundred", ""),
    ],
)
def test_a_better_name_is_suggested_where_the_verb_is_known(name: str, better: str) -> None:
    assert suggested(name) == better


@pytest.mark.parametrize("name", [name for name in NOT_PAST if suggested(name)])
def test_what_is_suggested_is_in_the_past_tense(name: str) -> None:
    assert is_past(suggested(name))
