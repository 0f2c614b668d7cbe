"""One event type, one aggregate root, one handler that does nothing, one projection."""

from dolittle import (
    AggregateRoot,
    aggregate_root,
    event_handler,
    event_type,
    handles,
    on,
    projection,
)


@event_type
class OrderPlaced:
    """A customer ordered."""

    number: int
    customer: str
    dish: str
    quantity: int
    price: str
    currency: str
    is_paid: bool
    note: str


@aggregate_root
class Customer(AggregateRoot):
    """Counts what was ordered."""

    quantity: int = 0

    @on(OrderPlaced)
    def on_order_placed(self, event: OrderPlaced) -> None:
        """Count."""
        self.quantity += event.quantity


@event_handler
class NothingToDo:
    """A trivial handler."""

    @handles(OrderPlaced)
    def order_placed(self, event: OrderPlaced) -> None:
        """Do nothing."""


@projection
class OrdersByCustomer:
    """One document for each of 1,000 customers."""

    count: int = 0
    quantity: int = 0

    @on(OrderPlaced, key="customer")
    def on_order_placed(self, event: OrderPlaced) -> None:
        """Count."""
        self.count += 1
        self.quantity += event.quantity
