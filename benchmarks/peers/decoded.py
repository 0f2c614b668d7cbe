"""The class that peers decode an event's content into: the same fields, by the same msgspec."""

import msgspec


class OrderPlaced(msgspec.Struct, frozen=True):
    """A customer ordered."""

    number: int
    customer: str
    dish: str
    quantity: int
    price: str
    currency: str
    is_paid: bool
    note: str
